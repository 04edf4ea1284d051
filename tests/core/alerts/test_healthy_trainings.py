"""Trainings in NumPy, whose curves are as noisy as those of the frameworks, give no alarm."""

import numpy as np
import pytest

from multiboard.alerts.exploding_gradients import ExplodingGradients
from multiboard.alerts.loss_spike import LossSpike


def train(batch, steps=10_000, rate=0.1, momentum=0.9, noise=0.0, seed=0):
    """Train a classifier of two spirals with one hidden layer; return its losses and the norms of its gradients."""
    draw = np.random.default_rng(seed)
    angles, labels = draw.uniform(0.3, 3.0, 2000), draw.integers(0, 2, 2000)
    points = np.stack([np.cos(2 * angles + np.pi * labels), np.sin(2 * angles + np.pi * labels)], 1) * angles[:, None]
    labels = np.where(draw.random(2000) < noise, 1 - labels, labels)
    weights = [draw.normal(0, 1, (2, 32)), np.zeros(32), draw.normal(0, 0.3, (32, 1)), np.zeros(1)]
    speeds = [np.zeros_like(weight) for weight in weights]
    losses, norms = [], []
    for _ in range(steps):
        chosen = draw.integers(0, 2000, batch)
        x, y = points[chosen], labels[chosen, None]
        hidden = np.maximum(x @ weights[0] + weights[1], 0)
        logits = hidden @ weights[2] + weights[3]
        losses.append(float(np.mean(np.logaddexp(0, logits) - y * logits)))
        error = (1 / (1 + np.exp(-np.clip(logits, -60, 60))) - y) / batch
        back = (error @ weights[2].T) * (hidden > 0)
        gradients = [x.T @ back, back.sum(0), hidden.T @ error, error.sum(0)]
        norms.append(float(np.sqrt(sum(np.square(gradient).sum() for gradient in gradients))))
        for i, gradient in enumerate(gradients):
            speeds[i] = momentum * speeds[i] - rate * (1 - momentum) * gradient
            weights[i] = weights[i] + speeds[i]
    return losses, norms


HEALTHY = {
    "batches of one": {"batch": 1, "rate": 0.02},
    "batches of eight": {"batch": 8},
    "batches of eight, wrong labels": {"batch": 8, "noise": 0.1},
    "batches of 64": {"batch": 64, "rate": 0.3},
    "too high a learning rate": {"batch": 16, "rate": 1.5},
}


@pytest.fixture(scope="module")
def healthy_curves():
    """Losses and norms of gradients of trainings that go well, by name; 10,000 steps each."""
    return {name: train(**arguments) for name, arguments in HEALTHY.items()}


def alerts_in(rule, tag, values):
    return [alert.message for step, value in enumerate(values) for alert in rule.saw_scalars({tag: value}, (tag,), step)]


def test_trainings_that_go_well_give_less_than_one_false_alarm_in_ten_thousand_steps(healthy_curves):
    found = {name: alerts_in(LossSpike(("*loss*",), 100), "loss", losses) for name, (losses, _) in healthy_curves.items()}
    assert sum(map(len, found.values())) < sum(len(losses) for losses, _ in healthy_curves.values()) / 10_000, found


def test_trainings_that_go_well_have_no_exploding_gradients(healthy_curves):
    for name, (_, norms) in healthy_curves.items():
        for every in (1, 10):
            assert not alerts_in(ExplodingGradients(100), "norm/grads", norms[::every]), name
