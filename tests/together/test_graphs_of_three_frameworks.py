"""The same transformer in PyTorch, linen and NNX: their graphs tell the same story, layer by layer."""

import math
from difflib import SequenceMatcher
from pathlib import Path
from runpy import run_path

import pytest
import torch
from torch import nn

import multiboard.jax as mbj
import multiboard.torch as mbt
from multiboard.graph import diff, layers, summarize

SHARED = run_path(str(Path(__file__).parents[1] / "jax" / "programs" / "shared_transformer.py"), run_name="shared_transformer")
VOCABULARY, WIDTH, HEADS, DEPTH = (SHARED[name] for name in ("VOCABULARY", "WIDTH", "HEADS", "DEPTH"))
TOKENS = torch.zeros(SHARED["BATCH"], SHARED["LENGTH"], dtype=torch.int32)
MASK = torch.ones(SHARED["LENGTH"], SHARED["LENGTH"], dtype=torch.bool).tril()


def attend(q, k, v, mask):
    batch, length, width = q.shape
    q, k, v = (torch.permute(torch.reshape(x, (batch, length, HEADS, width // HEADS)), (0, 2, 1, 3)) for x in (q, k, v))
    scores = torch.matmul(q, torch.permute(k, (0, 1, 3, 2))) * (width // HEADS) ** -0.5
    weights = torch.softmax(torch.where(mask, scores, -1e9), dim=-1)
    return torch.reshape(torch.permute(torch.matmul(weights, v), (0, 2, 1, 3)), (batch, length, width))


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x, mask):
        return self.out(attend(self.q(x), self.k(x), self.v(x), mask))


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.proj = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        return self.proj(nn.functional.gelu(self.fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn, self.mlp = SelfAttention(), FeedForward()

    def forward(self, x, mask):
        x = x + self.attn(self.ln1(x), mask)
        return x + self.mlp(self.ln2(x))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY)

    def forward(self, tokens, mask):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


def torch_graph():
    return mbt.graph(Transformer(), example=(TOKENS, MASK)).graph


def linen_graph():
    model, arguments = SHARED["linen_transformer"]()
    return mbj.graph(model, *arguments)


def nnx_graph():
    model, arguments = SHARED["nnx_transformer"]()
    return mbj.graph(model, *arguments)


@pytest.fixture(scope="module")
def graphs():
    return {"torch": torch_graph(), "linen": linen_graph(), "nnx": nnx_graph()}


def sequence(graph):
    return [(row.op, row.shape, row.params) for row in layers(graph)]


@pytest.mark.parametrize(("one", "other"), [("torch", "linen"), ("torch", "nnx"), ("linen", "nnx")])
def test_the_layers_of_a_transformer_are_the_same_sequence_in_two_frameworks(graphs, one, other):
    a, b = sequence(graphs[one]), sequence(graphs[other])
    assert SequenceMatcher(None, a, b, autojunk=False).ratio() >= 0.95, (a, b)


def test_parameters_and_flops_are_the_same_numbers_in_three_frameworks(graphs):
    totals = {name: summarize(graph).totals for name, graph in graphs.items()}
    wanted = sum(parameter.numel() for parameter in Transformer().parameters())
    assert {name: total.params for name, total in totals.items()} == dict.fromkeys(graphs, wanted)
    assert len({total.flops for total in totals.values()}) == 1, totals


def test_paths_of_layers_are_the_same_but_for_the_numbers_of_blocks_in_linen(graphs):
    named = {name: [row.path for row in layers(graph) if row.params] for name, graph in graphs.items()}
    assert named["torch"] == named["nnx"] == [path.replace("blocks_", "blocks/") for path in named["linen"]]


@pytest.mark.parametrize("other", ["linen", "nnx"])
def test_models_differ_in_names_only(graphs, other):
    found = diff(graphs["torch"], graphs[other])
    assert not found, str(found)
    assert {row.what for row in found.names} <= {"container"}, str(found)


def test_every_edge_comes_from_an_output_that_exists(graphs):
    for graph in graphs.values():
        assert all(slot < len(graph.nodes[source].outputs) for node in graph.nodes for source, slot in node.inputs)
        assert set(graph.notes) <= {"Of shapes only: nothing was computed."}


def test_flops_are_those_that_a_person_counts(graphs):
    tokens = math.prod(TOKENS.shape)
    per_block = 2 * tokens * (4 * WIDTH * WIDTH + 8 * WIDTH * WIDTH) + 2 * 2 * tokens * TOKENS.shape[1] * WIDTH
    wanted = DEPTH * per_block + 2 * tokens * WIDTH * VOCABULARY
    assert summarize(graphs["torch"]).totals.flops == wanted
