"""What a loop of Lightning Fabric logs is in one run, under uniform tags."""

import numpy as np
import pytest
import torch
from torch import nn

import multiboard as mb

fabric_package = pytest.importorskip("lightning.fabric")
mbl = pytest.importorskip("multiboard.lightning")
mbt = pytest.importorskip("multiboard.torch")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def make_fabric(log_dir, **options):
    return fabric_package.Fabric(accelerator="cpu", devices=1, loggers=mbl.Logger(log_dir, **options))


def train(fabric, steps=4, *, watch=False, log=lambda fabric, loss, step: fabric.log("train_loss", loss, step)):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    net, optimizer = fabric.setup(net, torch.optim.SGD(net.parameters(), lr=0.1))
    if watch:
        mbt.watch(net, optimizer, fabric.logger.run, every=2)
    losses = []
    for step in range(steps):
        loss = net(torch.ones(2, 4)).square().mean()
        fabric.backward(loss)
        log(fabric, loss, step)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def test_what_fabric_logs_is_at_its_steps_under_uniform_tags(tmp_path):
    fabric = make_fabric(tmp_path / "run", config={"lr": 0.1})
    fabric.logger.log_hyperparams({"width": 3})
    losses = train(fabric)
    fabric.log_dict({"val_loss": 0.5, "val_acc": torch.tensor(0.25), "epoch": 0}, step=3)
    fabric.logger.finalize("success")
    data = mb.read(tmp_path / "run")["."]
    assert data.scalars["train/loss"].step.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(data.scalars["train/loss"].value, losses, rtol=1e-6)
    assert data.scalars["val/acc"].value.tolist() == [0.25]
    assert data.scalars["train/epoch"].step.tolist() == [3]
    assert data.hparams["lr"] == 0.1
    assert data.hparams["width"] == 3
    assert data.status == "success"


def test_what_fabric_logs_without_a_step_is_counted_by_name(tmp_path):
    def log(fabric, loss, step):
        fabric.log("loss", loss)
        fabric.log("number", step)

    fabric = make_fabric(tmp_path / "run")
    train(fabric, log=log)
    fabric.logger.finalize("success")
    scalars = mb.read(tmp_path / "run")["."].scalars
    assert scalars["train/loss"].step.tolist() == [0, 1, 2, 3]
    assert scalars["train/number"].value.tolist() == [0, 1, 2, 3]


def test_a_loop_of_fabric_that_resumes_goes_on_counting(tmp_path):
    for resume in (False, True):
        fabric = make_fabric(tmp_path / "run", resume=resume)
        for _ in range(3):
            fabric.log("loss", 1.0)
        fabric.logger.finalize("success")
    assert mb.read(tmp_path / "run")["."].scalars["train/loss"].step.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_model_that_fabric_wraps_is_watched_under_the_names_of_its_layers(tmp_path):
    fabric = make_fabric(tmp_path / "run")
    train(fabric, watch=True)
    fabric.logger.finalize("success")
    histograms = mb.read(tmp_path / "run")["."].histograms
    assert histograms["params/0/kernel"].step.tolist() == [0, 2]
    assert histograms["updates/1/bias"].step.tolist() == [0, 2]


def test_the_experiment_of_fabric_writes_into_the_same_run(tmp_path):
    fabric = make_fabric(tmp_path / "run")
    fabric.logger.experiment.add_histogram("h", torch.ones(3), 0)
    fabric.log("loss", 1.0, 0)
    fabric.logger.finalize("success")
    data = mb.read(tmp_path / "run")["."]
    assert "h" in data.histograms
    assert "train/loss" in data.scalars
