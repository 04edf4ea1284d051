"""What is written of an observed training step of PyTorch is a graph without loose ends, also as TensorBoard reads it."""

import pytest
import torch
from tensorboard.compat.proto import graph_pb2
from torch import nn

import multiboard as mb
import multiboard.torch as mbt


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.lstm, self.head = nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x):
        x = self.norm(self.conv(x)).relu_().mean(1)
        x, _ = self.lstm(x)
        return {"logits": self.head(x[:, -1]), "hidden": x, "past": None}


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    model, x = Model(), torch.ones(2, 3, 8, 8)
    optimizer = torch.optim.AdamW(model.parameters())
    with mb.Run(directory) as run, mbt.graph(model, run, backward=True):
        model(x)["logits"].square().mean().backward()
        optimizer.step()
    return mb.read(directory)["."].graphs


@pytest.mark.parametrize("tag", ["Default", "layer", "api", "op"])
def test_names_are_unique_and_every_input_is_there(tag, graphs):
    graph = graph_pb2.GraphDef.FromString(graphs[tag].value[0])
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    assert {one.partition(":")[0].removeprefix("^") for node in graph.node for one in node.input} <= set(names)


def test_layers_of_a_step_are_shown_with_their_gradients_and_one_optimizer(graphs):
    graph = graph_pb2.GraphDef.FromString(graphs["layer"].value[0])
    shown = {node.name: node.op for node in graph.node}
    assert {
        "conv": "Conv2D",
        "norm": "BatchNorm",
        "lstm": "LSTM",
        "head": "Dense",
    }.items() <= shown.items()
    assert {f"backward/{name}" for name in ("conv", "norm", "lstm", "head")} <= shown.keys()
    assert [name for name in shown if name.startswith("optimizer")] == ["optimizer"]
