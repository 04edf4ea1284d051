"""The walk-through runs on every backend as it stands, and writes what it says."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import multiboard as mb

WALKTHROUGH = Path(__file__).parents[2] / "examples" / "keras_walkthrough.py"
VARIABLES = {"shades/embedding", *(f"{name}/{role}" for name in ("conv", "hidden", "digit") for role in ("kernel", "bias"))}
STARTS, ENDS = [0, 180, 360], [179, 359, 539]
"""Steps at which the three epochs begin and end."""


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The directory of the run, what was logged and what was printed."""
    root = tmp_path_factory.mktemp("walked")
    command = [sys.executable, WALKTHROUGH, root]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "multiboard" not in done.stderr
    (log_dir,) = root.iterdir()
    assert f"tensorboard --logdir {root}\n" in done.stdout
    return log_dir, mb.read(log_dir)["."], done.stdout


def test_the_run_is_named_by_date_and_complete(walked):
    log_dir, data, _ = walked
    assert re.fullmatch(r"\d{8}-\d{6}", log_dir.name)
    assert data.status == "success"
    assert not data.damage
    assert data.hparams == {"learning_rate": 2e-3, "batch_size": 8}


def test_metrics_of_every_batch_and_epoch(walked):
    _, data, printed = walked
    for name in ("train/loss", "train/accuracy"):
        assert data.scalars[name].step.tolist() == list(range(540))
    for name in ("val/loss", "val/accuracy", "train/epoch"):
        assert data.scalars[name].step.tolist() == ENDS
    assert data.scalars["val/accuracy"].value[-1] > 0.8
    assert f"validation accuracy {data.scalars['val/accuracy'].value[-1]:.3f}" in printed


def test_histograms_of_all_tensors_and_of_the_chosen_activations(walked):
    _, data, _ = walked
    expected = {f"{group}/{path}" for group in ("params", "grads", "updates") for path in VARIABLES}
    assert data.histograms.keys() == expected | {"activations/conv", "activations/hidden"}
    assert all(column.step.tolist() == STARTS for column in data.histograms.values())


def test_numbers_pictures_and_texts_of_ones_own(walked):
    _, data, _ = walked
    assert data.scalars["custom/learning_rate"].step.tolist() == [0, 1, 2]
    np.testing.assert_allclose(data.scalars["custom/learning_rate"].value, [2e-3, 2e-3, 1e-3], rtol=1e-6)
    assert data.images["data/digits"].step.tolist() == [0]
    assert data.images["val/confusion"].step.tolist() == [0, 1, 2]
    assert data.texts["run/notes"].step.tolist() == [0]
    assert data.texts["samples/predictions"].step.tolist() == ENDS
    assert {tag for tag in data.images if tag.startswith("params/")} == {f"params/{path}/image" for path in VARIABLES}


def test_the_embedding_has_a_vector_and_a_label_for_each_shade(walked):
    log_dir, _, _ = walked
    for step in ENDS:
        folder = log_dir / "projector" / "shades" / str(step)
        assert np.loadtxt(folder / "tensors.tsv").shape == (17, 4)
        assert (folder / "metadata.tsv").read_text().splitlines() == [f"grey {shade}" for shade in range(17)]


def test_the_profile_is_there(walked):
    log_dir, _, _ = walked
    (file,) = log_dir.glob("plugins/profile/*/*.xplane.pb")
    assert file.stat().st_size > 1000
