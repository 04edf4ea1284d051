"""What a training with Accelerate logs is in one run, under uniform tags."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import multiboard as mb

accelerate = pytest.importorskip("accelerate")
mba = pytest.importorskip("multiboard.accelerate")


@pytest.fixture
def make_accelerator():
    """The function `make(tracker) -> Accelerator`; an Accelerator shares its state with all others of the process."""
    from accelerate.state import AcceleratorState, GradientState, PartialState

    yield lambda tracker: accelerate.Accelerator(cpu=True, log_with=[tracker])
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()


def train(accelerator, steps=5, **log):
    torch.manual_seed(0)
    net = nn.Linear(4, 1)
    net, optimizer = accelerator.prepare(net, torch.optim.SGD(net.parameters(), lr=0.1))
    losses = []
    for step in range(steps):
        loss = net(torch.ones(2, 4)).square().mean()
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        accelerator.log({"train_loss": loss, "eval_acc": step / 10}, **({"step": step} | log))
        losses.append(loss.item())
    return losses


def test_the_metrics_of_an_accelerator_are_at_their_steps_under_uniform_tags(tmp_path, make_accelerator):
    accelerator = make_accelerator(mba.Tracker(tmp_path / "run"))
    accelerator.init_trackers("project", config={"lr": 0.1, "model": {"width": 4}})
    losses = train(accelerator)
    accelerator.end_training()
    data = mb.read(tmp_path / "run")["."]
    assert data.scalars["train/loss"].step.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(data.scalars["train/loss"].value, losses, rtol=1e-6)
    np.testing.assert_allclose(data.scalars["val/acc"].value, [0, 0.1, 0.2, 0.3, 0.4], rtol=1e-6)
    assert data.hparams["lr"] == 0.1
    assert data.hparams["model/width"] == 4
    assert data.status == "success"


def test_values_that_are_logged_without_a_step_are_counted_by_name(tmp_path, make_accelerator):
    accelerator = make_accelerator(mba.Tracker(tmp_path / "run"))
    accelerator.init_trackers("project")
    for number in range(3):
        accelerator.log({"loss": number})
        accelerator.log({"accuracy": number})
    accelerator.end_training()
    scalars = mb.read(tmp_path / "run")["."].scalars
    assert scalars["train/loss"].step.tolist() == [0, 1, 2]
    assert scalars["train/accuracy"].step.tolist() == [0, 1, 2]


def test_texts_groups_and_pictures_of_an_accelerator_are_logged_as_what_they_are(tmp_path, make_accelerator):
    accelerator = make_accelerator(mba.Tracker(tmp_path / "run"))
    accelerator.init_trackers("project")
    accelerator.log({"note": "hello", "losses": {"a": 1.0, "b": 2.0}}, step=3)
    accelerator.get_tracker("multiboard").log_images({"seen": [np.zeros((4, 4, 3), np.uint8)] * 2}, step=3)
    accelerator.end_training()
    data = mb.read(tmp_path / "run")["."]
    assert data.texts["train/note"].value[0] == "hello"
    assert data.scalars["losses/b"].value.tolist() == [2.0]
    assert data.images["seen"].step.tolist() == [3]


def test_the_tracker_of_an_accelerator_gives_the_run(tmp_path, make_accelerator):
    accelerator = make_accelerator(mba.Tracker(tmp_path / "run"))
    accelerator.init_trackers("project")
    accelerator.get_tracker("multiboard", unwrap=True).histogram("h", [1.0, 2.0], 0)
    accelerator.end_training()
    assert "h" in mb.read(tmp_path / "run")["."].histograms


def test_a_tracker_that_was_not_started_opens_its_run_with_the_first_value(tmp_path, make_accelerator):
    """Versions of Accelerate before 1.10 start no tracker."""
    tracker = mba.Tracker(tmp_path / "run")
    make_accelerator(tracker)
    tracker.log({"loss": 1.0}, step=0)
    tracker.finish()
    tracker.log({"loss": 2.0}, step=1)
    assert mb.read(tmp_path / "run")["."].scalars["train/loss"].value.tolist() == [1.0]


def test_a_second_training_with_a_tracker_is_logged_too(tmp_path, make_accelerator):
    tracker = mba.Tracker(tmp_path / "run")
    for number in range(2):
        accelerator = make_accelerator(tracker)
        accelerator.init_trackers("project")
        accelerator.log({"loss": number}, step=number)
        accelerator.end_training()
    assert mb.read(tmp_path / "run")["."].scalars["train/loss"].value.tolist() == [0, 1]


def test_an_accelerator_that_gives_every_value_twice_is_said_to(tmp_path, make_accelerator):
    accelerator = make_accelerator(mba.Tracker(tmp_path / "run"))
    accelerator.init_trackers("project")
    with pytest.warns(mb.MultiboardWarning, match="called twice"):
        accelerator.init_trackers("project")
    accelerator.end_training()


def test_of_two_names_that_mean_the_same_none_is_lost(tmp_path, make_accelerator):
    accelerator = make_accelerator(mba.Tracker(tmp_path / "run"))
    accelerator.init_trackers("project")
    accelerator.log({"loss": 1.0, "train_loss": 2.0}, step=0)
    accelerator.end_training()
    scalars = mb.read(tmp_path / "run")["."].scalars
    assert {tag: numbers.value.tolist() for tag, numbers in scalars.items()} == {"train/loss": [1.0], "train/train_loss": [2.0]}


def test_a_value_that_is_no_number_does_not_end_a_training_with_accelerate(tmp_path, make_accelerator):
    accelerator = make_accelerator(mba.Tracker(tmp_path / "run"))
    accelerator.init_trackers("project")
    with pytest.warns(mb.MultiboardWarning, match="train/broken"):
        accelerator.log({"broken": object(), "loss": 1.0}, step=0)
    accelerator.end_training()
    assert mb.read(tmp_path / "run")["."].scalars["train/loss"].value.tolist() == [1.0]


def test_a_run_that_a_tracker_is_given_stays_open(tmp_path, make_accelerator):
    with mb.Run(tmp_path / "run", config={"lr": 1}) as run:
        accelerator = make_accelerator(mba.Tracker(run=run))
        accelerator.init_trackers("project", config={"other": 2})
        accelerator.log({"loss": 1.0}, step=0)
        accelerator.end_training()
        assert not run.closed
    assert "other" not in mb.read(tmp_path / "run")["."].hparams


PROCESS = """
import os, sys
from accelerate import Accelerator
import multiboard.accelerate as mba
child = os.fork()  # two processes for the time that it takes to import one
rank = "0" if child else "1"
os.environ |= {"RANK": rank, "LOCAL_RANK": rank}
accelerator = Accelerator(cpu=True, log_with=[mba.Tracker(sys.argv[1])])
accelerator.init_trackers("project", config={"lr": 0.1})
accelerator.log({"loss": float(rank)}, step=0)
accelerator.wait_for_everyone()
accelerator.end_training()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_of_two_processes_of_accelerate_the_main_one_writes(tmp_path):
    from multiboard.dashboard import free_port

    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    environment = {**os.environ, **shared, "ACCELERATE_USE_CPU": "true"}
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "run")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert mb.read(tmp_path / "run")["."].scalars["train/loss"].value.tolist() == [0.0]
    assert len(list((tmp_path / "run").glob("events*"))) == 1
