"""Small runs without a framework, to be shown."""

from zlib import crc32

import numpy as np
import pytest

import multiboard as mb
from multiboard.page.limits import Limits
from multiboard.page.parts import Board

LAYERS = ("first", "second")
PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def train(directory, *, steps=6, seed=0, wrong_from=None, layers=LAYERS, media=True, **config):
    """Log what a training would; from the step `wrong_from` on the gradients of the first layer are 10 % too large."""
    with mb.Run(directory, config=config) as run:
        for step in range(steps):
            run.log({"train/loss": 1 / (step + 1), "train/epoch": step // 2, "norm/grads": 5.0 + step}, step)
            for layer in layers:
                factor = 1.1 if wrong_from is not None and step >= wrong_from and layer == layers[0] else 1.0
                values = np.random.default_rng([seed, step, crc32(layer.encode())]).normal(size=(64, 16)) * factor
                run.histogram(f"grads/{layer}/kernel", values, step)
                run.log({f"norm/grads/{layer}/kernel": float(np.linalg.norm(values))}, step)
            if media:
                run.image("val/examples", PIXELS, step)
        if media:
            run.text("run/notes", "*some* notes", 0)
    return directory


@pytest.fixture
def runs(tmp_path):
    """A function that reads runs which it writes: settings by name; the baseline comes first."""

    def write(**settings):
        return {name: mb.read(train(tmp_path / name, **given))["."] for name, given in settings.items()}

    return write


@pytest.fixture
def board(runs):
    """A board of three runs: the second one is as the baseline, the third one parts from it in one layer at step 2."""

    def make(**options):
        return Board(runs(base={"lr": 0.1}, same={"lr": 0.1}, other={"lr": 0.2, "wrong_from": 2}), **options)

    return make


@pytest.fixture
def all_points():
    """Limits that leave nothing out."""
    return Limits(points=10**9, captures=10**9)
