"""The handle counts the steps, ends the captures, and need not be kept."""

import gc
import weakref

import torch

import multiboard as mb
import multiboard.torch as mbt


def test_step_is_that_of_the_loss_before_the_update_and_the_next_one_after_it(network, loss_at, log_dir):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = []
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=10, start_step=5) as watching:
        for step in range(3):
            loss_at(model, step).backward()
            seen.append(watching.step)
            optimizer.step()
    assert seen == [5, 6, 7]
    assert watching.step == 8


def test_remove_ends_the_captures_and_may_be_called_twice(network, train, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run:
        watching = mbt.watch(model, optimizer, run, every=1)
        train(model, optimizer, 2)
        watching.remove()
        watching.remove()
        train(model, optimizer, 2)
    assert written().histograms["params/dense/kernel"].step.tolist() == [0, 1]


def test_the_watch_lives_as_long_as_its_optimizer(network, train, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run:
        watching = weakref.ref(mbt.watch(model, optimizer, run, every=1))
        gc.collect()
        train(model, optimizer, 1)
        assert watching() is not None
        del optimizer
        gc.collect()
        assert watching() is None
    assert written().histograms["params/dense/kernel"].step.tolist() == [0]


def test_the_handle_describes_itself(network, log_dir):
    model = network()
    with mb.Run(log_dir) as run:
        watching = mbt.watch(model, torch.optim.SGD(model.parameters(), lr=0.1), run)
        assert repr(watching) == f"Watch(Network, SGD, {run!r}, step=0)"


def test_the_public_names_are_these():
    classes = ["Loop", "Meter", "Recording", "Watch"]
    functions = ["clip_grad_norm_", "graph", "log_grads", "log_params", "loop", "memory_stats", "trace_handler", "watch"]
    assert sorted(mbt.__all__) == classes + functions
