"""Patterns and functions choose parameters and layers by name."""

import re

import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.encoder(x))


CHOICES = {
    "encoder.*": {"encoder/0", "encoder/2"},
    "encoder/2": {"encoder/2"},
    "head.weight": {"head"},
    ("head", "encoder.0"): {"head", "encoder/0"},
    re.compile(r"r\.\d$"): {"encoder/0", "encoder/2"},
    (lambda name, module: isinstance(module, nn.Linear) and name.startswith("head")): {"head"},
}


@pytest.mark.parametrize(("chosen", "expected"), CHOICES.items(), ids=map(str, range(len(CHOICES))))
@pytest.mark.parametrize("wrap", [lambda model: model, nn.DataParallel], ids=["bare", "wrapped"])
def test_only_the_chosen_layers_are_written(chosen, expected, wrap, log_dir, written):
    model = wrap(Model())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    groups = ("params", "grads", "updates", "optimizer_state")
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, log=groups, layers=chosen):
        model(torch.randn(3, 4)).sum().backward()
        optimizer.step()
    found = {group: set() for group in groups}
    for tag in written().histograms:
        group, *path = tag.split("/")
        found[group].add("/".join(path[: -2 if group == "optimizer_state" else -1]))
    assert found == dict.fromkeys(groups, expected)


def test_a_pattern_with_a_parameters_name_chooses_that_parameter(log_dir, written):
    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, log="params", layers="*.bias"):
        optimizer.step()
    assert list(written().histograms) == ["params/encoder/0/bias", "params/encoder/2/bias", "params/head/bias"]


@pytest.mark.parametrize("argument", ["layers", "activations"])
def test_a_pattern_that_means_nothing_is_refused_and_the_nearest_name_offered(argument, log_dir):
    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError, match=rf"{argument}.*'encodr.*there are.*encoder"):
        mbt.watch(model, optimizer, run, **{argument: ["encodr.0"]})


@pytest.mark.parametrize("wrong", [3, [], [3], [None], {}])
def test_what_is_no_pattern_is_refused(wrong, log_dir):
    model = Model()
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError, match="pass patterns"):
        mbt.watch(model, torch.optim.SGD(model.parameters(), lr=0.1), run, layers=wrong)


def test_a_refused_watch_leaves_nothing_behind(log_dir, written):
    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run:
        with pytest.raises(mb.ArgumentError):
            mbt.watch(model, optimizer, run, activations="nothing")
        model(torch.ones(1, 4)).sum().backward()
        optimizer.step()
        mbt.watch(model, optimizer, run, every=1, log="params")
        optimizer.step()
    assert set(written().scalars["norm/params"].step.tolist()) == {0}
    assert not [tag for tag in written().histograms if not tag.startswith("params/")]
