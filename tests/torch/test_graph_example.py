"""A graph of an example leaves no trace, and needs no values where shapes do."""

import random

import numpy as np
import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt

X = torch.ones(3, 4)


class Stateful(nn.Module):
    """Changes all that a call may change: buffers, attributes, lists, random numbers; keeps a tensor of the call."""

    def __init__(self, decides):
        super().__init__()
        self.dense, self.norm, self.decides = nn.Linear(4, 4), nn.BatchNorm1d(4), decides
        self.register_buffer("steps", torch.zeros(3))
        self.calls, self.seen, self.average = 0, [], torch.zeros(4)

    def forward(self, x, *, scale=1.0):
        self.calls += 1
        self.steps += 1
        x = self.norm(self.dense(x)) * scale * torch.rand(4) * random.random() * np.random.random()  # noqa: NPY002, S311
        self.average.mul_(0.9).add_(x.detach().mean(0))
        self.last = x
        self.seen.append(x)
        return -x if self.decides and x.sum() > 0 else x


def state(model):
    return (
        {key: value.clone() for key, value in model.state_dict().items()},
        {key: value for key, value in vars(model).items() if not key.startswith("_")},
        list(model.seen),
        model.average.clone(),
        torch.get_rng_state(),
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
    )


def equal(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    return one == other if not isinstance(one, tuple) else all(map(equal, one, other))


@pytest.mark.parametrize("decides", [False, True], ids=["shapes do", "values decide"])
@pytest.mark.parametrize("training", [True, False])
def test_an_example_leaves_no_trace(decides, training):
    model = Stateful(decides).train(training)
    before = state(model)
    recording = mbt.graph(model, example=(X, {"scale": torch.tensor(2.0)}))
    assert equal(state(model), before)
    assert model.training is training
    assert [node.name for node in recording.graph.nodes if node.op == "Input"] == ["x", "scale"]
    assert recording.graph.notes == (() if decides else ("Of shapes only: nothing was computed.",))
    assert (sum(node.us for node in recording.graph.nodes) > 0) is decides
    model(X)
    assert type(model.last) is torch.Tensor


def test_an_example_does_not_disturb_a_backward_pass_that_waits():
    model = Stateful(decides=True)
    loss = model(X).sum()
    mbt.graph(model.eval(), example=X)
    loss.backward()
    assert model.dense.weight.grad is not None


def test_shapes_need_no_memory():
    class Large(nn.Module):
        def forward(self, x):
            return (x[:, None] * x[None]).sum()

    recording = mbt.graph(Large(), example=torch.ones(1 << 20), fake=True)
    assert recording.graph.nodes[-1].op == "Output"
    assert max(node.mem for node in recording.graph.nodes) == 1 << 42


def test_a_next_call_that_is_observed_by_shapes_runs_once_as_usual():
    torch.manual_seed(0)
    plain, model = Stateful(decides=False), Stateful(decides=False)
    model.load_state_dict(plain.state_dict())
    recording = mbt.graph(model, fake=True)
    found = []
    for one in (plain, model):
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        found.append(one(X))
    assert torch.equal(*found)
    assert equal(model.state_dict(), plain.state_dict())
    assert model.calls == 1
    assert recording.graph.notes == ("Of shapes only: nothing was computed.",)


def test_shapes_only_of_a_model_that_needs_values_end_where_they_are_needed():
    model = Stateful(decides=True)
    with pytest.warns(mb.MultiboardWarning, match="is not complete"):
        recording = mbt.graph(model, example=X, fake=True)
    assert recording.graph.notes[0].startswith("It ends where DataDependent")
    assert sum(node.params for node in recording.graph.nodes) == sum(one.numel() for one in model.parameters())


@pytest.mark.parametrize(
    ("example", "names"),
    [
        (X, ["first"]),
        ((X, X + 1), ["first", "second"]),
        ({"first": X, "second": X + 1}, ["first", "second"]),
        ((X, {"second": X + 1}), ["first", "second"]),
        (({"a": X, "b": [X + 1]},), ["first/a", "first/b/0"]),
        ({"a": X, "other": X + 1}, ["first/a", "first/other"]),
        ((X, X + 1, {"third": X + 2}), ["first", "second", "third"]),
    ],
    ids=["argument", "tuple", "dict", "both", "dict in a tuple", "dict of no arguments", "more by name"],
)
def test_an_example_is_an_argument_or_several(example, names):
    class Takes(nn.Module):
        def forward(self, first, second=None, **more):
            given = [first, second, *more.values()]
            while not isinstance(given[0], torch.Tensor):
                given = list(given[0].values() if isinstance(given[0], dict) else given[0])
            return given[0] * 2

    class Strict(Takes):
        def forward(self, first, second=None):
            return super().forward(first, second)

    model = Strict() if names[0] != "first" else Takes()
    recording = mbt.graph(model, example=example)
    assert [node.name for node in recording.graph.nodes if node.op == "Input"] == names


def test_an_example_for_a_run_is_written(log_dir, written):
    with mb.Run(log_dir) as run:
        mbt.graph(nn.Linear(4, 2), run, example=X)
        mbt.graph(nn.Linear(4, 3), run, example=X, tag="generator")
    assert set(written().graphs) >= {"Default", "layer", "generator/layer", "generator/op"}
    assert "Of shapes only" in written().graphs["layer"].description
