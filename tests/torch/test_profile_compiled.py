"""Operations in what `torch.compile` has made of a model belong to its layers."""

import shutil
from collections import defaultdict

import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt
from multiboard.profile.summary import summarize
from multiboard.profile.xspace import read_space
from multiboard_torch import _compat_inductor
from multiboard_torch.compiled_graphs import GRAPHS, CompiledGraphs

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="Inductor needs a compiler for a CPU"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of PyTorch's compiler, when it is imported
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),  # of the same, which looks at inputs
]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        return x + self.down(self.up(x).relu())


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.h, self.head = nn.ModuleList([Block(), Block()]), nn.Linear(8, 3)

    def forward(self, x):
        for block in self.h:
            x = block(x)
        return self.head(x)


LAYERS = {"h/0/up", "h/0/down", "h/1/up", "h/1/down", "head"}


@pytest.fixture(autouse=True)
def _fresh(monkeypatch, tmp_path_factory):
    """Compile anew, into a cache that all tests of this file share; that the CPU can do what it says is not tried out."""
    from torch._inductor import config

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "inductor"))
    torch.compiler.reset()
    GRAPHS._graphs.clear()
    with config.patch({"cpp.vec_isa_ok": True}):
        yield
    torch.compiler.reset()


def products(directory, model, call):
    """Train with a window; return how often matrices were multiplied in a step, by layer."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with mb.Run(directory, facts=False) as run:
        profiler = mb.Profiler(run, start=2, steps=2, convert="now")
        with mbt.watch(model, optimizer, run, every=1000, profiler=profiler):
            for _ in range(5):
                call(torch.ones(4, 8)).square().sum().backward()
                optimizer.step()
                optimizer.zero_grad()
    (path,) = directory.glob("plugins/profile/*/*.xplane.pb")
    found = defaultdict(int)
    for row in summarize(read_space(path)).ops:
        if row.op in {"mm", "addmm"}:
            found[row.layer] += row.calls / 2
    return dict(found)


EXPECTED = dict.fromkeys(LAYERS, 1) | {f"backward/{layer}": 2 for layer in LAYERS} | {"backward/h/0/up": 1}
"""The input needs no gradient."""


def test_products_of_a_compiled_model_belong_to_its_layers_forward_and_backward_and_when_they_come_from_a_cache(tmp_path):
    model = Model()
    assert products(tmp_path / "first", model, torch.compile(model)) == EXPECTED
    torch.compiler.reset()
    GRAPHS._graphs.clear()
    assert products(tmp_path / "again", model, torch.compile(model)) == EXPECTED


def test_products_of_a_model_inside_a_compiled_function_belong_to_its_layers(tmp_path):
    model = Model()
    assert products(tmp_path, model, torch.compile(lambda x: model(x) * 1)) == EXPECTED


def test_products_of_blocks_that_are_compiled_one_by_one_belong_to_their_layers(tmp_path):
    model = Model()
    for number, block in enumerate(model.h):
        model.h[number] = torch.compile(block)
    found = products(tmp_path, model, model)
    assert {layer: found.get(layer) for layer in LAYERS} == dict.fromkeys(LAYERS, 1)
    assert found["backward/h/1/up"] == found["backward/h/1/down"] == 2


def test_a_graph_that_cannot_be_described_is_compiled_as_ever(monkeypatch):
    monkeypatch.setattr("multiboard_torch.compiled_graphs.graph_of", None)
    GRAPHS.listen()
    assert torch.compile(lambda x: x.cos() + 1)(torch.zeros(3)).tolist() == [2, 2, 2]
    assert not GRAPHS._graphs
    assert not GRAPHS._open


def test_a_graph_that_cannot_be_compiled_fails_as_ever(monkeypatch):
    GRAPHS.listen()
    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", None)
    with pytest.raises(Exception, match="not callable"):
        torch.compile(lambda x: x.cos() + 1)(torch.zeros(3))
    assert not GRAPHS._open


def test_without_the_private_names_nothing_is_known(monkeypatch):
    monkeypatch.delattr("torch._TorchCompileInductorWrapper")
    monkeypatch.setattr("torch._inductor.codecache.PyCodeCache", None)
    graphs = CompiledGraphs()
    graphs.listen()
    assert not _compat_inductor.listen_to_inductor(graphs.begins, graphs.ends)
    assert graphs.facts() == []
