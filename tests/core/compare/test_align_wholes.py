"""Layers that one model has as one and another as several, and bare parameters that another model has as layers."""

import pytest

from multiboard.compare.align import align
from multiboard.compare.layer_table import Layer, Role


def layer(path, order, shape, *, cls="Dense", role="kernel"):
    size = 1
    for one in shape:
        size *= one
    return Layer(path, cls, order, (Role(role, f"{path}/{role}", f"{path}.{role}", shape, size),), size)


def trunk(*paths):
    return [layer(path, 90 + at, (20 + at, 5)) for at, path in enumerate(paths)]


def pairs_of(a, b):
    return {(pair.a, pair.b): pair.level for pair in align(a, b).pairs if pair.evidence != ("hold the same layers",)}


@pytest.mark.parametrize("shape", [(3, 8, 16), (8, 48)], ids=["stacked", "side by side"])
def test_experts_belong_to_the_layer_that_holds_them_all(shape):
    a = [layer(f"moe/experts/{at}/up", at, (8, 16)) for at in range(3)] + trunk("head")
    b = [layer("moe/up", 0, shape), *trunk("head")]
    assert pairs_of(a, b) == {("head", "head"): "certain"} | {(f"moe/experts/{at}/up", "moe/up"): "certain" for at in range(3)}


def test_gate_and_up_belong_to_the_layer_that_holds_both():
    a = [layer(f"blocks/{at}/{name}", 2 * at + number, (8, 16)) for at in range(3) for number, name in enumerate(("gate", "up"))]
    b = [layer(f"blocks/{at}/gate_up", 2 * at, (8, 32)) for at in range(3)]
    assert pairs_of(a, b).keys() == {
        (f"blocks/{at}/{name}", f"blocks/{at}/gate_up") for at in range(3) for name in ("gate", "up")
    }


def test_key_and_value_belong_to_the_layer_that_holds_both():
    parts = ("query", "key", "value")
    a = [layer(f"h/{at}/attn/{part}", 3 * at + number, (8, 8)) for at in range(3) for number, part in enumerate(parts)]
    b = [layer(f"h/{at}/attn/{part}", 3 * at + number, shape) for at in range(3)
         for number, (part, shape) in enumerate((("q", (8, 8)), ("kv", (2, 8, 4, 2))))]  # fmt: skip
    found = pairs_of(a, b)
    assert found.keys() >= {(f"h/{at}/attn/{part}", f"h/{at}/attn/kv") for at in range(3) for part in parts[1:]}


def test_blocks_belong_to_the_loop_that_runs_through_them():
    a = [layer(f"blocks/{at}/{name}", 2 * at + number, shape) for at in range(3)
         for number, (name, shape) in enumerate((("fc1", (8, 16)), ("fc2", (16, 8))))]  # fmt: skip
    b = [layer("loop/fc1", 0, (3, 8, 16)), layer("loop/fc2", 1, (3, 16, 8))]
    assert pairs_of(a, b) == {(f"blocks/{at}/{name}", f"loop/{name}"): "agreed" for at in range(3) for name in ("fc1", "fc2")}


def test_layers_stay_apart_where_the_other_model_has_some_of_them_too():
    a = [layer(f"blocks/{at}/fc", at, (8, 16)) for at in range(3)]
    b = [layer("blocks/0/fc", 0, (8, 16)), layer("wide", 1, (8, 32))]
    assert {pair for pair in pairs_of(a, b) if pair[1] == "wide"} == set()


def test_layers_stay_apart_that_could_be_one_in_two_ways():
    a = [
        layer(f"blocks/{at}/{name}", 2 * at + number, (8, 16)) for at in range(2) for number, name in enumerate(("left", "right"))
    ]
    b = [layer(name, at, (8, 32)) for at, name in enumerate(("one", "other"))]
    assert not pairs_of(a, b)


def test_a_bare_table_belongs_to_the_embedding_of_the_other_model():
    a = [layer("quantizer/codes", 0, (50, 8), cls="Embedding", role="embedding"), *trunk("head")]
    b = [layer("vq", 0, (50, 8), cls="VectorQuantizer", role="codebook"), *trunk("head")]
    assert pairs_of(a, b)["quantizer/codes", "vq"] == "certain"


def test_a_value_without_a_query_or_a_key_is_no_part_of_an_attention():
    a = [layer(name, at, (8, 8)) for at, name in enumerate(("policy/hidden", "value/hidden", "q/proj", "k/proj", "v/proj"))]
    b = [layer(name, at, (8, 8)) for at, name in enumerate(("actor/fc", "critic/fc", "attn/query", "attn/key", "attn/value"))]
    assert pairs_of(a, b).keys() >= {("policy/hidden", "actor/fc"), ("value/hidden", "critic/fc")}


def test_a_norm_belongs_to_the_one_behind_the_same_kernel():
    def norm(path, order):
        return layer(path, order, (8,), cls="BatchNorm", role="scale")

    a = [layer("block/reduce", 0, (1, 1, 4, 8), cls="Conv"), norm("block/norm1", 1),
         layer("block/spread", 2, (3, 3, 8, 8), cls="Conv"), norm("block/norm2", 3)]  # fmt: skip
    b = [
        layer("conv_b", 0, (3, 3, 8, 8), cls="Conv"),
        norm("bn_b", 1),
        layer("conv_a", 2, (1, 1, 4, 8), cls="Conv"),
        norm("bn_a", 3),
    ]
    assert pairs_of(a, b).keys() == {("block/reduce", "conv_a"), ("block/spread", "conv_b"), ("block/norm1", "bn_a"),
                                     ("block/norm2", "bn_b")}  # fmt: skip
