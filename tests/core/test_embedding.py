"""An embedding is files of the Projector, and the config names them all."""

import io
import re

import numpy as np
import pytest
from PIL import Image

import multiboard as mb

VECTORS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
PICTURES = np.random.default_rng(1).integers(0, 256, (5, 4, 6, 3), np.uint8)


def config(log_dir):
    """The blocks of the config as lists of fields, quotes removed."""
    text = (log_dir / "projector_config.pbtxt").read_text()
    blocks = re.findall(r"^embeddings \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    return [dict(re.findall(r'(\w+): "(.*)"', block)) for block in blocks]


@pytest.fixture
def logged(log_dir, written):
    """A function that logs one embedding and returns its block of the config and the run directory."""

    def log(*arguments, **keywords):
        written(lambda run: run.embedding(*arguments, **keywords))
        (block,) = config(log_dir)
        return block

    return log


def test_vectors_are_exact_as_text(logged, log_dir):
    block = logged("tokens", VECTORS)
    np.testing.assert_array_equal(np.loadtxt(log_dir / block["tensor_path"], dtype=np.float32), VECTORS)
    assert block["tensor_name"] == "tokens"
    assert "metadata_path" not in block


def test_labels_are_lines_without_header(logged, log_dir):
    block = logged("tokens", VECTORS, labels=["a", "b\tc", "d\ne", 4, "ä"])
    assert (log_dir / block["metadata_path"]).read_text(encoding="utf-8").splitlines() == ["a", "b c", "d e", "4", "ä"]


def test_rows_of_labels_have_a_header(logged, log_dir):
    block = logged("tokens", VECTORS, labels=[[i, f"w{i}"] for i in range(5)], columns=["id", "word"])
    lines = (log_dir / block["metadata_path"]).read_text().splitlines()
    assert lines[:2] == ["id\tword", "0\tw0"]
    assert len(lines) == 6


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2)])
def test_a_sprite_holds_the_pictures_row_by_row(logged, log_dir, axes):
    block = logged("tokens", VECTORS, sprite=PICTURES.transpose(axes))
    sprite = np.asarray(Image.open(io.BytesIO((log_dir / block["image_path"]).read_bytes())))
    assert sprite.shape == (12, 18, 3)
    np.testing.assert_array_equal(sprite[4:8, 6:12], PICTURES[4])
    assert "single_image_dim: 6\n    single_image_dim: 4\n" in (log_dir / "projector_config.pbtxt").read_text()


def test_tags_and_steps_accumulate_and_the_same_step_replaces(log_dir):
    for vectors in (VECTORS, VECTORS * 2):  # the second run of a resumed job keeps the first one's blocks
        with mb.Run(log_dir) as run:
            run.embedding("a/b", vectors, step=1)
            run.embedding("a/b", vectors, step=2)
            run.embedding("..", vectors)
    blocks = config(log_dir)
    assert sorted(block["tensor_name"] for block in blocks) == ["..", "a/b (step 1)", "a/b (step 2)"]
    assert len({block["tensor_path"] for block in blocks}) == 3
    for block in blocks:
        path = log_dir / block["tensor_path"]
        assert path.resolve().is_relative_to(log_dir.resolve() / "projector")
        np.testing.assert_array_equal(np.loadtxt(path, dtype=np.float32), VECTORS * 2)


def test_blocks_of_another_writer_stay_in_the_config(log_dir, written):
    log_dir.mkdir()
    foreign = 'embeddings {\n  tensor_name: "theirs"\n  tensor_path: "x.tsv"\n}\n'
    (log_dir / "projector_config.pbtxt").write_text(foreign)
    written(lambda run: run.embedding("ours", VECTORS))
    assert [block["tensor_name"] for block in config(log_dir)] == ["theirs", "ours"]


def test_vectors_that_are_not_finite_are_said(log_dir):
    with pytest.warns(mb.MultiboardWarning, match=r"'tokens' has 1 of 2 vectors that are not finite"), mb.Run(log_dir) as run:
        run.embedding("tokens", [[1.0, np.nan], [1.0, 2.0]])


def test_one_picture_too_large_for_the_projector_is_refused_with_the_size_that_fits(log_dir):
    with mb.Run(log_dir) as run, pytest.raises(mb.ValueShapeError, match=r"8192.*at most 2730 x 2730"):
        run.embedding("tokens", VECTORS, sprite=np.zeros((5, 2731, 2), np.uint8))
