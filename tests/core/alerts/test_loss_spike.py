"""Spikes of a loss are told, and noise is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiboard.alerts.loss_spike import LossSpike, is_loss


def spikes(losses, cooldown=100):
    rule = LossSpike(("*loss*",), cooldown)
    return [alert for step, loss in enumerate(losses) for alert in rule.saw_scalars({"loss": loss}, ("loss",), step)]


@given(
    noise=st.floats(0.0, 0.2),
    level=st.floats(1e-6, 1e6),
    place=st.integers(150, 500),
    times=st.floats(5.0, 1e6),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=60)
def test_five_times_the_level_of_a_noisy_loss_is_a_spike_and_the_only_one(noise, level, place, times, seed):
    losses = level * np.exp(noise * np.random.default_rng(seed).normal(size=600))
    losses[place] = times * level * np.exp(0.2)
    (alert,) = spikes(losses.tolist())
    assert (alert.rule, alert.step, alert.tag, alert.value) == ("loss_spike", place, "loss", losses[place])


@given(start=st.floats(1e-3, 1e6), rate=st.floats(1e-4, 0.5), floor=st.floats(-10, 10))
@settings(deadline=None, max_examples=60)
def test_a_falling_loss_is_never_a_spike(start, rate, floor):
    assert not spikes((start * np.exp(-rate * np.arange(400)) + floor).tolist())


def test_coming_down_from_a_spike_is_no_second_one():
    losses = [1 + 0.01 * (step % 3) for step in range(300)]
    losses[200:260] = [1 + 50 * 0.9**k for k in range(60)]
    assert [alert.step for alert in spikes(losses, cooldown=0)] == [200]


def test_a_level_that_stays_high_is_told_once():
    assert [alert.step for alert in spikes([1.0, 1.01] * 100 + [8.0, 8.1] * 300, cooldown=0)] == [200]


def test_a_negative_loss_has_spikes_too():
    losses = np.random.default_rng(0).normal(-50, 1, 400)
    losses[300] = -10
    assert [alert.step for alert in spikes(losses.tolist())] == [300]


def test_the_first_hundred_values_are_a_warm_up():
    assert not spikes([1.0, 1.1] * 25 + [50.0] + [1.0] * 40)


def test_an_alert_keeps_the_rule_silent_for_the_cooldown():
    losses = [1 + 0.01 * (step % 3) for step in range(1000)]
    for step, loss in ((300, 10.0), (350, 100.0), (450, 1000.0)):
        losses[step] = loss
    assert [alert.step for alert in spikes(losses)] == [300, 450]


def test_values_that_are_not_finite_are_for_another_rule():
    assert not spikes([1.0, 1.01] * 100 + [float("nan"), float("inf")] + [1.0] * 100)


@pytest.mark.parametrize(
    ("tag", "is_one"), [("train/loss", True), ("Loss", True), ("val/nll", False), ("norm/loss/kernel", False)]
)
def test_a_loss_is_told_by_its_tag(tag, is_one):
    assert is_loss(tag, ("*loss*",)) is is_one
