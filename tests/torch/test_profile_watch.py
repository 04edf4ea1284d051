"""The profiler that a watch or a loop drives sees the steps as they are counted there, with layers as they are called there."""

import pytest
import torch

import multiboard as mb
import multiboard.torch as mbt
from multiboard.errors import ArgumentError
from multiboard.profile.xspace import HOST_PLANE, find_plane, read_space, stats_of

OPTIONS = {"start": 2, "steps": 3, "warmup": 1, "convert": "now"}


@pytest.fixture
def host(log_dir):
    """A function that returns the stats of all events of the host in a session, by default the only one."""

    def read(session="*"):
        (path,) = log_dir.glob(f"plugins/profile/{session}/*.xplane.pb")
        plane = find_plane(read_space(path), HOST_PLANE)
        return [
            {"name": plane.event_metadata[event.metadata_id].name, **stats_of(event, plane)}
            for line in plane.lines
            for event in line.events
        ]

    return read


def steps(events):
    return sorted(event["step_num"] for event in events if "_r" in event)


def calls(events):
    """Return the number of events per operation, as XProf lists them."""
    found = {}
    for event in events:
        if "tf_op" in event and not event["name"].startswith("Memory"):
            found[event["tf_op"]] = found.get(event["tf_op"], 0) + 1
    return found


def test_the_window_has_the_steps_that_the_watch_counts(log_dir, network, train, host):
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, profiler=mb.Profiler(run, **OPTIONS)):
        train(model, optimizer, 7)
    assert steps(host()) == [2, 3, 4]
    assert mb.read(log_dir)["."].scalars["profile/step_ms"].step.tolist() == [2]


@pytest.mark.parametrize("level", ["light", "default", "deep"])
def test_operations_are_counted_in_their_layers(level, log_dir, network, train, host):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    profiler = mb.Profiler(None, level=level, **OPTIONS)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, profiler=profiler, every=100):
        train(model, optimizer, 6)  # which calls the model twice per step
    found = calls(host())
    assert found["dense/linear:linear"] == found["norm/layer_norm:layer_norm"] == found["words/embedding:embedding"] == 3 * 2
    assert found["backward/norm/native_layer_norm_backward:native_layer_norm_backward"] == 3 * 2
    assert found["backward/words/embedding_dense_backward:embedding_dense_backward"] == 3 * 2
    assert found["backward/dense/AddmmBackward0:AddmmBackward0"] == 3 * 2
    assert any(name.startswith("optimizer/") for name in found)


def test_the_captures_of_the_watch_are_shown_as_such_and_not_as_work_of_the_optimizer(log_dir, network, train, host):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, foreach=False)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, profiler=mb.Profiler(run, **OPTIONS), every=2):
        train(model, optimizer, 6)
    found = calls(host())
    assert any(name.startswith("multiboard/") for name in found)
    assert {name: count for name, count in found.items() if name.startswith("optimizer/add")} == {"optimizer/add_:add_": 3 * 5}


def test_a_resumed_training_is_profiled_at_its_global_step(log_dir, network, train, host):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    profiler = mb.Profiler(None, **OPTIONS | {"start": 102})
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, profiler=profiler, start_step=100):
        train(model, optimizer, 7)
    assert steps(host("step_000102")) == [102, 103, 104]


def test_updates_of_several_optimizers_and_skipped_ones_are_counted_as_the_watch_does(log_dir, network, loss_at, host):
    model = network()
    optimizers = [torch.optim.SGD([parameter], lr=0.1) for parameter in model.parameters()]
    scaler = torch.amp.GradScaler("cpu")
    with mb.Run(log_dir) as run, mbt.watch(model, optimizers, run, profiler=mb.Profiler(run, **OPTIONS)) as watching:
        for step in range(8):
            for optimizer in optimizers:
                optimizer.zero_grad()
            scaler.scale(loss_at(model, step)).backward()
            if step == 3:
                model.dense.weight.grad.fill_(torch.inf)
            for optimizer in optimizers:
                scaler.step(optimizer)
            scaler.update()
        assert watching.step in {7, 8}
    assert steps(host()) == [2, 3, 4]


def test_a_step_with_a_closure_is_one_step(log_dir, network, loss_at, host):
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = loss_at(model, 0)
        loss.backward()
        return loss

    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, profiler=mb.Profiler(run, **OPTIONS)):
        for _ in range(6):
            optimizer.step(closure)
    assert steps(host()) == [2, 3, 4]


def test_the_loop_marks_its_waits_without_being_told(log_dir, network, loss_at, host):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, profiler=mb.Profiler(run, **OPTIONS)) as watching:
        for batch in mbt.loop(range(7), run, watching=watching):
            loss_at(model, batch).backward()
            optimizer.step()
    events = host()
    assert steps(events) == [2, 3, 4]
    assert sum("_ipl_stage_id" in event for event in events) == 3


def test_a_loop_drives_a_profiler_without_a_watch(log_dir, network, loss_at, host):
    model = network()
    with mb.Run(log_dir) as run:
        for batch in mbt.loop(range(7), run, profiler=mb.Profiler(None, **OPTIONS)):
            loss_at(model, batch)
    events = host()
    assert steps(events) == [2, 3, 4]
    assert sum("_ipl_stage_id" in event for event in events) == 3
    assert calls(events)["dense/linear:linear"] == 3 * 2


def test_a_watch_that_ends_in_a_window_keeps_what_there_is(log_dir, network, train, host):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run:
        watching = mbt.watch(model, optimizer, run, profiler=mb.Profiler(run, **OPTIONS))
        train(model, optimizer, 4)
        with pytest.warns(mb.MultiboardWarning, match="ended early"):
            watching.remove()
    assert steps(host())[:2] == [2, 3]


def test_out_of_memory_in_a_step_keeps_what_there_is(log_dir, network, train, host):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def training(profiler):
        for step in range(7):
            with profiler.step(step):
                train(model, optimizer, 1)
                if step == 3:
                    raise torch.OutOfMemoryError("CUDA out of memory")

    with mb.Run(log_dir) as run:
        profiler = mb.Profiler(run, framework="torch", **OPTIONS)
        with (
            pytest.warns(mb.MultiboardWarning, match="OutOfMemoryError was raised in step 3"),
            pytest.raises(torch.OutOfMemoryError),
        ):
            training(profiler)
    assert 2 in steps(host())


@pytest.mark.parametrize("profiler", [3, "prof", object()])
def test_something_else_than_a_profiler_is_refused(profiler, network, log_dir):
    model = network()
    with mb.Run(log_dir) as run:
        with pytest.raises(ArgumentError, match="profiler"):
            mbt.watch(model, torch.optim.SGD(model.parameters(), lr=0.1), run, profiler=profiler)
        with pytest.raises(ArgumentError, match="profiler"):
            mbt.loop([], run, profiler=profiler)


def trained(log_dir, network, train, profiler):
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=2, profiler=profiler):
        losses = train(model, optimizer, 6)
    return losses, [parameter.detach() for parameter in model.parameters()]


def test_the_training_is_the_same_with_a_window_and_without(tmp_path, network, train):
    losses, parameters = trained(tmp_path / "with", network, train, mb.Profiler(None, **OPTIONS))
    expected, same = trained(tmp_path / "without", network, train, None)
    assert losses == expected
    assert all(torch.equal(one, other) for one, other in zip(parameters, same, strict=True))
