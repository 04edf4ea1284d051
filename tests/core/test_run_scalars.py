"""Scalars arrive as they were logged."""

import threading
from decimal import Decimal

import numpy as np
import pytest

import multiboard as mb


def test_a_dict_of_scalars_is_read_back_with_its_steps(written):
    def actions(run):
        for step in range(100):
            run.log({"train/loss": 1 / (step + 1), "train/accuracy": step / 100}, step)

    data = written(actions)
    column = data.scalars["train/loss"]
    np.testing.assert_array_equal(column.step, np.arange(100))
    np.testing.assert_array_equal(column.value, (1 / np.arange(1, 101)).astype(np.float32))
    assert set(data.scalars) == {"train/loss", "train/accuracy"}
    assert (np.diff(column.wall_time) >= 0).all()


@pytest.mark.parametrize(
    "value",
    [2, 2.0, True + 1, np.float32(2), np.float64(2), np.int64(2), np.float16(2), np.array(2.0), np.array([2]), Decimal(2)],
)
def test_every_kind_of_number_is_accepted(written, value):
    assert written(lambda run: run.scalar("x", value, 0)).scalars["x"].value.tolist() == [2.0]


@pytest.mark.parametrize("step", [0, -3, 2**53 + 1, 2**63 - 1, -(2**63), np.int32(7), np.array(9)])
def test_every_64_bit_integer_is_a_step(written, step):
    assert written(lambda run: run.scalar("x", 1.0, step)).scalars["x"].step.tolist() == [int(step)]


@pytest.mark.parametrize("tag", ["a", "ä/β", "with space", 'quo"te', "100%", "a?b&c#d", "new\nline", "[0]:0", "x" * 1001])
def test_a_tag_of_any_form_survives(written, tag):
    assert list(written(lambda run: run.scalar(tag, 1.0, 0)).scalars) == [tag]


@pytest.mark.parametrize("count", [20, 200])
@pytest.mark.parametrize("step", [0, 127, 128, 2**34, 2**35 - 1, 2**35, -1, 2**62])
def test_many_calls_with_the_same_tags_are_written_in_their_order(written, step, count):
    """As a table of bytes where there are many and that is possible, one after the other where it is not."""

    def actions(run):
        for i in range(count):
            run.log({"a": float(i), "b": -1e-30 * i}, step - i % 7)
            run.scalar("c", i, step)

    data = written(actions)
    np.testing.assert_array_equal(data.scalars["a"].step, [step - i % 7 for i in range(count)])
    np.testing.assert_array_equal(data.scalars["a"].value, np.arange(count))
    np.testing.assert_array_equal(data.scalars["b"].value, (-1e-30 * np.arange(count)).astype(np.float32))
    np.testing.assert_array_equal(data.scalars["c"].value, np.arange(count))
    assert (np.diff(data.scalars["a"].wall_time) >= 0).all()


def test_a_tag_that_is_a_string_of_numpy_is_one_tag(written):
    def actions(run):
        for step in range(100):
            run.scalar(np.str_("abc"), 1.0, step)
            run.log({np.str_("def"): 2.0}, step)

    scalars = written(actions).scalars
    assert {tag: column.step.tolist() for tag, column in scalars.items()} == {tag: list(range(100)) for tag in ("abc", "def")}


def test_a_tag_in_several_sets_of_tags_keeps_the_order_of_its_steps(written):
    def actions(run):
        for step in range(300):
            run.log({"loss": float(step)} if step % 3 else {"loss": float(step), "rate": 0.1}, step)

    data = written(actions)
    assert data.scalars["loss"].step.tolist() == list(range(300))
    assert data.scalars["rate"].step.tolist() == list(range(0, 300, 3))


@pytest.mark.parametrize("count", [20, 100])
@pytest.mark.parametrize("odd", [np.nan, 1e39, 10**400])
def test_one_odd_number_among_many_costs_no_other(written, odd, count):
    at = count // 2

    def actions(run):
        for i in range(count):
            run.log({"a": odd if i == at else float(i), "b": 1.0}, i)

    with pytest.warns(mb.MultiboardWarning):
        data = written(actions)
    assert data.scalars["a"].step.tolist() == data.scalars["b"].step.tolist() == list(range(count))
    np.testing.assert_array_equal(np.delete(data.scalars["a"].value, at), np.delete(np.arange(count), at))
    assert not np.isfinite(data.scalars["a"].value[at])


def test_few_calls_with_numbers_of_every_kind_are_written_as_each_alone(written):
    plain = [1, True, 0.1, 2**70, 3e38]
    of_numpy = [np.float16(6e4), np.float32(3e38), np.float64(0.1), np.int32(2**31 - 1), np.int64(2**62), np.bool_(True)]
    kinds = plain + 2 * of_numpy  # whose sum is beyond their own types

    def together(run):
        for step in range(20):
            run.log({f"k{place}": kind for place, kind in enumerate(kinds)}, step)

    found = written(together).scalars
    for place, kind in enumerate(kinds):
        np.testing.assert_array_equal(found[f"k{place}"].value, np.full(20, kind, np.float32), err_msg=repr(kind))


def test_changing_the_dict_afterwards_changes_nothing(written):
    def actions(run):
        metrics = {"x": 1.0}
        run.log(metrics, 0)
        run.log(metrics, 1)
        metrics["x"] = 5.0

    assert written(actions).scalars["x"].value.tolist() == [1.0, 1.0]


def test_an_array_that_is_overwritten_keeps_the_logged_value(written):
    def actions(run):
        loss = np.array(1.0)
        run.scalar("x", loss, 0)
        loss += 1

    assert written(actions).scalars["x"].value.tolist() == [1.0]


def test_nan_and_infinities_are_written_as_they_are_counted_and_said_once(written):
    def actions(run):
        for step, value in enumerate([1.0, np.nan, np.inf, -np.inf]):
            run.log({"loss": value, "other": 1.0}, step)

    with pytest.warns(mb.MultiboardWarning) as caught:
        data = written(actions)
    np.testing.assert_array_equal(data.scalars["loss"].value, [1.0, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(data.scalars["nonfinite/loss"].value, [1, 2, 3])
    np.testing.assert_array_equal(data.scalars["nonfinite/loss"].step, [1, 2, 3])
    assert sum("'loss' is not finite" in str(w.message) for w in caught) == 1


@pytest.mark.parametrize("value", [1e39, -1e39, 10**400, 2.0**128 - 2.0**103])
def test_a_number_beyond_float32_becomes_infinite_and_is_said(written, value):
    with pytest.warns(mb.MultiboardWarning, match=r"beyond float32|float32 cannot hold|not finite"):
        data = written(lambda run: run.scalar("x", value, 0))
    assert data.scalars["x"].value.tolist() == [np.inf if value > 0 else -np.inf]


def test_the_largest_float32_stays_finite(written):
    largest = float(np.finfo(np.float32).max)
    assert written(lambda run: run.scalar("x", largest, 0)).scalars["x"].value.tolist() == [largest]


def test_steps_in_any_order_are_kept(written):
    data = written(lambda run: [run.scalar("x", float(step), step) for step in (5, 1, 9, 1)])
    assert data.scalars["x"].step.tolist() == [5, 1, 9, 1]


def test_many_threads_may_log_into_one_run(written):
    def actions(run):
        threads = [threading.Thread(target=lambda k=k: [run.scalar(f"t{k}", float(i), i) for i in range(500)]) for k in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]

    data = written(actions)
    assert all(data.scalars[f"t{k}"].step.tolist() == list(range(500)) for k in range(4))
