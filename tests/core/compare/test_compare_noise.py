"""The noise floor decides where differences begin to mean something."""

import numpy as np
import pytest

import multiboard as mb
from multiboard.compare.noise import MeasuredNoise, RoundingModel


def curve(directory, values, tag="train/loss"):
    with mb.Run(directory) as run:
        for step, value in enumerate(values):
            run.log({tag: value}, step)
    return directory


def test_repeats_widen_the_limit_to_what_they_show(tmp_path):
    base = np.linspace(2, 1, 20)
    rng = np.random.default_rng(0)
    a, s1, s2, b, far = (
        curve(tmp_path / name, base * (1 + size * rng.uniform(-1, 1, 20)))
        for name, size in (("a", 0.02), ("s1", 0.02), ("s2", 0.02), ("b", 0.02), ("far", 0.3))
    )
    assert mb.compare(a, b).code == 1
    assert mb.compare(a, b, noise=[a, s1, s2]).code == 0
    assert mb.compare(a, far, noise=[a, s1, s2]).code == 1


def test_one_repeat_is_compared_with_the_baseline(tmp_path):
    a, s1, b = (curve(tmp_path / name, [value] * 4) for name, value in (("a", 1.0), ("s1", 1.03), ("b", 1.04)))
    found = mb.compare(a, b, noise=[s1])
    assert found.code == 0
    assert found.scalars[0].limit == pytest.approx(2 * 5**0.5 * 0.03 / 1.03)
    assert "2 repeats" in str(found)


def test_noise_is_the_largest_difference_so_far_and_never_less_than_most_of_its_kind_have():
    steps = np.array([0, 10, 20])
    names = {"a": [0.1, 0.3, 0.2], "b": [0.1, 0.1, 0.1], "c": [0.0, 0.0, 0.0], "d": [0.1, 0.1, 0.1], "e": [0.0, 0.1, np.inf]}
    noise = MeasuredNoise([("grads", name, steps, np.array(values)) for name, values in names.items()], 2)
    at = np.array([-1, 0, 5, 10, 30])
    assert noise.floor("grads", "a", at).tolist() == [0, 0.1, 0.1, 0.3, 0.3]
    for name in ("b", "c", "unknown"):
        assert noise.floor("grads", name, at).tolist() == [0, 0.1, 0.1, 0.1, 0.1]
    assert noise.floor("params", "a", at).tolist() == [0, 0, 0, 0, 0]


def test_the_more_repeats_there_are_the_closer_is_the_limit_to_the_noise():
    factors = [MeasuredNoise([], repeats).factor for repeats in (2, 3, 5, 100)]
    assert factors == sorted(factors, reverse=True)
    assert 2 < factors[-1] < 2.01


def test_the_model_grows_with_the_steps_up_to_a_limit_and_with_the_unit_roundoff():
    steps = np.array([0, 10, 1000, 10**9])
    single, half = (RoundingModel(name).floor("grads", "fc/kernel", steps) for name in ("f32", "bf16"))
    assert (np.diff(single) > 0).all()
    assert single[0] < 1e-6
    assert single[-1] == half[-1] < 1
    assert (half[:2] > 1000 * single[:2]).all()
    assert not RoundingModel().floor("schedule", "train/learning_rate", steps).any()


def test_the_model_is_printed_and_can_be_chosen(tmp_path):
    a, b = (curve(tmp_path / name, [value] * 3) for name, value in (("a", 1.0), ("b", 1.0025)))
    assert mb.compare(a, b).code == 1
    assert "model of f32 rounding" in str(mb.compare(a, b))
    assert mb.compare(a, b, noise="bf16").code == 0
    assert "model of bf16 rounding" in str(mb.compare(a, b, noise="bf16"))
