"""The examples run, learn and log what they say."""

import subprocess
import sys
from pathlib import Path

import multiboard as mb

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(example, log_dir, epochs):
    command = [sys.executable, EXAMPLES / example, "--log-dir", log_dir, "--epochs", str(epochs)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"tensorboard --logdir {log_dir}\n")
    return done.stdout


def test_the_example_logs_metrics_distributions_a_picture_and_a_text(tmp_path):
    run("keras_fit.py", tmp_path, 3)
    data = mb.read(tmp_path)["."]
    assert data.scalars["train/loss"].step.tolist() == data.scalars["train/accuracy"].step.tolist() == list(range(69))
    assert data.scalars["val/loss"].step.tolist() == [22, 45, 68]
    assert data.scalars["val/accuracy"].value[-1] > 0.8
    assert data.scalars["train/learning_rate"].step.tolist() == list(range(0, 69, 10))
    assert len(data.histograms) == 24  # parameters, gradients and updates of eight tensors
    assert data.images["val/examples"].step.tolist() == [68]
    assert data.texts["run/notes"].step.tolist() == [0]
    assert data.hparams == {"epochs": 3, "batch_size": 64}


def test_the_sweep_logs_each_trial_as_a_run_and_prints_what_it_logged(tmp_path):
    printed = run("keras_sweep.py", tmp_path, 2)
    runs = mb.read(tmp_path)
    trials = [{"lr": lr, "units": units} for lr in (0.001, 0.01) for units in (16, 64)]
    assert {name: run.hparams for name, run in runs.items()} == {
        f"lr={trial['lr']},units={trial['units']}": trial for trial in trials
    }
    assert {run.status for run in runs.values()} == {"success"}
    for trial in trials:
        accuracy = runs[f"lr={trial['lr']},units={trial['units']}"].scalars["val/accuracy"].value
        assert len(accuracy) == 2
        assert f"{trial}: validation accuracy {accuracy[-1]:.3f}\n" in printed
    assert runs["lr=0.01,units=64"].scalars["val/accuracy"].value[-1] > 0.8
