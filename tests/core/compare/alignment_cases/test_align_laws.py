"""What holds for any model."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiboard.compare.align import align
from multiboard.compare.layer_table import Layer, Role

WORDS = st.text("abcdefghijklmnop", min_size=3, max_size=8)
SIZES = st.sampled_from([(8, 8), (8, 16), (16, 8)])


def dense(path, order, sizes):
    inner, outer = sizes
    kernel = Role("kernel", f"{path}/kernel", f"{path}.weight", (outer, inner), inner * outer)
    return Layer(path, "Linear", order, (kernel, Role("bias", f"{path}/bias", f"{path}.bias", (outer,), outer)), None)


@st.composite
def models(draw, most=12):
    paths = draw(st.lists(WORDS, min_size=1, max_size=most, unique=True))
    return [dense(path, order, draw(SIZES)) for order, path in enumerate(paths)]


@given(models())
@settings(max_examples=60, deadline=None)
def test_a_model_is_certain_to_be_itself(model):
    assert [(pair.a, pair.b, pair.level) for pair in align(model, model).pairs] == [
        (layer.path, layer.path, "certain") for layer in model
    ]


@given(models(), st.data())
@settings(max_examples=60, deadline=None)
def test_renamed_layers_are_found_or_their_pairs_are_guesses(model, data):
    count = len(model)
    names = data.draw(st.lists(WORDS, min_size=count, max_size=count, unique=True))
    renamed = [dense(name, layer.order, layer.roles[0].shape[::-1]) for name, layer in zip(names, model, strict=True)]
    partner = {layer.path: name for layer, name in zip(model, names, strict=True)}
    shared = {layer.path for layer in model} & set(names)
    found = align(model, renamed).pairs
    assert len(found) == count
    assert all(partner[pair.a] == pair.b or pair.level == "guess" or pair.a in shared or pair.b in shared for pair in found)


@given(models(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_listing_changes_nothing_that_is_trusted(model, shuffle):
    other = [dense(f"net/{layer.order}", layer.order, layer.roles[0].shape[::-1]) for layer in model]
    plain = {(pair.a, pair.b) for pair in align(model, other).pairs if pair.level != "guess"}
    mixed = [shuffle.sample(side, len(side)) for side in (model, other)]
    assert {(pair.a, pair.b) for pair in align(*mixed).pairs if pair.level != "guess"} == plain


@given(models())
@settings(max_examples=60, deadline=None)
def test_exchanged_models_have_the_exchanged_trusted_pairs(model):
    other = [dense(f"net/{layer.order}", layer.order, layer.roles[0].shape[::-1]) for layer in model]
    there = {(pair.a, pair.b, pair.level) for pair in align(model, other).pairs if pair.level != "guess"}
    back = {(pair.b, pair.a, pair.level) for pair in align(other, model).pairs if pair.level != "guess"}
    assert there == back


@given(st.integers(1, 5), st.sampled_from(["q_proj k_proj v_proj", "query key value", "wq wk wv"]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_split_projection_belongs_to_the_whole_one(blocks, names, graph):
    whole, split, truth = [], [], set()
    for block in range(blocks):
        whole.append(dense(f"h/{block}/attn/c_attn", block if graph else None, (8, 24)))
        for at, name in enumerate(names.split()):
            split.append(dense(f"blocks/{block}/attn/{name}", 3 * block + at if graph else None, (8, 8)))
            truth.add((whole[-1].path, split[-1].path))
    found = align(whole, split)
    assert {(pair.a, pair.b) for pair in found.pairs} == truth
    assert "guess" not in {pair.level for pair in found.pairs}


@pytest.mark.parametrize("graph", [True, False])
def test_a_thousand_layers_cost_little_more_than_ten_times_a_hundred(graph):
    def seconds(count):
        model = [dense(f"net/{2 * at}", at if graph else None, (8, 8)) for at in range(count)]
        other = [dense(f"dense_{at}", at if graph else None, (8, 8)) for at in range(count)]
        other = other[1::2] + other[::2]
        start = time.perf_counter()
        align(model, other)
        return time.perf_counter() - start

    assert seconds(1000) < 150 * max(seconds(100) for _ in range(3))
