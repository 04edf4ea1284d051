"""The example trains in seconds and logs what it says."""

import subprocess
import sys
from pathlib import Path

import multiboard as mb

EXAMPLE = Path(__file__).parents[2] / "examples" / "pytorch_loop.py"


def test_the_example_learns_the_digits_and_logs_every_kind(log_dir):
    command = [sys.executable, str(EXAMPLE), "--log-dir", str(log_dir), "--epochs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout.splitlines()[-1] == f"tensorboard --logdir {log_dir}"
    data = mb.read(log_dir)["."]
    assert data.scalars["train/loss"].step.tolist() == list(range(46))
    assert data.scalars["val/accuracy"].step.tolist() == [22, 45]
    assert data.scalars["val/accuracy"].value[-1] > 0.85
    assert data.scalars["train/learning_rate"].step.tolist() == [0, 10, 20, 30, 40]
    layers = [
        "conv1/kernel",
        "conv1/bias",
        "norm/scale",
        "norm/bias",
        "dense1/kernel",
        "dense1/bias",
        "dense2/kernel",
        "dense2/bias",
    ]
    assert list(data.histograms) == [f"{group}/{layer}" for group in ("params", "grads", "updates") for layer in layers]
    assert list(data.images) == ["val/examples"]
    assert list(data.texts) == ["run/notes"]
