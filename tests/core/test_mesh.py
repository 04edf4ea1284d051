"""A mesh arrives in its parts."""

import numpy as np
import pytest

VERTICES = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
FACES = np.array([[[0, 1, 2]], [[2, 3, 4]]])
COLOURS = np.random.default_rng(1).integers(0, 256, (2, 5, 3), np.uint8)


@pytest.mark.parametrize("batch", [True, False])
def test_every_part_is_kept_exactly(written, batch):
    parts = [part if batch else part[0] for part in (VERTICES, FACES, COLOURS)]
    data = written(lambda run: run.mesh("m", parts[0], 4, faces=parts[1], colors=parts[2]))
    for name, part in zip(("VERTEX", "FACE", "COLOR"), (VERTICES, FACES, COLOURS), strict=True):
        np.testing.assert_array_equal(data.meshes[f"m_{name}"].value[0], part if batch else part[:1])


def test_a_point_cloud_has_one_part(written):
    assert list(written(lambda run: run.mesh("m", VERTICES, 4)).meshes) == ["m_VERTEX"]


def test_float_colours_are_scaled(written):
    data = written(lambda run: run.mesh("m", VERTICES, 4, colors=COLOURS / 255))
    np.testing.assert_array_equal(data.meshes["m_COLOR"].value[0], COLOURS)
