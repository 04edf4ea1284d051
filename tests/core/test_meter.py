"""The meter that all adapters share: which steps are in a mean, and to which step it belongs."""

import doctest
import subprocess
import sys
import time

import numpy as np
import pytest

import multiboard as mb
import multiboard.loop
from multiboard.meter import Calls, Meter, check_counter


def run_steps(meter, steps, examples=None, milliseconds=1.0, begun=None):
    """Make steps; each counts one update as begun."""
    for _ in range(steps):
        with meter.waiting():
            time.sleep(milliseconds / 1000)
        if begun is not None:
            begun.step += 1
        meter.step(examples)


def test_without_a_counter_every_call_is_an_update(written):
    data = written(lambda run: run_steps(Meter(run, every=2, start_step=10), 5))
    assert data.scalars["perf/first_step_ms"].step.tolist() == [10]
    assert data.scalars["perf/step_ms"].step.tolist() == [12, 14]


def test_updates_that_a_device_has_not_finished_are_in_no_mean(written):
    """Four updates are begun before the first is over: the mean is of those that are over, at the last of them."""
    begun, finished = Calls(0), Calls(0)

    def train(run):
        meter = Meter(run, every=4, watching=begun, finished=finished)
        run_steps(meter, 4, begun=begun)
        for _ in range(9):
            finished.step += 1
            run_steps(meter, 1, begun=begun, milliseconds=5)

    data = written(train)
    assert data.scalars["perf/first_step_ms"].step.tolist() == [0]
    assert data.scalars["perf/step_ms"].step.tolist() == [4, 8]
    assert (data.scalars["perf/step_ms"].value >= 5).all()


class Later:
    """A number that is read later."""

    def __init__(self, number):
        self.number = number

    def fetch(self):
        return self.number


@pytest.mark.parametrize("every", [10, 1500])
def test_numbers_of_examples_that_are_pending_are_read_later(written, every):
    """Those of a long window are read in between, so that not all are held."""

    def train(run):
        meter = Meter(run, every=every)
        meter.start()
        for step in range(1 + every):
            meter.step(Later(8) if step % 2 else 4)

    scalars = written(train).scalars
    np.testing.assert_allclose(scalars["perf/examples_per_s"].value * scalars["perf/step_ms"].value, 6000, rtol=1e-5)


def test_a_number_of_examples_that_cannot_be_read_costs_the_rate_alone(written):
    def train(run):
        meter = Meter(run, every=2)
        meter.start()
        for _ in range(3):
            meter.step(Later(None))

    with pytest.warns(mb.MultiboardWarning, match="examples_per_s"):
        scalars = written(train).scalars
    assert "perf/examples_per_s" not in scalars
    assert len(scalars["perf/step_ms"].value) == 1


def test_examples_and_waiting_belong_to_the_updates_that_were_begun(written):
    """Eight updates are begun while two are finished: the examples per second are those of the two."""
    begun, finished = Calls(0), Calls(0)

    def train(run):
        meter = Meter(run, every=2, watching=begun, finished=finished)
        meter.start()
        finished.step = 1
        run_steps(meter, 1, begun=begun)
        run_steps(meter, 7, examples=16, begun=begun, milliseconds=5)
        finished.step = 3
        run_steps(meter, 1, examples=16, begun=begun, milliseconds=5)

    scalars = written(train).scalars
    rate, step = scalars["perf/examples_per_s"].value[0], scalars["perf/step_ms"].value[0]
    np.testing.assert_allclose(rate * step / 1000, 16, rtol=1e-6)
    assert step >= 4 * 5
    assert 5 <= scalars["perf/input_wait_ms"].value[0] <= step / 4 * (1 + 1e-6)


def test_what_a_device_finishes_in_a_pause_is_in_no_mean(written):
    begun, finished = Calls(0), Calls(0)

    def train(run):
        meter = Meter(run, every=2, watching=begun, finished=finished)
        meter.start()
        finished.step = 1
        run_steps(meter, 5, begun=begun)
        with meter.paused():
            finished.step = 5
        run_steps(meter, 2, begun=begun)
        finished.step = 7
        run_steps(meter, 1, begun=begun)

    assert written(train).scalars["perf/step_ms"].step.tolist() == [6]


def test_a_step_in_which_something_was_compiled_is_in_no_mean_but_written_apart(written):
    compiled = [0]

    def train(run):
        meter = Meter(run, every=2, compilations=lambda: compiled[0])
        for position in range(8):
            slow = position in {0, 1, 5}
            compiled[0] += slow
            run_steps(meter, 1, milliseconds=200 if slow else 1)

    scalars = written(train).scalars
    assert scalars["perf/first_step_ms"].step.tolist() == [0, 1, 5]
    assert (scalars["perf/first_step_ms"].value >= 200).all()
    assert scalars["perf/step_ms"].step.tolist() == [3, 6]
    assert scalars["perf/step_ms"].value.sum() < scalars["perf/first_step_ms"].value.sum() / 2


def test_what_is_compiled_in_a_pause_takes_no_step_out_of_the_mean(written):
    compiled = [0]

    def train(run):
        meter = Meter(run, every=2, compilations=lambda: compiled[0])
        run_steps(meter, 2)
        with meter.paused():
            compiled[0] += 3
        run_steps(meter, 1)

    scalars = written(train).scalars
    assert scalars["perf/first_step_ms"].step.tolist() == [0]
    assert scalars["perf/step_ms"].step.tolist() == [2]


def test_the_rate_of_updates_is_written_on_request(written):
    scalars = written(lambda run: run_steps(Meter(run, every=2, rate=True), 5)).scalars
    np.testing.assert_allclose(scalars["perf/steps_per_s"].value * scalars["perf/step_ms"].value, 1000, rtol=1e-5)
    assert scalars["perf/steps_per_s"].step.tolist() == [2, 4]


def test_memory_is_written_with_the_means(written):
    data = written(lambda run: run_steps(Meter(run, every=2, memory=lambda: {"system/gpu_memory_peak_mib": 3.0}), 5))
    assert data.scalars["system/gpu_memory_peak_mib"].step.tolist() == [0, 2, 4]


def test_memory_that_cannot_be_read_is_said_once_and_stops_nothing(log_dir):
    causes = []
    with mb.Run(log_dir, on_error=lambda cause, _: causes.append(cause)) as run, pytest.warns(mb.MultiboardWarning) as said:
        run_steps(Meter(run, every=1, memory=lambda: 1 / 0), 3)
    assert causes[:3] == ["meter ZeroDivisionError"] * 3
    assert sum("division by zero" in str(warning.message) for warning in said) == 1


@pytest.mark.parametrize("watching", [object(), 3, Calls(True), Calls("0")])
def test_what_counts_no_steps_is_refused_with_a_remedy(watching):
    with pytest.raises(mb.ArgumentError, match="pass the handle"):
        check_counter(watching, "pass the handle")


def test_the_examples_in_docstrings_are_true():
    assert doctest.testmod(multiboard.loop) == (0, 2)


def test_meter_and_loop_need_no_framework():
    code = "import sys, multiboard.loop; print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'jax', 'keras'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
