"""What layers return is counted at captured steps, changes nothing, and adds one graph to a compiled model."""

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from torch.utils.checkpoint import checkpoint

import multiboard as mb
import multiboard.torch as mbt
from multiboard.buckets import measure


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(4, 8)
        self.act = nn.ReLU()
        self.rnn = nn.LSTM(8, 3, batch_first=True)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.rnn(self.act(self.dense(x)))[0])


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model()


def batch(step):
    return torch.randn(5, 6, 4, generator=torch.Generator().manual_seed(step))


def run_steps(model, optimizer, steps, *, micro_batches=1):
    for step in range(steps):
        for part in range(micro_batches):
            model(batch(step * micro_batches + part)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_outputs_are_those_of_the_step(model, log_dir, written):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    kept = []
    model.act.register_forward_hook(lambda _module, _inputs, output: kept.append(output.detach().numpy().copy()))
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=2, activations=["act", "rnn", "head"]):
        run_steps(model, optimizer, 5)
    data = written()
    for path in ("act", "rnn", "head"):
        assert data.histograms[f"activations/{path}"].step.tolist() == [0, 2, 4]
    for row, step in enumerate([0, 2, 4]):
        np.testing.assert_array_equal(data.histograms["activations/act"].value[row], measure(kept[step]).rows())
        assert data.scalars["norm/activations/act"].value[row] == pytest.approx(np.linalg.norm(kept[step]), rel=1e-5)
    assert data.histograms["activations/rnn"].value[0][:, 2].sum() == 5 * 6 * 3
    assert data.histograms["activations/rnn"].description == "`rnn` of LSTM, output"


def test_micro_batches_of_one_update_are_counted_together(model, log_dir, written):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, activations="act"):
        run_steps(model, optimizer, 2, micro_batches=3)
    column = written().histograms["activations/act"]
    assert [rows[:, 2].sum() for rows in column.value] == [3 * 5 * 6 * 8] * 2


def test_evaluation_is_not_counted(model, log_dir, written):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, activations="act"):
        for step in range(2):
            with torch.no_grad():
                model(batch(100))
            with torch.inference_mode():
                model(batch(100))
            model(batch(step)).sum().backward()
            optimizer.step()
    assert [rows[:, 2].sum() for rows in written().histograms["activations/act"].value] == [5 * 6 * 8] * 2


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpointed_layer_is_counted_once(reentrant, log_dir, written):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, activations="1"):
        for _ in range(2):  # micro-batches
            hidden = checkpoint(model[1], model[0](torch.randn(3, 4)), use_reentrant=reentrant)
            hidden.sum().backward()
        optimizer.step()
    assert written().histograms["activations/1"].value[0][:, 2].sum() == 2 * 12


def test_a_layer_that_was_not_called_is_left_out(model, log_dir, written):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, activations=["dense", "head"]):
        for layer in (model.dense, model):
            layer(batch(0)).sum().backward()
            optimizer.step()
    histograms = written().histograms
    assert histograms["activations/dense"].step.tolist() == [0, 1]
    assert histograms["activations/head"].step.tolist() == [1]


def test_it_is_said_if_no_layer_is_ever_called(model, log_dir):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with mb.Run(log_dir) as run:
        mbt.watch(model, optimizer, run, every=1, activations="*")
        with pytest.warns(mb.MultiboardWarning, match=r"no chosen layer was called.*before its first call"):
            optimizer.step()


def test_large_outputs_are_counted_at_once_and_exactly(log_dir, written, monkeypatch):
    monkeypatch.setattr("multiboard_torch.outputs.COPIED_BYTES", 1000)
    model = nn.Sequential(nn.Linear(4, 30))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    outputs = []
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, activations="0"):
        for size in (7, 7, 70):  # 840 bytes are copied, the others not
            outputs.append(model(torch.randn(size, 4)))
            outputs[-1].sum().backward()
        optimizer.step()
    expected = measure(torch.cat(outputs).detach().numpy())
    np.testing.assert_array_equal(written().histograms["activations/0"].value[0], expected.rows())
    assert written().scalars["norm/activations/0"].value[0] == pytest.approx(expected.norm, rel=1e-5)


def test_layers_that_are_added_later_are_counted(model, log_dir, written):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, activations=lambda name, _module: name != "rnn"):
        run_steps(model, optimizer, 1)
        model.act = nn.Sequential(nn.Linear(8, 8))
        run_steps(model, optimizer, 2)
    assert written().histograms["activations/act/0"].step.tolist() == [2]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_outputs_of_other_dtypes_are_counted(dtype, log_dir, written):
    model = nn.Sequential(nn.Linear(4, 3)).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, activations="0"):
        output = model(torch.randn(7, 4, dtype=dtype))
        output.sum().backward()
        optimizer.step()
    expected = measure(output.detach().double().numpy()).rows()
    np.testing.assert_array_equal(written().histograms["activations/0"].value[0], expected)


def test_an_output_that_cannot_be_counted_does_not_stop_the_training(log_dir, written):
    class Sparse(nn.Module):
        def forward(self, x):
            return x.to_sparse_csr()

    model = nn.Sequential(nn.Linear(4, 4), Sparse())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run:
        mbt.watch(model, optimizer, run, every=1, activations=["1", "0"])
        with pytest.warns(UserWarning, match=r"CSR|activations/1 was left out"):
            for _ in range(3):
                hidden = model[0](torch.ones(2, 4))
                model[1](hidden)
                hidden.sum().backward()
                optimizer.step()
        with pytest.warns(mb.MultiboardWarning, match=r"capture TypeError \(3\)"):
            run.close()
    assert written().histograms["activations/0"].step.tolist() == [0, 1, 2]
    assert written().scalars["multiboard/errors"].value[-1] == 3


@pytest.fixture
def compiled_steps(log_dir):
    """A function that trains a compiled model and returns its weights and what the compiler did."""

    def run_compiled(watched, steps, every=10):
        torch._dynamo.reset()
        counters.clear()
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 4))
        optimizer = torch.optim.AdamW(model.parameters())
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
        with mb.Run(log_dir) as run:
            if watched:
                mbt.watch(compiled, optimizer, run, every=every, activations="*")
            for step in range(steps):
                generator = torch.Generator().manual_seed(step)
                compiled(torch.randn(8, 16, generator=generator)).square().mean().backward()
                optimizer.step()
                optimizer.zero_grad()
        return [p.detach().clone() for p in model.parameters()], counters["stats"]["unique_graphs"], dict(counters["graph_break"])

    return run_compiled


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside torch.compile
def test_a_compiled_model_has_one_graph_per_state_over_200_steps_and_no_break(compiled_steps, written):
    weights, graphs, breaks = compiled_steps(True, 200)
    assert (graphs, breaks) == (2, {})
    column = written().histograms["activations/2"]
    assert column.step.tolist() == list(range(0, 200, 10))
    assert {rows[:, 2].sum() for rows in column.value} == {8 * 32}
    plain, graphs, _ = compiled_steps(False, 200)
    assert graphs == 1
    assert all(map(torch.equal, weights, plain))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside torch.compile
def test_a_compiled_model_without_activations_has_one_graph(network, log_dir):
    torch._dynamo.reset()
    counters.clear()
    model = network()
    optimizer = torch.optim.AdamW(model.parameters())
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with mb.Run(log_dir) as run, mbt.watch(compiled, optimizer, run, every=3):
        for _ in range(200):
            compiled(torch.randint(0, 11, (4, 5))).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
