"""Layers that have died are told once."""

import numpy as np
import pytest

from multiboard.alerts.dead_units import DeadUnits
from multiboard.buckets import measure


def deaths(captures, cooldown=100, every=10):
    """Return the alerts for captures: arrays by tag for distributions, numbers for scalars."""
    rule = DeadUnits(cooldown)
    found = []
    for at, capture in enumerate(captures):
        numbers = {tag: value for tag, value in capture.items() if isinstance(value, float)}
        for tag in capture.keys() - numbers:
            found += rule.saw_histogram(tag, measure(capture[tag]), at * every)
        tags = tuple(filter(rule.wants, numbers))
        found += rule.saw_scalars(numbers, tags, at * every) if tags else ()
    return found


def outputs(zeros, count=1000):
    values = np.ones(count)
    values[:zeros] = 0
    return values


def grads(**norms):
    found = {f"norm/grads/{layer}/{role}": norm for layer, norm in norms.items() for role in ("kernel", "bias")}
    return found | {"norm/grads": float(np.sqrt(2 * sum(np.square(list(norms.values())))))}


def test_outputs_that_are_zero_in_three_captures_are_dead():
    (alert,) = deaths([{"activations/relu": outputs(500)}] * 5 + [{"activations/relu": outputs(995)}] * 8)
    assert (alert.rule, alert.step, alert.tag, alert.value) == ("dead_units", 70, "activations/relu", 0.995)


@pytest.mark.parametrize("zeros", [0, 500, 980])
def test_sparse_outputs_are_not_dead(zeros):
    assert not deaths([{"activations/relu": outputs(zeros)}] * 10)


def test_outputs_that_come_back_between_captures_are_not_dead():
    assert not deaths([{"activations/relu": outputs(zeros)} for zeros in (1000, 1000, 400) * 4])


def test_other_distributions_may_be_zero():
    assert not deaths([{"params/fc/bias": outputs(1000), "updates/fc/bias": outputs(1000)}] * 10)


def test_a_layer_without_gradient_beside_others_is_dead():
    (alert,) = deaths([grads(a=1.0, b=1.0)] * 2 + [grads(a=0.0, b=1.0)] * 5)
    assert (alert.step, alert.tag, alert.value) == (40, "norm/grads/a/kernel", 0.0)


def test_the_tag_of_a_dead_layer_is_its_own_and_not_one_that_begins_like_it():
    (alert,) = deaths([grads(dense10=1.0, dense1=0.0)] * 3)
    assert (alert.tag, alert.value) == ("norm/grads/dense1/kernel", 0.0)
    assert "'dense1'" in alert.message


def test_a_layer_of_which_one_tensor_has_a_gradient_is_alive():
    capture = grads(a=1.0, b=1.0) | {"norm/grads/a/bias": 0.0}
    assert not deaths([capture] * 10)


def test_a_gradient_that_is_zero_everywhere_is_no_dead_layer():
    assert not deaths([grads(a=0.0, b=0.0)] * 10)


def test_what_is_zero_beside_nan_is_not_dead():
    assert not deaths([grads(a=0.0, b=1.0) | {"nonfinite/grads": 7.0}] * 10)
    assert not deaths([{"activations/relu": np.where(np.arange(1000) < 900, np.nan, 0.0)}] * 10)
    assert not deaths([{"activations/relu": outputs(1000), "nonfinite/params": 7.0}] * 10)
    bad = {"nonfinite/params": 7.0}
    assert len(deaths([bad, bad | {"nonfinite/params": 0.0}, *[{"activations/relu": outputs(1000)}] * 3])) == 1


def test_layers_that_die_together_are_one_alert():
    dying = grads(a=0.0, b=0.0, c=1.0) | {"activations/relu": outputs(1000)}
    (alert,) = deaths([grads(a=1.0, b=1.0, c=1.0) | {"activations/relu": outputs(300)}] * 3 + [dying] * 20)
    assert alert.tag == "activations/relu"


def test_a_layer_that_dies_much_later_is_told_too():
    captures = [grads(a=0.0, b=1.0, c=1.0)] * 30 + [grads(a=0.0, b=0.0, c=1.0)] * 30
    assert [alert.tag for alert in deaths(captures)] == ["norm/grads/a/kernel", "norm/grads/b/kernel"]
