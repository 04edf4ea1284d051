"""The example runs, learns and logs what it says."""

import subprocess
import sys
from pathlib import Path

import multiboard as mb

EXAMPLE = Path(__file__).parents[2] / "examples" / "keras_fit.py"


def test_the_example_logs_metrics_distributions_a_picture_and_a_text(tmp_path):
    command = [sys.executable, EXAMPLE, "--log-dir", tmp_path, "--epochs", "3"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"tensorboard --logdir {tmp_path}\n")
    data = mb.read(tmp_path)["."]
    assert data.scalars["train/loss"].step.tolist() == data.scalars["train/accuracy"].step.tolist() == list(range(69))
    assert data.scalars["val/loss"].step.tolist() == [22, 45, 68]
    assert data.scalars["val/accuracy"].value[-1] > 0.8
    assert data.scalars["train/learning_rate"].step.tolist() == list(range(0, 69, 10))
    assert len(data.histograms) == 16
    assert data.images["val/examples"].step.tolist() == [68]
    assert data.texts["run/notes"].step.tolist() == [0]
    assert data.hparams == {"epochs": 3, "batch_size": 64}
