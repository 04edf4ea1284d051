"""Wrong arguments are said at once, on the caller's line."""

import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt


@pytest.fixture
def arguments(network, log_dir):
    model = network()
    with mb.Run(log_dir) as run:
        yield {"model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=0.1), "run": run}


WRONG = {
    "model": (lambda x: x, "torch.nn.Module"),
    "optimizer": ("sgd", "torch.optim.Optimizer"),
    "run": ("runs/first", "multiboard.Run"),
    "every": (0, "at least 1"),
    "log": (("params", "gards"), "did you mean 'grads'|Did you mean 'grads'"),
    "start_step": (-1, "at least 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named_with_its_remedy(name, arguments):
    value, remedy = WRONG[name]
    with pytest.raises(mb.ArgumentError, match=remedy) as raised:
        mbt.watch(**{**arguments, name: value})
    assert raised.value.name == name


@pytest.mark.parametrize(("name", "value"), [("every", True), ("every", 1.5), ("start_step", True), ("start_step", 2.0)])
def test_numbers_must_be_integers(name, value, arguments):
    with pytest.raises(mb.ArgumentError):
        mbt.watch(**{**arguments, name: value})


def test_an_optimizer_of_another_model_is_refused(arguments):
    arguments["optimizer"] = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    with pytest.raises(mb.ArgumentError, match="none of its parameters"):
        mbt.watch(**arguments)


def test_a_refused_watch_leaves_no_hook(arguments, loss_at, log_dir):
    with pytest.raises(mb.ArgumentError):
        mbt.watch(**arguments, every=0)
    loss_at(arguments["model"], 0).backward()
    arguments["optimizer"].step()
    arguments["run"].close()
    assert not mb.read(log_dir)["."].histograms
