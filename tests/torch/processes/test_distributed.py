"""On several processes everything is counted once, exactly, and written by rank 0."""

import inspect

import numpy as np
import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3), nn.LayerNorm(3))


def batch_of(step, rank):
    return torch.randn(4, 5, generator=torch.Generator().manual_seed(step * 2 + rank))


MODEL = "".join(map(inspect.getsource, (make_model, batch_of)))

DDP = """
model = nn.parallel.DistributedDataParallel(make_model())
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
watching = mbt.watch(model, optimizer, run, every=2, activations="1")
for step in range(3):
    with model.no_sync():
        model(batch_of(100 + step, rank)).square().mean().backward()
    model(batch_of(step, rank)).square().mean().backward()
    mbt.clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
    optimizer.zero_grad()
assert watching.step == 3
"""

FSDP = """
from torch.distributed.fsdp import fully_shard

model = make_model()
for layer in (model[0], model[2]):
    fully_shard(layer)
fully_shard(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
everything = ("params", "grads", "updates", "optimizer_state")
watching = mbt.watch(model, optimizer, run, every=2, log=everything, activations="1", **OPTIONS)
assert {tuple(p.to_local().shape) for p in model[0].parameters()} == ({(4, 5), (4,)} if rank == 0 else {(3, 5), (3,)})
for step in range(3):
    model(batch_of(step, rank)).square().mean().backward()
    mbt.clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
    optimizer.zero_grad()
"""


@pytest.fixture
def on_ranks(ranks):
    """The function `ranks` for scripts that need the model."""
    return lambda script, **options: ranks(MODEL + script, **options)


@pytest.fixture
def reference(tmp_path):
    """A function that trains the same in one process and returns what it has written."""

    def train(seeds, **arguments):
        model = make_model()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        with mb.Run(tmp_path / "alone") as run, mbt.watch(model, optimizer, run, every=2, activations="1", **arguments):
            for step in range(3):
                for seed in seeds(step):
                    for rank in (0, 1):
                        (model(batch_of(seed, rank)).square().mean() / 2).backward()
                mbt.clip_grad_norm_(model.parameters(), 0.1)
                optimizer.step()
                optimizer.zero_grad()
        return mb.read(tmp_path / "alone")["."]

    return train


def assert_same(found, expected):
    """Numbers of values agree everywhere; buckets do where no sum of gradients has been rounded yet, at the first step."""
    assert set(found.histograms) == set(expected.histograms)
    for tag, column in expected.histograms.items():
        mine = found.histograms[tag]
        assert mine.step.tolist() == column.step.tolist(), tag
        assert [rows[:, 2].sum() for rows in mine.value] == [rows[:, 2].sum() for rows in column.value], tag
        if tag.startswith(("params", "activations")):
            np.testing.assert_array_equal(mine.value[0], column.value[0])
    assert set(found.scalars) == set(expected.scalars)
    for tag, column in expected.scalars.items():
        assert found.scalars[tag].step.tolist() == column.step.tolist(), tag
        assert found.scalars[tag].value == pytest.approx(column.value, rel=1e-3, abs=1e-6), tag


OPENED = pytest.mark.parametrize("run", ["mb.Run(log_dir) if rank == 0 else None", "mb.Run(log_dir)"])
"""The others pass None, or open the run, too, and write nothing."""


@OPENED
def test_replicated_parameters_are_counted_once_and_activations_of_all_processes(run, on_ranks, reference, written):
    on_ranks(DDP, run=run)
    assert_same(written(), reference(lambda step: [100 + step, step]))


@OPENED
def test_sharded_parameters_are_counted_exactly(run, on_ranks, reference, written):
    on_ranks(FSDP.replace("OPTIONS", "{}"), run=run)
    everything = ("params", "grads", "updates", "optimizer_state")
    assert_same(written(), reference(lambda step: [step], log=everything))


def test_norms_of_sharded_parameters_are_those_of_the_whole(on_ranks, reference, written):
    on_ranks(FSDP.replace("OPTIONS", "{'histograms': False}"))
    everything = ("params", "grads", "updates", "optimizer_state")
    assert_same(written(), reference(lambda step: [step], log=everything, histograms=False))


def test_the_overhead_is_agreed_upon(on_ranks, written):
    on_ranks(FSDP.replace("OPTIONS", "{'overhead': 0.9}").replace("range(3)", "range(40)"))
    steps = written().histograms["params/0/kernel"].step.tolist()
    assert steps[0] == 0
    assert len(steps) > 1
    assert written().scalars["multiboard/overhead"].step.tolist() == steps


def test_every_rank_can_write_what_it_holds(on_ranks, log_dir):
    on_ranks(FSDP.replace("OPTIONS", "{'per_rank': True}"))
    runs = mb.read(log_dir)
    sizes = [runs[f"rank_0000{rank}"].histograms["params/0/kernel"].value[0][:, 2].sum() for rank in (0, 1)]
    assert sizes == [20, 15]
    assert not runs["."].histograms


def test_runs_opened_for_each_rank_hold_what_it_holds(on_ranks, log_dir):
    script = FSDP.replace("OPTIONS", "{'per_rank': True}")
    on_ranks(script, run="mb.Run(log_dir, per_rank=True)")
    runs = mb.read(log_dir)
    assert set(runs) == {"rank_00000", "rank_00001"}
    assert [runs[name].histograms["params/0/kernel"].value[0][:, 2].sum() for name in sorted(runs)] == [20, 15]


UNEVEN = """
model = make_model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
reports = []
if rank == 0:
    run.close()
    run = mb.Run(log_dir + "/again", on_error=lambda cause, message: reports.append(message))
watching = mbt.watch(model, optimizer, run, every=1, activations="1")
for step in range(3):
    if step == 1 and rank == 1:
        watching.step = 7
    model(batch_of(step, rank)).square().mean().backward()
    optimizer.step()
watching.remove()
if rank == 0:
    run.flush()
    assert any("different steps" in message for message in reports), reports
"""


def test_processes_at_different_steps_are_found_out(on_ranks, log_dir):
    on_ranks(UNEVEN)
    assert mb.read(log_dir / "again")["."].histograms["activations/1"].step.tolist() == [0]


HYBRID = """
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

model = make_model()
fully_shard(model, mesh=init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard")))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
watching = mbt.watch(model, optimizer, run, every=2, log=("params", "updates"))
for step in range(2):
    model(batch_of(step, 0)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
"""


def test_replicas_of_shards_are_counted_once(on_ranks, written):
    on_ranks(HYBRID, processes=4)
    histograms = written().histograms
    sizes = {tag: column.value[0][:, 2].sum() for tag, column in histograms.items() if tag.startswith("params/")}
    assert sizes == {"params/0/kernel": 35, "params/0/bias": 7, "params/2/kernel": 21, "params/2/bias": 3} | dict.fromkeys(
        ("params/3/scale", "params/3/bias"), 3
    )


FAILING = """
from torch.distributed.fsdp import fully_shard
from multiboard_torch.batch import Batch

model = make_model()
fully_shard(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
if rank == 0:
    run.close()
    run = mb.Run(log_dir + "/again", on_error=lambda cause, message: None)
    warnings.simplefilter("ignore")
    if CONFLICT:
        run.log({"params/0/kernel": 1.0}, 0)  # a tag of another kind, which only this process knows
watching = mbt.watch(model, optimizer, run, every=1, activations="1", **OPTIONS)
copy = Batch.copy
for step in range(4):
    if rank == 1 and step == 2 and not CONFLICT:
        warnings.simplefilter("ignore")
        Batch.copy = lambda *_, **__: 1 / 0
    model(batch_of(step, rank)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    Batch.copy = copy
"""


@pytest.mark.parametrize("options", ["{}", "{'histograms': False}"])
def test_what_fails_in_one_process_costs_that_capture_and_holds_nobody_up(options, on_ranks, log_dir):
    on_ranks(FAILING.replace("OPTIONS", options).replace("CONFLICT", "False"))
    data = mb.read(log_dir / "again")["."]
    assert data.scalars["norm/grads"].step.tolist() == [0, 1, 3]
    assert data.scalars["norm/activations"].step.tolist() == [0, 1, 2, 3]


def test_a_tag_that_one_process_refuses_costs_those_captures_and_holds_nobody_up(on_ranks, log_dir):
    on_ranks(FAILING.replace("OPTIONS", "{}").replace("CONFLICT", "True"))
    data = mb.read(log_dir / "again")["."]
    assert "norm/grads" not in data.scalars
    assert data.scalars["norm/activations"].step.tolist() == [0, 1, 2, 3]


ABSENT = """
from torch.distributed.fsdp import fully_shard

model = make_model()
fully_shard(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
watching = mbt.watch(model, optimizer, run, every=1, log="grads")
for step in range(2):
    model(batch_of(step, rank)).square().mean().backward()
    if rank == step:
        model[0].bias.grad = None
    optimizer.step()
    optimizer.zero_grad()
"""


def test_a_gradient_that_one_process_lacks_does_not_mix_up_the_others(on_ranks, written):
    on_ranks(ABSENT)
    sizes = {tag: [rows[:, 2].sum() for rows in column.value] for tag, column in written().histograms.items()}
    assert sizes["grads/0/kernel"] == [35, 35]
    assert sizes["grads/0/bias"] == [3, 4]  # the shard of the other process
    assert sizes["grads/2/kernel"] == [21, 21]
    assert sizes["grads/3/scale"] == [3, 3]
