"""Loops that are not as simple as they look: steps that raise, optimizers that call their base class, copies of models."""

import copy
import gc
import io
import weakref

import numpy as np
import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt
from multiboard.buckets import measure


class Derived(torch.optim.Adam):
    def step(self, closure=None):
        return super().step(closure)


def test_an_optimizer_that_calls_its_base_class_makes_one_step(network, train, log_dir, written):
    torch.optim.Adam(network().parameters())  # PyTorch wraps the step of the base class, which runs the hooks too
    model = network()
    optimizer = Derived(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=2) as watching:
        train(model, optimizer, 3)
        assert watching.step == 3
    data = written()
    assert data.histograms["grads/dense/kernel"].step.tolist() == [0, 2]
    assert (data.scalars["norm/updates/dense/kernel"].value > 0).all()


class Failing(torch.optim.SGD):
    fails = False

    @torch.no_grad()
    def step(self, closure=None):
        if self.fails:
            raise MemoryError("no room")
        return super().step(closure)


def test_a_step_that_raises_is_no_update_and_leaves_nothing_behind(network, loss_at, log_dir, written):
    model = network()
    optimizer = Failing(model.parameters(), lr=0.5)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1) as watching:
        loss_at(model, 0).backward()
        optimizer.fails = True
        with pytest.raises(MemoryError):
            optimizer.step()
        assert watching.step == 0
        optimizer.fails = False
        with torch.no_grad():
            model.dense.weight.zero_()
        expected = -0.5 * model.dense.weight.grad.numpy()
        optimizer.step()
    histograms = written().histograms
    assert histograms["params/dense/kernel"].value[0].tolist() == [[0, 0, 18]]
    np.testing.assert_array_equal(histograms["updates/dense/kernel"].value[0], measure(expected).rows())
    assert histograms["grads/dense/kernel"].step.tolist() == [0]


@pytest.mark.parametrize("how", ["deepcopy", "save and load", "averaged model"])
def test_a_copy_of_a_watched_model_is_not_watched(how, network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run:
        model.watching = mbt.watch(model, optimizer, run, every=1, activations="dense")
        if how == "deepcopy":
            other = copy.deepcopy(model)
        elif how == "save and load":
            file = io.BytesIO()
            torch.save(model, file)
            file.seek(0)
            other = torch.load(file, weights_only=False)
        else:
            other = torch.optim.swa_utils.AveragedModel(model).module
        loss_at(other, 1).backward()
        loss_at(model, 0).backward()
        optimizer.step()
        assert other.watching is None
    assert written().histograms["activations/dense"].value[0][:, 2].sum() == 2 * 16 * 3  # `loss_at` calls the model twice


def test_a_model_can_be_traced_and_exported_while_it_is_watched(log_dir):
    model = nn.Sequential(nn.Linear(4, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, activations="0"):
        program = torch.export.export(model, (torch.ones(2, 4),))
        assert "multiboard" not in str(program.graph)


def test_a_watch_that_was_refused_leaves_no_hooks(network, log_dir):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def choose(name, _module):
        if name == "dense":
            raise KeyError(name)
        return True

    with mb.Run(log_dir) as run:
        for wrong in ("typo", choose):
            with pytest.raises((mb.ArgumentError, KeyError)):
                mbt.watch(model, optimizer, run, activations=wrong)
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert not any(layer._forward_hooks for layer in model.modules())


def test_after_remove_everything_is_freed_at_once(network, train, log_dir):
    with mb.Run(log_dir) as run:
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        watching = mbt.watch(model, optimizer, run, every=1, activations="*")
        train(model, optimizer, 2)
        watching.remove()
        run.flush()
        alive = [weakref.ref(thing) for thing in (model, optimizer, watching)]
        gc.collect()  # the optimizer and its hooks refer to each other
        gc.disable()
        try:
            del model, optimizer, watching
            assert [thing() for thing in alive] == [None, None, None]
        finally:
            gc.enable()


def test_outputs_of_a_step_that_is_not_captured_do_not_reach_the_next_one(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, activations="dense") as watching:
        loss_at(model, 0).backward()
        watching.pause()
        optimizer.step()
        watching.resume()
        loss_at(model, 1).backward()
        optimizer.step()
    column = written().histograms["activations/dense"]
    assert (column.step.tolist(), column.value[0][:, 2].sum()) == ([1], 2 * 16 * 3)


def test_the_optimizer_of_accelerate_is_watched(network, train, log_dir, written):
    import accelerate

    model = network()
    wrapped = accelerate.Accelerator(cpu=True).prepare_optimizer(torch.optim.SGD(model.parameters(), lr=0.1))
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    assert not hasattr(wrapped, "_optimizer_step_pre_hooks")
    with mb.Run(log_dir) as run, mbt.watch(model, wrapped, run, every=1):
        train(model, wrapped.optimizer, 1)
    assert written().histograms["grads/dense/kernel"].step.tolist() == [0]


def test_counting_in_the_writer_thread_leaves_deterministic_algorithms_on(log_dir):
    model = nn.Linear(300, 300)
    torch.use_deterministic_algorithms(mode=True)
    try:
        with mb.Run(log_dir) as run:
            for step in range(20):
                mbt.log_params(model, run, step)
                assert all(torch.are_deterministic_algorithms_enabled() for _ in range(2000))
    finally:
        torch.use_deterministic_algorithms(mode=False)
