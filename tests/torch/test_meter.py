"""The meter writes means over the updates since its last writing, and leaves out what is no training."""

import time

import numpy as np
import pytest
import torch

import multiboard as mb
import multiboard.torch as mbt
from multiboard_torch.meter import Meter

MEANS = {"perf/step_ms", "perf/input_wait_ms", "perf/input_share", "perf/examples_per_s"}


def sleep(milliseconds):
    time.sleep(milliseconds / 1000)


class Stopwatch:
    """A context manager that adds up milliseconds."""

    ms = 0.0

    def __enter__(self):
        self.began = time.perf_counter()

    def __exit__(self, *_):
        self.ms += 1000 * (time.perf_counter() - self.began)


def measured_ms(scalars, every):
    """Return the sum of all measured step times; single precision may round it up."""
    return (1 - 1e-6) * every * scalars["perf/step_ms"].value.sum()


def run_steps(meter, steps, wait=0.0, work=0.0, examples=None):
    for _ in range(steps):
        with meter.waiting():
            sleep(wait)
        sleep(work)
        meter.step(examples)


def test_means_are_written_every_n_updates_at_the_last_of_them_and_the_first_update_apart(log_dir, written):
    with mb.Run(log_dir) as run:
        run_steps(Meter(run, every=3), 9, examples=4)
    scalars = written().scalars
    assert set(scalars) == MEANS | {"perf/first_step_ms"}
    assert scalars["perf/first_step_ms"].step.tolist() == [0]
    assert {tuple(scalars[tag].step.tolist()) for tag in MEANS} == {(3, 6)}


def test_a_slow_first_update_is_in_no_mean(log_dir, written):
    whole = Stopwatch()
    with mb.Run(log_dir) as run, whole:
        meter = Meter(run, every=3)
        run_steps(meter, 1, work=200)
        run_steps(meter, 3, work=5)
    scalars = written().scalars
    assert scalars["perf/first_step_ms"].value[0] >= 200
    assert scalars["perf/step_ms"].value[0] >= 5
    assert scalars["perf/first_step_ms"].value[0] * (1 - 1e-6) + measured_ms(scalars, 3) <= whole.ms


def test_the_four_numbers_fit_together(log_dir, written):
    with mb.Run(log_dir) as run:
        run_steps(Meter(run, every=5), 6, wait=30, work=10, examples=8)
    names = ("step_ms", "input_wait_ms", "input_share", "examples_per_s")
    step, wait, share, rate = (written().scalars[f"perf/{name}"].value[0] for name in names)
    assert wait >= 30
    assert step >= wait + 10
    np.testing.assert_allclose(share, wait / step, rtol=1e-6)
    np.testing.assert_allclose(rate, 8 / (step / 1000), rtol=1e-6)


def test_a_loop_that_never_says_waiting_gets_no_number_for_it(log_dir, written):
    with mb.Run(log_dir) as run:
        meter = Meter(run, every=2)
        for _ in range(5):
            meter.step(examples=2)
    assert set(written().scalars) == {"perf/step_ms", "perf/examples_per_s"}
    assert written().scalars["perf/step_ms"].step.tolist() == [2, 4]


def test_start_step_continues_the_steps(log_dir, written):
    with mb.Run(log_dir) as run:
        run_steps(Meter(run, every=2, start_step=100), 5)
    assert written().scalars["perf/first_step_ms"].step.tolist() == [100]
    assert written().scalars["perf/step_ms"].step.tolist() == [102, 104]


def test_write_writes_what_is_left_once(log_dir, written):
    with mb.Run(log_dir) as run:
        meter = Meter(run, every=10)
        run_steps(meter, 4)
        meter.write()
        meter.write()
    assert written().scalars["perf/step_ms"].step.tolist() == [3]


@pytest.mark.parametrize("examples", [3, 3.0, np.int64(3), torch.tensor(3)])
def test_a_number_of_examples_may_be_of_any_kind_on_the_host(examples, log_dir, written):
    with mb.Run(log_dir) as run:
        run_steps(Meter(run, every=2), 3, work=1, examples=examples)
    scalars = written().scalars
    np.testing.assert_allclose(scalars["perf/examples_per_s"].value * scalars["perf/step_ms"].value, 3000)


def test_a_number_on_a_device_is_not_waited_for_but_said_once(log_dir, written):
    """A meta tensor stands for a device: reading it would raise."""
    with mb.Run(log_dir) as run:
        meter = Meter(run, every=2)
        with pytest.warns(mb.MultiboardWarning, match="no number on the host") as said:
            run_steps(meter, 5, examples=torch.zeros((), device="meta"))
        assert len(said) == 1
        with pytest.warns(mb.MultiboardWarning, match=r"examples of a step \(5\)"):
            run.close()
    assert written().scalars["perf/step_ms"].step.tolist() == [2, 4]
    assert "perf/examples_per_s" not in written().scalars


def test_one_step_without_a_number_of_examples_takes_it_from_its_window_only(log_dir, written):
    with mb.Run(log_dir) as run:
        meter = Meter(run, every=2)
        for examples in [1, 1, None, 1, 1]:
            run_steps(meter, 1, examples=examples)
    assert written().scalars["perf/step_ms"].step.tolist() == [2, 4]
    assert written().scalars["perf/examples_per_s"].step.tolist() == [4]


def test_what_is_paused_counts_neither_as_step_nor_as_waiting(log_dir, written):
    whole, pauses = Stopwatch(), Stopwatch()
    with mb.Run(log_dir) as run:
        meter = Meter(run, every=2)
        with whole:
            run_steps(meter, 1)
            for _ in range(4):
                run_steps(meter, 1, work=2)
                with meter.paused(), meter.paused(), meter.waiting(), pauses:
                    sleep(100)
    scalars = written().scalars
    assert scalars["perf/step_ms"].step.tolist() == [2, 4]
    assert 4 * 2 <= measured_ms(scalars, 2) <= whole.ms - pauses.ms
    assert (scalars["perf/input_share"].value <= 1).all()


def test_updates_made_in_a_pause_are_numbered_but_not_measured(log_dir, written):
    whole, pauses = Stopwatch(), Stopwatch()
    with mb.Run(log_dir) as run:
        meter = Meter(run, every=2)
        with whole:
            run_steps(meter, 1)
            run_steps(meter, 1, work=20)
            with meter.paused(), pauses:
                run_steps(meter, 5, work=20)
            run_steps(meter, 1, work=20)
    assert written().scalars["perf/step_ms"].step.tolist() == [7]
    assert 2 * 20 <= measured_ms(written().scalars, 2) <= whole.ms - pauses.ms


def test_start_leaves_out_what_passed_since_the_last_step(log_dir, written):
    whole, between = Stopwatch(), Stopwatch()
    with mb.Run(log_dir) as run:
        meter = Meter(run, every=2)
        with whole:
            run_steps(meter, 1)
            run_steps(meter, 1)
            with between:
                sleep(100)
            meter.start()
            run_steps(meter, 1)
    assert 0 < measured_ms(written().scalars, 2) <= whole.ms - between.ms


def test_nested_waiting_counts_once(log_dir, written):
    with mb.Run(log_dir) as run:
        meter = Meter(run, every=1)
        for _ in range(2):
            with meter.waiting():
                sleep(20)
                with meter.waiting():
                    sleep(1)
            meter.step()
    assert written().scalars["perf/input_wait_ms"].value[0] >= 20
    assert written().scalars["perf/input_share"].value[0] <= 1


def test_an_exception_while_waiting_reaches_the_user_and_the_meter_goes_on(log_dir, written):
    with mb.Run(log_dir) as run:
        meter = Meter(run, every=1)
        with pytest.raises(KeyError), meter.waiting():
            raise KeyError
        run_steps(meter, 2)
    assert written().scalars["perf/step_ms"].step.tolist() == [1]


def test_with_a_watch_several_batches_of_one_update_are_one_step(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=100, start_step=50) as watching:
        meter = Meter(run, every=2, watching=watching)
        for batch in range(1, 16):
            with meter.waiting():
                sleep(5)
            loss_at(model, batch).backward()
            if batch % 3 == 0:
                optimizer.step()
            meter.step(examples=16)
    scalars = written().scalars
    assert scalars["perf/first_step_ms"].step.tolist() == [50]
    assert scalars["perf/step_ms"].step.tolist() == [52, 54]
    assert (scalars["perf/input_wait_ms"].value >= 15).all()
    np.testing.assert_allclose(scalars["perf/examples_per_s"].value * scalars["perf/step_ms"].value, 3 * 16 * 1000)


def test_an_update_that_began_unseen_is_in_no_mean(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    whole, first = Stopwatch(), Stopwatch()
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=100) as watching, whole:
        meter = Meter(run, every=1, watching=watching)
        for batch in range(1, 5):
            with first if batch <= 2 else Stopwatch():
                sleep(50 if batch <= 2 else 1)
                loss_at(model, batch).backward()
                if batch % 2 == 0:
                    optimizer.step()
            meter.step()
    assert written().scalars["perf/step_ms"].step.tolist() == [1]
    assert "perf/first_step_ms" not in written().scalars
    assert 2 <= measured_ms(written().scalars, 1) <= whole.ms - first.ms


def test_a_closed_run_is_said_once_and_stops_nothing(log_dir):
    run = mb.Run(log_dir)
    run.close()
    meter = Meter(run, every=1)
    with pytest.warns(mb.MultiboardWarning, match="is closed") as said:
        run_steps(meter, 5)
    assert len(said) == 1


def test_a_tag_of_another_kind_is_said_once_and_stops_nothing(log_dir, written):
    with mb.Run(log_dir) as run:
        run.text("perf/step_ms", "slow", 0)
        meter = Meter(run, every=1)
        with pytest.warns(mb.MultiboardWarning, match="perf/step_ms") as said:
            run_steps(meter, 4)
        assert len(said) == 1
        with pytest.warns(mb.MultiboardWarning, match=r"TagKindError perf/step_ms \(3\)"):
            run.close()
    assert "perf/step_ms" not in written().scalars


def test_a_process_without_a_run_writes_nothing(tmp_path):
    run_steps(Meter(None, every=1), 3, examples=torch.zeros((), device="meta"))
    assert list(tmp_path.iterdir()) == []


WRONG = {
    "run": ("runs/first", "multiboard.Run"),
    "every": (0, "at least 1"),
    "start_step": (-1, "at least 0"),
    "watching": (torch.optim.SGD([torch.zeros(1)], lr=0.1), "mbt.watch"),
    "memory": ("yes", "True or False"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named_with_its_remedy(name, log_dir):
    value, remedy = WRONG[name]
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError, match=remedy) as raised:
        Meter(**{"run": run, name: value})
    assert raised.value.name == name
