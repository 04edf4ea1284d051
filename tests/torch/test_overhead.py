"""Captures are spaced out where they would take more than their share of the time."""

import pytest
import torch

import multiboard as mb
import multiboard.torch as mbt
from multiboard_torch.spacing import Spacing


def test_captures_of_a_fast_step_are_spaced_out_and_the_share_is_written(network, train, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, overhead=0.1):
        steps = _train_until_captured(run, lambda: train(model, optimizer, 200), written)
    data = written()
    shares = data.scalars["multiboard/overhead"]
    captured = data.histograms["params/dense/kernel"].step
    assert captured[:2].tolist() == [0, 1]  # the cost of the first one says nothing
    assert len(captured) <= steps / 2
    assert shares.step.tolist() == captured.tolist()
    assert ((shares.value > 0) & (shares.value <= 1)).all()
    assert shares.value[2:].mean() < 0.3  # 0.1, and the noise of the machine


def _train_until_captured(run, train, written):
    """Train on until there are five captures: how many steps that takes depends on the machine. Return the number of steps."""
    steps = 0
    while steps < 10_000:
        train()
        steps += 200
        assert run.flush()
        if len(written().histograms["params/dense/kernel"].step) >= 5:
            break
    return steps


def test_without_a_limit_nothing_is_spaced_out(network, train, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        train(model, optimizer, 5)
    assert len(written().histograms["params/dense/kernel"].step) == 5
    assert "multiboard/overhead" not in written().scalars


def test_what_processes_agree_on_decides():
    spacing = Spacing(10, 0.1, lambda _cost, _step_seconds: lambda: (2.0, 0.5))
    assert spacing.due(0, paused=False)
    spacing.captured(0, 1e-6)
    assert spacing.due(10, paused=False)
    spacing.captured(10, 1e-6)
    assert [step for step in range(11, 110) if spacing.due(step, paused=False)] == [50, 60, 70, 80, 90, 100]


@pytest.mark.parametrize("wrong", [0, 1, -0.1, 2, "1 %", True])
def test_what_is_no_share_is_refused(wrong, network, log_dir):
    model = network()
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError, match=r"overhead.*between 0 and 1"):
        mbt.watch(model, torch.optim.SGD(model.parameters(), lr=0.1), run, overhead=wrong)
