"""The examples train in seconds and log what they say."""

import subprocess
import sys
from pathlib import Path

import pytest

import multiboard as mb

EXAMPLES = Path(__file__).parents[2] / "examples"
LAYERS = [f"{layer}/{role}" for layer in ("conv1", "dense1", "dense2") for role in ("bias", "kernel")] + [
    "norm/bias",
    "norm/scale",
]


@pytest.mark.parametrize(("name", "more"), [("flax_nnx_loop.py", []), ("flax_linen_loop.py", ["activations/dense1"])])
def test_an_example_learns_the_digits_and_logs_every_kind(name, more, log_dir):
    command = [sys.executable, str(EXAMPLES / name), "--log-dir", str(log_dir), "--epochs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout.splitlines()[-1] == f"tensorboard --logdir {log_dir}"
    data = mb.read(log_dir)["."]
    assert data.scalars["train/loss"].step.tolist() == data.scalars["train/accuracy"].step.tolist() == list(range(22))
    assert data.scalars["val/accuracy"].step.tolist() == data.scalars["val/loss"].step.tolist() == [21]
    assert data.scalars["val/accuracy"].value[-1] > 0.7
    assert data.scalars["train/learning_rate"].step.tolist() == [0, 10, 20]
    assert list(data.histograms) == [f"{group}/{layer}" for group in ("params", "grads") for layer in LAYERS] + more
    assert list(data.images) == ["val/examples"]
    assert list(data.texts) == ["run/notes"]
