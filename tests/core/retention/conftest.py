"""A run that was rotated, killed and resumed."""

import os

import numpy as np
import pytest

import multiboard as mb

KINDS = ("scalars", "histograms", "images", "texts", "audios", "pr_curves", "meshes", "tensors", "graphs")


def write(run, begin, end):
    random = np.random.default_rng(begin)
    for step in range(begin, end):
        run.log({"train/loss": 1 / (step + 1), "train/accuracy": 0.5}, step)
        run.histogram("params/kernel", random.normal(size=400), step)
        if step % 5 == 0:
            run.image("picture", random.random((8, 8, 3)), step)
            run.mesh("points", random.random((1, 6, 3)), step=step)
            run.text("sample", f"at step {step}", step)
            run.tensor("raw", np.arange(3), step)


def points(run):
    """Return all that a run holds, in the order of the files."""
    return {
        (kind, tag): (column.step.tolist(), column.wall_time.tolist(), list(map(np.array, column.value)), column.description)
        for kind in KINDS
        for tag, column in getattr(run, kind).items()
    }


def _assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for key, (step, wall_time, value, description) in expected.items():
        assert found[key][0] == step, key
        assert found[key][1] == wall_time, key
        np.testing.assert_equal(found[key][2], value, str(key))
        assert found[key][3] == description, key


@pytest.fixture
def assert_equal():
    """A function that compares what two runs hold."""
    return lambda found, expected: _assert_equal(points(found), points(expected))


@pytest.fixture
def resumed(log_dir):
    """A run of many files at steps 0 to 59 and, once more from 40 on, to 79; the last write was two hours ago."""
    with mb.Run(log_dir, config={"lr": 0.5}, max_file_bytes=16000) as run:
        write(run, 0, 60)
    with mb.Run(log_dir, resume=True, max_file_bytes=16000) as run:
        write(run, 40, 80)
    rest(log_dir)
    return log_dir


def rest(log_dir):
    """Make all files of a run two hours older."""
    for file in log_dir.iterdir():
        before = file.stat().st_mtime
        os.utime(file, (before - 7200, before - 7200))


@pytest.fixture(name="rest")
def resting():
    """The function `rest`."""
    return rest
