"""The examples train in seconds and log what they say, all three the same."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import multiboard as mb

EXAMPLES = Path(__file__).parents[2] / "examples"
LAYERS = [f"{layer}/{role}" for layer in ("conv1", "dense1", "dense2") for role in ("bias", "kernel")] + [
    "norm/bias",
    "norm/scale",
]
HISTOGRAMS = [f"{group}/{layer}" for group in ("params", "grads", "updates") for layer in LAYERS] + ["activations/dense1"]


@pytest.mark.parametrize("name", ["flax_nnx_loop", "flax_linen_loop", "jax_optax_loop"])
def test_an_example_learns_the_digits_and_logs_every_kind(name, log_dir):
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--log-dir", str(log_dir), "--epochs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout.splitlines()[-1] == f"tensorboard --logdir {log_dir}"
    assert not done.stderr
    data = mb.read(log_dir)["."]
    assert data.scalars["train/loss"].step.tolist() == data.scalars["train/accuracy"].step.tolist() == list(range(44))
    assert data.scalars["val/accuracy"].step.tolist() == data.scalars["val/loss"].step.tolist() == [21, 43]
    assert data.scalars["val/accuracy"].value[-1] > 0.85
    assert data.scalars["perf/first_step_ms"].step.tolist() == [0, 1]
    rate = data.scalars["train/learning_rate"]
    assert rate.step.tolist() == [0, 10, 20, 30, 40]
    np.testing.assert_allclose(rate.value[0], 3e-3, rtol=1e-6)
    assert list(data.histograms) == HISTOGRAMS
    assert {tag: column.step.tolist() for tag, column in data.histograms.items()} == dict.fromkeys(HISTOGRAMS, rate.step.tolist())
    assert list(data.images) == ["val/examples"]
    assert list(data.texts) == ["run/notes"]
