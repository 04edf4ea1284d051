"""Numbers and texts as one block of bytes."""

import gzip
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from multiboard.page.pack import pack, unpack

TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)
DTYPES = st.sampled_from([np.float32, np.float64, np.int32, np.uint8, np.int64, np.bool_])


@given(arrays.arrays(DTYPES, st.integers(0, 20)))
def test_every_array_comes_back_with_its_numbers(values):
    back = unpack(pack({"a": values}))["a"]
    np.testing.assert_array_equal(back, values.astype(np.float64) if values.dtype == np.int64 else values)


@given(st.recursive(TEXTS | st.integers(-(2**50), 2**50) | st.booleans() | st.none(), lambda inner: st.lists(inner, max_size=3)))
def test_texts_and_numbers_come_back_as_they_were_also_halves_of_characters(content):
    assert unpack(pack({"content": content})) == {"content": content}


def test_what_is_not_a_finite_number_has_a_spelling_in_json():
    assert unpack(pack([math.nan, math.inf, -math.inf, np.float32(0.5)])) == [None, "inf", "-inf", 0.5]


def test_not_a_number_and_infinity_stay_in_arrays():
    values = np.array([math.nan, math.inf, -math.inf, -0.0], np.float32)
    assert unpack(pack(values)).tobytes() == values.tobytes()


def test_the_numbers_begin_at_multiples_of_eight_bytes():
    data = pack({"a": np.ones(3, np.float32), "b": np.ones(2), "c": b"xyz", "d": np.ones(1)})
    size = int.from_bytes(data[4:8], "little")
    assert (8 + size) % 8 == 0
    assert np.frombuffer(data[8 + size :], np.float64, 2, 16).tolist() == [1.0, 1.0]


def test_the_same_content_makes_the_same_bytes_whatever_the_order_of_its_keys():
    assert pack({"a": 1, "b": np.arange(9)}) == pack({"b": np.arange(9), "a": 1})


def test_steps_shrink_to_almost_nothing_and_equal_steps_are_held_once():
    steps = np.arange(0, 10**6, 100)
    once, twice = pack({"a": steps}), pack({"a": steps, "b": steps.copy()})
    assert len(twice) - len(once) < 40
    assert len(gzip.compress(once)) < 200


def test_a_text_that_looks_like_the_place_of_an_array_stays_a_text():
    content = {"$": "f8", "one": {"$": "x"}}
    assert unpack(pack(content)) == content


def test_other_bytes_are_refused():
    with pytest.raises(ValueError, match="no packed bytes"):
        unpack(b"MBP2" + bytes(20))
    with pytest.raises(ValueError, match="no packed bytes"):
        unpack(pack({"a": 1})[:12])
