"""Transforms bring tensors of every framework into one layout, and say so in shapes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiboard import transforms
from multiboard.errors import ArgumentError
from multiboard.transforms import canonical, canonical_shape, merge, pieces, then, transpose

CASES = {
    "a dense kernel of PyTorch": ((5, 3), transpose(1, 0), (3, 5)),
    "a convolution of PyTorch": ((8, 3, 5, 7), transpose(2, 3, 1, 0), (5, 7, 3, 8)),
    "a kernel with heads": ((24, 4, 6), merge(1), (24, 24)),
    "an output kernel with heads": ((4, 6, 20), merge(2), (24, 20)),
    "a bias with heads": ((4, 6), transforms.FLATTEN, (24,)),
    "a depthwise kernel": ((3, 3, 4, 2), transforms.DEPTHWISE, (3, 3, 1, 8)),
    "a transposed convolution": ((3, 3, 5, 2), "flip 0 1", (3, 3, 5, 2)),
    "a fused kernel": ((72, 24), then(transpose(1, 0), transforms.THIRDS), (24, 72)),
    "a kernel of gates": ((6, 4), then(transpose(1, 0), transforms.blocks(1, 0, 2)), (4, 6)),
    "anything else": ((2, 3), transforms.IDENTITY, (2, 3)),
}


@pytest.mark.parametrize(("shape", "transform", "wanted"), CASES.values(), ids=CASES)
def test_shape_and_values_agree_and_no_element_is_lost(shape, transform, wanted):
    array = np.arange(np.prod(shape)).reshape(shape)
    found = canonical(array, transform)
    assert found.shape == canonical_shape(shape, transform) == wanted
    assert sorted(found.ravel()) == sorted(array.ravel())
    assert transforms.is_transform(transform)


def test_a_fused_kernel_falls_into_query_key_and_value():
    parts = [np.full((6, 4), number) for number in range(3)]
    found = pieces(np.concatenate(parts), then(transpose(1, 0), transforms.THIRDS))
    assert [part.shape for part in found] == [(4, 6)] * 3
    assert [np.unique(part).tolist() for part in found] == [[0], [1], [2]]


def test_what_is_not_fused_is_one_piece():
    assert [part.shape for part in pieces(np.zeros((2, 3)), transpose(1, 0))] == [(3, 2)]


def test_blocks_of_the_last_axis_change_places():
    assert canonical(np.arange(12).reshape(2, 6), "blocks 1 0 2").tolist() == [[2, 3, 0, 1, 4, 5], [8, 9, 6, 7, 10, 11]]


def test_a_flip_turns_the_axes_that_it_names():
    assert canonical(np.arange(4).reshape(2, 2), "flip 1").tolist() == [[1, 0], [3, 2]]


@pytest.mark.parametrize(
    "text", ["turn", "transpose", "transpose a", "merge", "merge 1 2", "flatten 1", "transpose 1 0,thirds", " "]
)
def test_another_text_is_no_transform(text):
    assert not transforms.is_transform(text)
    with pytest.raises(ArgumentError, match="transform"):
        canonical(np.zeros((2, 2)), text)


@pytest.mark.parametrize(
    ("shape", "transform"),
    [
        ((2,), transpose(1, 0)),
        ((2, 3), "flip 2"),
        ((2,), merge(2)),
        ((2,), "depthwise"),
        ((4,), "blocks 1 0 2"),
        ((2,), "blocks 2 1"),
        ((), "blocks 0"),
    ],
)
def test_a_transform_refuses_a_shape_that_it_does_not_fit(shape, transform):
    with pytest.raises(ArgumentError, match="does not fit"):
        canonical(np.zeros(shape), transform)
    with pytest.raises(ArgumentError, match="does not fit"):
        canonical_shape(shape, transform)


@given(st.text(max_size=30))
def test_any_text_is_a_transform_or_is_refused(text):
    if not transforms.is_transform(text):
        with pytest.raises(ArgumentError):
            canonical_shape((2, 2), text)
