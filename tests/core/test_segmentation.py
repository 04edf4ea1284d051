"""A mask tints the picture where it says, and only there."""

import io

import numpy as np
import pytest
from PIL import Image

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
MASK = np.random.default_rng(1).integers(-1, 3, (6, 7))
PALETTE = [[0, 0, 0], [200, 0, 0], [0, 100, 0]]


def pictures(written, image, mask, **arguments):
    encoded = written(lambda run: run.segmentation("s", image, mask, 0, **arguments)).images["s"].value[0]
    return np.array([np.asarray(Image.open(io.BytesIO(data))) for data in encoded])


@pytest.mark.parametrize("alpha", [0, 0.25, 1])
def test_labels_are_mixed_in_and_background_stays(written, alpha):
    (drawn,) = pictures(written, PICTURE, MASK, alpha=alpha, palette=np.array(PALETTE, np.uint8))
    colours = np.array(PALETTE)[np.maximum(MASK, 0)]
    expected = np.where(MASK[..., None] > 0, np.rint((1 - alpha) * PICTURE + alpha * colours), PICTURE)
    np.testing.assert_array_equal(drawn, expected)


def test_a_batch_has_a_mask_for_each_picture(written):
    drawn = pictures(written, np.stack([PICTURE] * 2), np.stack([MASK * 0, MASK * 0 + 1]), alpha=1)
    np.testing.assert_array_equal(drawn[0], PICTURE)
    assert (drawn[1] == drawn[1][0, 0]).all()


def test_labels_have_different_colours_without_a_palette(written):
    mask = np.arange(1, 11).reshape(1, 10)
    (drawn,) = pictures(written, np.zeros((1, 10)), mask)
    assert len(np.unique(drawn[0], axis=0)) == 10
