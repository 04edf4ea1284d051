"""An alert is a text, a warning and a call, and watching costs a training nothing else."""

import gc
import math
import threading
import warnings
import weakref

import pytest

import multiboard as mb
from multiboard.alerts import Alerts, watch
from multiboard.errors import ArgumentError, ClosedRunError, MultiboardWarning


def becomes_nan(run):
    for step in range(20):
        run.log({"train/loss": 1.0 if step < 10 else math.nan}, step)


@pytest.mark.parametrize("durable", [False, True])
def test_an_alert_is_a_text_at_its_step_and_one_call(alerts_of, log_dir, durable):
    (alert,) = alerts_of(becomes_nan, durable=durable)
    assert (alert.rule, alert.step, alert.tag) == ("nonfinite", 10, "train/loss")
    texts = mb.read(log_dir)["."].texts["alerts/nonfinite"]
    assert texts.step.tolist() == [10]
    (text,) = texts.value
    assert alert.message in text
    assert all(part in text for part in ("`train/loss`: nan", "**Usual reasons**", "**Look at**"))


def test_an_alert_is_one_warning_for_each_rule_and_tag(log_dir):
    with warnings.catch_warnings(record=True) as said, mb.Run(log_dir, alerts=Alerts(cooldown=0)) as run:
        warnings.simplefilter("always")
        for step in range(400):
            run.log({"train/loss": 1 + 0.01 * (step % 3) + {200: 20, 300: 2000}.get(step, 0)}, step)
        run.flush()
    assert sum("Loss spike: 'train/loss' jumped" in str(warning.message) for warning in said) == 1
    assert mb.read(log_dir)["."].texts["alerts/loss_spike"].step.tolist() == [200, 300]


def test_what_the_very_last_value_shows_is_told_before_the_run_is_closed(alerts_of, log_dir):
    def actions(run):
        run.log({"train/loss": 1.0}, 0)
        run.log({"train/loss": math.inf}, 1)

    assert [alert.step for alert in alerts_of(actions)] == [1]
    assert mb.read(log_dir)["."].texts["alerts/nonfinite"].step.tolist() == [1]


def test_on_alert_is_called_in_the_writer_thread_and_what_it_raises_stops_nothing(log_dir):
    threads = []

    def on_alert(alert):
        threads.append(threading.current_thread().name)
        raise KeyError(alert.rule)

    with pytest.warns(MultiboardWarning) as said, mb.Run(log_dir, alerts=Alerts(on_alert=on_alert)) as run:
        becomes_nan(run)
    assert threads == ["multiboard-writer"]
    assert any("on_alert raised KeyError" in str(warning.message) for warning in said)
    assert len(mb.read(log_dir)["."].scalars["train/loss"].step) == 20


@pytest.mark.parametrize("durable", [False, True])
def test_an_exit_in_on_alert_does_not_cost_what_is_logged_afterwards(log_dir, durable):
    def on_alert(_):
        raise SystemExit

    with pytest.warns(MultiboardWarning) as said, mb.Run(log_dir, durable=durable, alerts=Alerts(on_alert=on_alert)) as run:
        becomes_nan(run)
        run.flush()
        run.log({"train/loss": 1.0}, 20)
    assert any("on_alert raised SystemExit" in str(warning.message) for warning in said)
    assert len(mb.read(log_dir)["."].scalars["train/loss"].step) == 21


def test_two_alerts_of_a_rule_at_one_step_have_texts_of_their_own(alerts_of, log_dir):
    """The data server of TensorBoard keeps one text of a step."""

    def actions(run):
        run.log({"train/loss": math.nan}, 5)
        run.log({"nonfinite/params": 7.0, "nonfinite/params/a/kernel": 7.0}, 5)

    assert [alert.step for alert in alerts_of(actions)] == [5, 5]
    texts = mb.read(log_dir)["."].texts["alerts/nonfinite"]
    assert texts.step.tolist() == [5, 6]
    assert all("at step 5" in text for text in texts.value)


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.timeout(60)
def test_on_alert_may_log_into_the_run_and_wait_for_it(log_dir, durable):
    def on_alert(alert):
        run.scalar("alerts_seen", 1.0, alert.step)
        run.flush(1.0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultiboardWarning)
        with mb.Run(log_dir, durable=durable, overflow="block", alerts=Alerts(on_alert=on_alert)) as run:
            becomes_nan(run)
    assert mb.read(log_dir)["."].scalars["alerts_seen"].step.tolist() == [10]


def test_a_rule_that_is_off_gives_no_alert(alerts_of):
    assert not alerts_of(becomes_nan, nonfinite=False)


def test_losses_are_the_tags_that_the_patterns_name(alerts_of):
    def actions(run):
        for step in range(300):
            run.log({"train/nll": 1 + 0.01 * (step % 3) + 20 * (step == 200)}, step)

    assert [alert.step for alert in alerts_of(actions, losses=["*nll"])] == [200]


def test_child_runs_are_not_looked_at(alerts_of):
    assert not alerts_of(lambda run: becomes_nan(run.child("validation")))


def test_a_tag_of_another_kind_costs_the_text_and_nothing_else(log_dir):
    found = []
    with pytest.warns(MultiboardWarning) as said, mb.Run(log_dir, alerts=Alerts(on_alert=found.append)) as run:
        run.log({"alerts/nonfinite": 1.0}, 0)
        becomes_nan(run)
    assert any("'alerts/nonfinite' is a scalar in this run" in str(warning.message) for warning in said)
    assert len(found) == 1


def test_alerts_leave_the_first_step_of_a_run_to_its_caller(log_dir):
    """A mistake in the first step still raises, although an alert was written at it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultiboardWarning)
        with mb.Run(log_dir, alerts=True) as run:
            run.log({"train/loss": math.nan}, 5)
            run.flush()
            with pytest.raises(mb.TagKindError):
                run.text("train/loss", "no", 5)


def test_a_watched_run_that_is_forgotten_is_let_go(log_dir):
    run = mb.Run(log_dir, alerts=True, facts=False)
    run.log({"train/loss": 1.0}, 0)
    forgotten = weakref.ref(run)
    del run
    gc.collect()
    assert forgotten() is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"nonfinite": 1},
        {"losses": 3},
        {"losses": [1]},
        {"on_alert": "print"},
        {"cooldown": -1},
        {"cooldown": 1.5},
        {"cooldown": True},
    ],
)
def test_wrong_options_of_alerts_are_named(arguments):
    (name,) = arguments
    with pytest.raises(ArgumentError, match=f"argument '{name}'"):
        Alerts(**arguments)


def test_alerts_that_are_something_else_are_an_error_and_the_run_is_closed(log_dir):
    with pytest.raises(ArgumentError, match="argument 'alerts'"):
        mb.Run(log_dir, alerts="yes")
    run = mb.Run(log_dir)
    run.close()
    with pytest.raises(ClosedRunError):
        watch(run)


def test_a_run_without_alerts_imports_none_of_the_rules(run_python, log_dir):
    code = "import sys, multiboard as mb; mb.Run(sys.argv[1]).close(); print([n for n in sys.modules if 'alerts' in n])"
    assert run_python(code, log_dir).stdout.strip() == "[]"
