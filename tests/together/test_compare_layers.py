"""The layers of one transformer in PyTorch, linen and NNX are aligned from what runs of them hold."""

from pathlib import Path
from runpy import run_path

import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.jax as mbj
import multiboard.torch as mbt
from multiboard.compare.align import align
from multiboard.compare.layer_table import layer_table

SHARED = run_path(str(Path(__file__).parents[1] / "jax" / "programs" / "shared_transformer.py"), run_name="shared_transformer")
VOCABULARY, WIDTH, HEADS, DEPTH = (SHARED[name] for name in ("VOCABULARY", "WIDTH", "HEADS", "DEPTH"))
TOKENS = torch.zeros(SHARED["BATCH"], SHARED["LENGTH"], dtype=torch.int32)
LAYERS = {"ln1": "norm1", "ln2": "norm2", "attn/out": "self_attn/out_proj", "mlp/fc": "linear1", "mlp/proj": "linear2"}
"""What PyTorch's own encoder calls the layers of a block."""


class BuiltIn(nn.Module):
    """Made of PyTorch's own encoder layers, whose query, key and value are one tensor."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, DEPTH, norm=nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.logits = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, tokens):
        return self.logits(self.encoder(self.tokens(tokens)))


def graph_of(name):
    if name == "torch":
        return mbt.graph(BuiltIn(), example=(TOKENS,)).graph
    model, arguments = SHARED[f"{name}_transformer"]()
    return mbj.graph(model, *arguments)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    found = {}
    for name in ("torch", "linen", "nnx"):
        directory = tmp_path_factory.mktemp(name)
        with mb.Run(directory) as run:
            run.graph(graph_of(name))
        found[name] = layer_table(mb.read(directory)["."])
    return found


def truth(block):
    """Return the true partners of the layers that have parameters, by how the other model calls a block."""
    pairs = {("tokens", "embed"), ("encoder/norm", "norm"), ("logits", "head")}
    for at in range(DEPTH):
        home, other = f"encoder/layers/{at}", block.format(at)
        pairs |= {(f"{home}/{torch_name}", f"{other}/{name}") for name, torch_name in LAYERS.items()}
        pairs |= {(f"{home}/self_attn", f"{other}/attn/{part}") for part in "qkv"}
    return pairs


@pytest.mark.parametrize(("other", "block"), [("linen", "blocks_{}"), ("nnx", "blocks/{}")])
def test_layers_of_the_built_in_encoder_belong_to_those_of_flax(tables, other, block):
    found = align(tables["torch"], tables[other])
    named = {(pair.a, pair.b) for pair in found.pairs if pair.evidence != ("hold the same layers",)}
    assert named >= truth(block)
    assert {pair.level for pair in found.pairs if (pair.a, pair.b) in truth(block)} <= {"certain", "agreed"}


def test_layers_of_linen_belong_to_those_of_nnx(tables):
    found = align(tables["linen"], tables["nnx"])
    weighty = {layer.path for layer in tables["linen"] if layer.roles}
    assert {pair.a for pair in found.pairs} >= weighty
    assert all(pair.b == pair.a.replace("blocks_", "blocks/") and pair.level != "guess" for pair in found.pairs)
