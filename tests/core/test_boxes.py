"""Boxes are in the pixels of the picture, and nothing else is changed."""

import io

import numpy as np
import pytest
from PIL import Image

BLACK = np.zeros((20, 30, 3), np.uint8)


def picture(written, pixels, boxes, labels=None):
    (data,) = written(lambda run: run.image("i", pixels, 0, boxes=boxes, box_labels=labels)).images["i"].value[-1]
    return np.asarray(Image.open(io.BytesIO(data)))


def outline(x0, y0, x1, y1):
    mask = np.zeros(BLACK.shape[:2], bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    mask[y0 + 1 : y1, x0 + 1 : x1] = False
    return mask


@pytest.mark.parametrize("pixels", [BLACK, BLACK[..., 0], np.zeros((20, 30, 1))], ids=["colour", "grey", "float"])
def test_exactly_the_outline_is_drawn(written, pixels):
    drawn = picture(written, pixels, [[3, 4, 12, 9]])
    np.testing.assert_array_equal(drawn.any(axis=-1), outline(3, 4, 12, 9))


def test_corners_may_be_swapped(written):
    np.testing.assert_array_equal(picture(written, BLACK, [[12, 9, 3, 4]]).any(axis=-1), outline(3, 4, 12, 9))


def test_two_boxes_have_two_colours(written):
    drawn = picture(written, BLACK, [[0, 0, 5, 5], [10, 10, 15, 15]])
    assert (drawn[0, 0] != drawn[10, 10]).any()


@pytest.mark.parametrize("boxes", [[], [[np.nan, 0, 5, 5]], [[100, 100, 200, 200]], np.zeros((0, 4))])
def test_a_box_that_cannot_be_seen_leaves_the_picture_as_it_is(written, boxes):
    np.testing.assert_array_equal(picture(written, BLACK, boxes), BLACK)


def test_a_box_that_leaves_the_picture_is_cut(written):
    drawn = picture(written, BLACK, [[-5, 4, 1000, 9]]).any(axis=-1)
    assert drawn[4].all()
    assert drawn[9].all()
    assert not drawn[5:9].any()


def test_labels_are_written_inside_their_box(written):
    plain = picture(written, np.zeros((60, 80, 3), np.uint8), [[5, 5, 70, 50]])
    labelled = picture(written, np.zeros((60, 80, 3), np.uint8), [[5, 5, 70, 50]], ["cat"])
    changed = np.argwhere((plain != labelled).any(axis=-1))
    assert len(changed) > 20
    assert changed.min() >= 5
    assert labelled.min(axis=-1).max() > 180  # the letters are white
