"""Wrapped and sharded models show the graph of the bare one."""

import pytest
import torch
from torch import distributed as dist
from torch import nn

import multiboard.torch as mbt
from multiboard.graph import layers

X = torch.ones(3, 4)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Tanh(), nn.Linear(4, 2)))


def sharded(model):
    for layer in (model[0], model[1]):
        dist.fsdp.fully_shard(layer)
    return dist.fsdp.fully_shard(model)


class Parallel(nn.Module):
    """Wraps as trainers do: the model is called `module`."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)


WRAPPERS = {
    "DataParallel": nn.DataParallel,
    "DistributedDataParallel": nn.parallel.DistributedDataParallel,
    "fully_shard": sharded,
    "compiled": lambda model: torch.compile(model, backend="eager"),
    "compiled and wrapped": lambda model: Parallel(torch.compile(model, backend="eager")),
    "wrapped and compiled": lambda model: torch.compile(nn.parallel.DistributedDataParallel(model), backend="eager"),
    "with a compiled part": lambda model: nn.Sequential(torch.compile(model[0], backend="eager"), model[1]),
}


@pytest.fixture(scope="module")
def alone():
    """A distributed job of this process."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def shown(model, *, backward):
    if not backward:
        recording = mbt.graph(model)
        model(X)
    else:
        with mbt.graph(model, backward=True) as recording:
            model(X).square().sum().backward()
    return recording.graph


def rows_of(graph, bare):
    """Return the layers of a graph, without the operators that gather what is sharded."""
    return [row for row in layers(graph) if row in layers(bare) or row.params]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "with gradients"])
@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapped_model_shows_the_layers_of_the_bare_one(name, backward, check_graph):
    torch.compiler.reset()
    bare, wrapped = shown(network(), backward=backward), shown(WRAPPERS[name](network()), backward=backward)
    check_graph(wrapped)
    assert wrapped.notes == ()
    assert rows_of(wrapped, bare) == rows_of(bare, bare)
    assert sum(node.params for node in wrapped.nodes) == 30
    assert sum(node.flops for node in wrapped.nodes) == sum(node.flops for node in bare.nodes)
    paths = [{node.attrs["path"] for node in graph.nodes if node.op == "Const_Parameter"} for graph in (wrapped, bare)]
    assert paths[0] == paths[1]
    torch.compiler.reset()


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", WRAPPERS)
def test_an_example_shows_the_same(name):
    torch.compiler.reset()
    bare, wrapped = mbt.graph(network(), example=X).graph, mbt.graph(WRAPPERS[name](network()), example=X).graph
    assert rows_of(wrapped, bare) == layers(bare)
    torch.compiler.reset()
