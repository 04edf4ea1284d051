"""The first value that is not finite is told with the layer where it comes from, and what follows from it is not."""

import math

from multiboard.alerts.nonfinite import Nonfinite

NAN = math.nan


def onsets(events, order=None, cooldown=100):
    """Return the alerts for pairs of a step and numbers."""
    rule = Nonfinite(("*loss*",), cooldown, lambda: order or {})
    found = []
    for step, numbers in events:
        tags = tuple(filter(rule.wants, numbers))
        found += rule.saw_scalars(numbers, tags, step) if tags else ()
    return found


def bad_capture(group, layers, of):
    totals = {f"norm/{group}/{layer}": NAN if layer in layers else 1.0 for layer in of} | {f"norm/{group}": NAN}
    return totals | {f"nonfinite/{group}": 7.0 * len(layers)} | {f"nonfinite/{group}/{layer}": 7.0 for layer in layers}


def test_only_the_onset_is_told_and_only_of_the_first_tag():
    events = [(step, {"train/loss": 1.0, "train/accuracy": 0.5}) for step in range(10)]
    events += [(step, {"train/loss": NAN, "nonfinite/train/loss": float(step)}) for step in range(10, 30)]
    events += [(30, {"val/loss": NAN}), (31, {"train/accuracy": NAN}), (500, {"val/loss": NAN, "train/loss": NAN})]
    (alert,) = onsets(events)
    assert (alert.rule, alert.step, alert.tag) == ("nonfinite", 10, "train/loss")
    assert math.isnan(alert.value)


def test_it_is_told_again_after_everything_was_finite_for_a_while():
    events = [(step, {"train/loss": NAN if step in {5, 50, 300} else 1.0}) for step in range(400)]
    assert [alert.step for alert in onsets(events)] == [5, 300]


def test_one_finite_value_between_many_that_are_not_is_no_new_beginning():
    events = [(step, {"train/loss": NAN if 5 <= step < 500 or step == 501 else 1.0}) for step in range(600)]
    assert [alert.step for alert in onsets(events)] == [5]


def test_a_loss_that_begins_as_nan_is_told_and_a_metric_that_does_is_not():
    assert [alert.tag for alert in onsets([(0, {"val/auc": NAN, "train/loss": NAN})])] == ["train/loss"]
    assert not onsets([(step, {"val/auc": NAN}) for step in range(5)])
    assert [alert.step for alert in onsets([(0, {"val/auc": 0.5}), (1, {"val/auc": NAN})])] == [1]


def test_a_metric_without_a_value_does_not_hide_a_loss_that_becomes_nan():
    events = [(0, {"val/auc": NAN})] + [(step, {"val/auc": NAN, "train/loss": 1.0}) for step in range(1, 5)]
    assert [alert.tag for alert in onsets([*events, (5, {"train/loss": NAN})])] == ["train/loss"]


def test_parameters_that_get_bad_name_the_first_layer_in_the_order_of_the_calls():
    layers = ["a/kernel", "b/kernel", "c/kernel"]
    good = (0, {f"norm/params/{layer}": 1.0 for layer in layers} | {"nonfinite/params": 0.0})
    bad = (100, bad_capture("params", ["a/kernel", "c/kernel"], layers))
    (alert,) = onsets([good, bad], order={"c": 0, "b": 1, "a": 2})
    assert (alert.step, alert.tag, alert.value) == (100, "nonfinite/params", 14.0)
    assert "'c/kernel' (2 of 3 tensors)" in alert.message
    (alert,) = onsets([good, bad])
    assert "'a/kernel' (2 of 3 tensors)" in alert.message


def test_gradients_that_get_bad_name_the_last_layer_because_they_are_computed_backwards():
    layers = ["a/kernel", "b/kernel", "c/kernel"]
    (alert,) = onsets([(0, bad_capture("grads", ["a/kernel", "b/kernel"], layers))], order={"a": 0, "b": 1, "c": 2})
    assert "'b/kernel' (2 of 3 tensors)" in alert.message
    (alert,) = onsets([(0, bad_capture("grads", layers, layers))])
    assert "so that the loss itself was" in alert.message


def test_activations_are_nearer_to_the_cause_than_gradients():
    numbers = bad_capture("grads", ["a/kernel"], ["a/kernel", "b/kernel"]) | bad_capture("activations", ["b"], ["a", "b"])
    (alert,) = onsets([(0, numbers)])
    assert alert.tag == "nonfinite/activations"
    assert "bad activations is 'b'" in alert.message


def test_the_layer_is_told_by_the_next_capture_if_the_loss_was_first():
    capture = bad_capture("params", ["b/kernel"], ["a/kernel", "b/kernel"])
    events = [(7, {"train/loss": NAN}), (8, {"train/loss": NAN}), (10, capture), (20, capture)]
    first, second = onsets(events)
    assert (first.step, first.tag) == (7, "train/loss")
    assert (second.step, second.tag, second.value) == (10, "nonfinite/params/b/kernel", 7.0)


def test_times_norms_and_counts_of_single_metrics_are_no_metrics():
    assert not onsets([(0, {"perf/step_ms": NAN, "norm/grads": NAN, "system/cpu": math.inf, "nonfinite/train/loss": 3.0})])
