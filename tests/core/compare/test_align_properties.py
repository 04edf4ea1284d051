"""What a name may change without a change of the pairs: its words, what stands before it, and the process that reads it."""

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiboard.compare.align import align
from multiboard.compare.layer_table import Layer, Role

SPELLINGS = {
    "attention": ("attn", "attention", "self_attn", "mha"),
    "query": ("query", "q_proj", "wq", "to_q"),
    "key": ("key", "k_proj", "wk", "to_k"),
    "value": ("value", "v_proj", "wv", "to_v"),
    "out": ("out", "o_proj", "wo", "to_out"),
    "feed_forward": ("mlp", "ffn", "feed_forward"),
    "block": ("blocks", "layers", "h"),
}
PREFIXES = ("", "module/", "model/", "backbone/", "net/model/", "portrait/", "outer/inner/")
PROGRAM = """
from multiboard.compare.tokens import likenesses
words = "block stage conv norm attn query left right".split()
print([likenesses([words[:end]], [words[:end]]).tolist() for end in range(1, 9)])
"""


def layer(path, order, inner, outer):
    shape = (outer, inner)
    return Layer(path, "Linear", order, (Role("kernel", f"{path}/kernel", f"{path}.weight", shape, inner * outer),), None)


def transformer(words, blocks, prefix="", *, graph=True):
    """Return the layers of a transformer that spells its words in its own way."""
    found = []
    for block in range(blocks):
        head = f"{prefix}{words['block']}/{block}"
        paths = [f"{head}/{words['attention']}/{words[part]}" for part in ("query", "key", "value", "out")]
        paths += [f"{head}/{words['feed_forward']}/{number}" for number in (0, 2)]
        sizes = [(8, 8)] * 4 + [(8, 32), (32, 8)]
        orders = range(len(found), len(found) + len(paths)) if graph else [None] * len(paths)
        found += [layer(path, order, *size) for path, order, size in zip(paths, orders, sizes, strict=True)]
    return found


words = st.fixed_dictionaries({word: st.sampled_from(spellings) for word, spellings in SPELLINGS.items()})


@given(words, words, st.integers(1, 4), st.booleans())
@settings(max_examples=40, deadline=None)
def test_other_words_for_the_same_layers_leave_the_pairs_right(mine, other, blocks, graph):
    a, b = (transformer(spelled, blocks, graph=graph) for spelled in (mine, other))
    pairs = align(a, b).pairs
    assert {(pair.a, pair.b) for pair in pairs} == {(left.path, right.path) for left, right in zip(a, b, strict=True)}
    assert not [pair for pair in pairs if pair.level == "guess" and graph]


@given(words, st.sampled_from(PREFIXES), st.sampled_from(PREFIXES), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_containers_around_a_model_change_no_pair_and_no_level(spelled, mine, other, blocks):
    plain = [pair.level for pair in align(transformer(spelled, blocks), transformer(spelled, blocks)).pairs]
    a, b = (transformer(spelled, blocks, prefix) for prefix in (mine, other))
    pairs = align(a, b).pairs
    assert [(pair.a, pair.b) for pair in pairs] == [(left.path, right.path) for left, right in zip(a, b, strict=True)]
    assert len(pairs) == len(plain)
    assert "guess" not in {pair.level for pair in pairs}


@pytest.mark.parametrize("lost", range(3))
@given(words, words)
@settings(max_examples=15, deadline=None)
def test_a_block_that_a_port_lacks_leaves_no_wrong_pair_unsaid(lost, mine, other):
    a, b = transformer(mine, 3), [one for one in transformer(other, 3) if not one.path.startswith(f"{other['block']}/{lost}/")]
    partner = {left.path: right.path for left, right in zip(a, transformer(other, 3), strict=True)}
    assert not [pair for pair in align(a, b).pairs if partner[pair.a] != pair.b and pair.level != "guess"]


def test_every_process_finds_names_equally_alike():
    found = set()
    for seed in ("1", "2", "4", "6"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PROGRAM]
        found.add(subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout)
    assert len(found) == 1
