"""The learning rate is written at captured steps, per group where rates differ, and never waited for."""

import pytest
import torch

import multiboard as mb
import multiboard.torch as mbt
from multiboard_torch.rates import learning_rates


def watched_scalars(network, train, log_dir, make_optimizer, steps=3, scheduler=None, every=1):
    model = network()
    optimizer = make_optimizer(model)
    schedule = scheduler and scheduler(optimizer)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=every):
        for _ in range(steps):
            train(model, optimizer, 1)
            if schedule:
                schedule.step()
    return mb.read(log_dir)["."].scalars


def test_the_rate_is_that_of_the_update_and_only_at_captured_steps(network, train, log_dir):
    scalars = watched_scalars(
        network,
        train,
        log_dir,
        lambda model: torch.optim.SGD(model.parameters(), lr=1.0),
        steps=5,
        scheduler=lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5),
        every=2,
    )
    assert scalars["train/learning_rate"].step.tolist() == [0, 2, 4]
    assert scalars["train/learning_rate"].value.tolist() == [1.0, 0.25, 0.0625]


def test_groups_with_different_rates_are_numbered(network, train, log_dir):
    def two_groups(model):
        dense = {"params": list(model.dense.parameters()), "lr": 0.5}
        return torch.optim.SGD([{"params": list(model.norm.parameters())}, dense], lr=0.25)

    scalars = watched_scalars(network, train, log_dir, two_groups)
    rates = {tag: column.value[0] for tag, column in scalars.items() if tag.startswith("train/")}
    assert rates == {"train/learning_rate": 0.25, "train/learning_rate/0": 0.25, "train/learning_rate/1": 0.5}


def test_groups_with_one_rate_are_one_tag(network, train, log_dir):
    def two_groups(model):
        return torch.optim.SGD([{"params": list(m.parameters())} for m in (model.norm, model.dense)], lr=0.25)

    scalars = watched_scalars(network, train, log_dir, two_groups)
    assert [tag for tag in scalars if tag.startswith("train/")] == ["train/learning_rate"]


def test_a_rate_that_is_a_tensor_is_written(network, train, log_dir):
    scalars = watched_scalars(
        network, train, log_dir, lambda model: torch.optim.Adam(model.parameters(), lr=torch.tensor(0.125), capturable=False)
    )
    assert scalars["train/learning_rate"].value.tolist() == [0.125] * 3


def test_a_rate_on_a_device_is_handed_over_unread():
    """A meta tensor stands for a device: reading or comparing it would raise."""
    rates = [torch.zeros((), device="meta"), torch.zeros((), device="meta")]
    optimizer = torch.optim.SGD([{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)]}], lr=0.1)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    found = learning_rates(optimizer.param_groups)
    assert found["train/learning_rate"] is rates[0]
    assert found["train/learning_rate/1"] is rates[1]
    optimizer.param_groups[1]["lr"] = rates[0]
    assert list(learning_rates(optimizer.param_groups)) == ["train/learning_rate"]


@pytest.mark.parametrize("missing", [None, "removed"])
def test_an_optimizer_without_a_rate_writes_none(missing):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    optimizer.param_groups[0]["lr"] = None
    if missing:
        del optimizer.param_groups[0]["lr"]
    assert learning_rates(optimizer.param_groups) == {}
