"""`SummaryWriter.add_graph` shows models that tracers refuse."""

import dataclasses

import pytest
import torch
from torch import nn

import multiboard as mb


@dataclasses.dataclass
class Result:
    logits: torch.Tensor
    loss: None = None


class Returns(nn.Module):
    def __init__(self, returned):
        super().__init__()
        self.dense, self.returned = nn.Linear(4, 2), returned

    def forward(self, x, *, scale=1.0):
        return self.returned(self.dense(x) * scale)


class Turns(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(4, 4)

    def forward(self, pictures):
        x = sum(pictures)
        while x.sum() > 0:
            x = self.dense(x) - 1
        return x


class FromDict(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(4, 2)

    def forward(self, batch):
        return self.dense(batch["x"])


X = torch.ones(3, 4)
MODELS = {
    "a tensor": (lambda: nn.Linear(4, 2), X),
    "a dict with None": (lambda: Returns(lambda y: {"logits": y, "past": None}), X),
    "a data class": (lambda: Returns(Result), (X,)),
    "arguments by name": (lambda: Returns(tuple), {"x": X, "scale": torch.tensor(2.0)}),
    "a dict": (FromDict, {"x": X}),
    "a list of pictures, values decide": (Turns, [X, X]),
    "compiled": (lambda: torch.compile(Returns(Result), backend="eager"), [X]),
}


def rows(run):
    return run.texts["graph/summary"].value[0]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_tracers_refuse_is_shown(name, log_dir, written):
    make, example = MODELS[name]
    model = make()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with mb.SummaryWriter(log_dir) as writer:
        writer.add_graph(model, example)
    assert {"Default", "layer", "api", "op", "flops"} <= set(written().graphs)
    assert "Dense" in rows(written()) or "Linear" in rows(written())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_without_an_input_the_next_call_is_shown(log_dir, written):
    model = nn.Linear(4, 2)
    with mb.SummaryWriter(log_dir) as writer:
        writer.add_graph(model)
        model(X)
    assert "layer" in written().graphs


def test_a_wrong_input_is_said_and_raises_nothing(log_dir, written):
    with mb.SummaryWriter(log_dir) as writer, pytest.warns(mb.MultiboardWarning, match="not complete.*mat1 and mat2"):
        writer.add_graph(nn.Sequential(nn.Linear(4, 3), nn.Linear(4, 2)), X)
    assert "layer" in written().graphs


def test_anything_else_is_said(log_dir):
    with mb.SummaryWriter(log_dir) as writer, pytest.warns(mb.MultiboardWarning, match="torch.nn.Module"):
        writer.add_graph(nn.functional.relu, X)
