"""Gradients that rise by orders of magnitude are told before they are NaN, and noisy ones are not."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from multiboard.alerts.exploding_gradients import ExplodingGradients


def explosions(events, cooldown=100):
    rule = ExplodingGradients(cooldown)
    found = []
    for step, numbers in enumerate(events):
        tags = tuple(filter(rule.wants, numbers))
        found += rule.saw_scalars(numbers, tags, step) if tags else ()
    return found


@given(noise=st.floats(0, 0.5), level=st.floats(1e-6, 1e6), growth=st.floats(2.0, 100.0), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_an_explosion_is_told_before_the_norm_is_infinite(noise, level, growth, seed):
    norms = level * np.exp(noise * np.random.default_rng(seed).normal(size=100))
    rising = norms[60:] * growth ** np.arange(1, 41)
    (alert,) = explosions([{"norm/grads": norm} for norm in (*norms[:60].tolist(), *rising.tolist(), math.inf, math.nan)])
    assert alert.rule == "exploding_gradients"
    assert 60 < alert.step < 75


def test_one_large_gradient_is_not_yet_an_explosion():
    norms = [1.0, 1.1, 0.9] * 20
    norms[40] = 1e6
    assert not explosions({"norm/grads": norm} for norm in norms)


def test_gradients_that_return_to_their_size_of_the_beginning_do_not_explode():
    assert not explosions({"norm/grads": norm} for norm in [10.0] * 20 + [1e-3] * 200 + [5.0] * 20)


def test_the_tensor_that_rose_most_is_named():
    def numbers(a, b):
        return {"norm/grads/a/kernel": a, "norm/grads/b/kernel": b, "norm/grads": math.hypot(a, b)}

    (alert,) = explosions([numbers(1.0, 0.1)] * 20 + [numbers(100.0, 100.0)] * 2)
    assert alert.tag == "norm/grads"
    assert "'b/kernel' rose most, 1000 times" in alert.message


def test_one_tensor_explodes_alone_only_if_it_matters():
    def numbers(a, b):
        return {"norm/grads/a/kernel": a, "norm/grads/b/kernel": b, "norm/grads": math.hypot(a, b)}

    (alert,) = explosions([numbers(1.0, 1e-3)] * 20 + [numbers(1.0, 0.5)] * 5)
    assert (alert.tag, alert.step) == ("norm/grads/b/kernel", 21)
    assert not explosions([numbers(1.0, 1e-6)] * 20 + [numbers(1.0, 1e-3)] * 5)


def test_the_norms_of_trainers_count_unless_they_are_clipped():
    for tag, count in (("train/grad_norm_before_clip", 1), ("train/grad_norm", 1), ("train/grad_norm_after_clip", 0)):
        assert len(explosions({tag: norm} for norm in [1.0] * 20 + [1e3, 1e4])) == count


def test_captures_that_are_seen_after_the_norms_of_later_steps_are_no_second_alert():
    norms = [1.0] * 20 + [1e3, 1e4, 1e5, 1e6]
    rule = ExplodingGradients(cooldown=100)
    found = []
    for tag in ("train/grad_norm", "norm/grads"):
        for step, norm in enumerate(norms):
            found += rule.saw_scalars({tag: norm}, (tag,), step if tag == "norm/grads" else step + 1)
    assert [(alert.tag, alert.step) for alert in found] == [("train/grad_norm", 22)]


def test_the_first_ten_norms_are_a_warm_up():
    assert not explosions({"norm/grads": 10.0**step} for step in range(9))
