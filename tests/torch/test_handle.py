"""The handle pauses, resumes, and captures on request."""

import pytest
import torch

import multiboard as mb
import multiboard.torch as mbt


@pytest.fixture
def steps_of(network, train, log_dir, written):
    """A function that trains 10 steps, does something with the handle after some of them, and returns the captured steps."""

    def run_steps(actions, **arguments):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with mb.Run(log_dir) as run:
            watching = mbt.watch(model, optimizer, run, **arguments)
            for step in range(10):
                for action in actions.get(step, ()):
                    getattr(watching, action)()
                train(model, optimizer, 1)
            assert watching.step == 10
        return written().histograms["params/dense/kernel"].step.tolist()

    return run_steps


def test_pause_leaves_captures_out_and_counts_on(steps_of):
    assert steps_of({3: ["pause"], 7: ["resume"]}, every=2) == [0, 2, 8]


def test_log_now_captures_the_next_update(steps_of):
    assert steps_of({3: ["log_now"], 7: ["log_now"]}, every=5) == [0, 3, 5, 7]


def test_log_now_captures_while_paused(steps_of):
    assert steps_of({2: ["pause"], 5: ["log_now"]}, every=2) == [0, 5]


def test_activations_are_captured_on_request_too(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=100, activations="norm") as watching:
        for step in range(4):
            if step == 2:
                watching.log_now()
            loss_at(model, step).backward()
            optimizer.step()
    assert written().histograms["activations/norm"].step.tolist() == [0, 2]


def test_after_remove_the_methods_do_nothing(network, train, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run:
        watching = mbt.watch(model, optimizer, run, every=1, activations="norm")
        watching.remove()
        for method in (watching.pause, watching.resume, watching.log_now, watching.remove):
            method()
        train(model, optimizer, 1)
    assert not written().histograms
