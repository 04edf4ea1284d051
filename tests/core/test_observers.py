"""Observers see what a run writes, and nothing that they do stops it."""

import math
import signal
import threading

import numpy as np
import pytest

import multiboard as mb
from multiboard.errors import ClosedRunError, MultiboardWarning
from multiboard.values import Capture, MeasuredBatch


class Seen:
    """An observer that remembers."""

    def __init__(self):
        self.scalars = []
        self.histograms = []
        self.threads = set()
        self.closed = 0

    def saw_scalars(self, numbers, step, wall_time):
        self.scalars.append((dict(numbers), step, wall_time))
        self.threads.add(threading.current_thread().name)

    def saw_histogram(self, tag, statistics, step, wall_time):
        self.histograms.append((tag, statistics, step, wall_time))

    def close(self):
        self.closed += 1


class Later:
    def __init__(self, value):
        self.value = value

    def fetch(self):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


@pytest.fixture(params=[False, True], ids=["queue", "durable"])
def observed(request, log_dir):
    """A run, and what an observer saw of it."""
    seen = Seen()
    with mb.Run(log_dir, durable=request.param) as run:
        run.observe(seen)
        yield run, seen


def test_an_observer_sees_the_numbers_of_every_call_in_the_order_of_the_calls(observed):
    run, seen = observed
    for step in range(300):
        run.log({"a": step + 0.5, "b": step}, step, wall_time=step)
        run.scalar("c", np.float64(0.1), step, wall_time=step)
    run.close()
    calls = [[({"a": step + 0.5, "b": step}, step, step), ({"c": 0.1}, step, step)] for step in range(300)]
    assert seen.scalars == [call for of_step in calls for call in of_step]
    assert seen.closed == 1


def test_an_observer_sees_numbers_that_come_later_and_not_those_that_do_not_come(observed):
    run, seen = observed
    run.log({"a": 1.0}, 0)
    run.log({"a": Later(2.0), "b": Later(None)}, 1)
    with pytest.warns(MultiboardWarning, match="could not be read"):
        run.log({"a": 3.0, "b": Later(RuntimeError("gone"))}, 2)
        run.close()
    told = [(numbers, step) for numbers, step, _ in seen.scalars if not any("dropped" in tag for tag in numbers)]
    assert told == [({"a": 1.0}, 0), ({"a": 2.0}, 1), ({"a": 3.0}, 2)]


def test_an_observer_sees_what_is_not_finite_with_its_counts(observed):
    run, seen = observed
    with pytest.warns(MultiboardWarning, match="not finite"):
        run.log({"a": math.nan}, 0)
        run.log({"a": math.inf}, 1)
        run.close()
    assert [numbers["nonfinite/a"] for numbers, _, _ in seen.scalars] == [1, 2]
    assert math.isnan(seen.scalars[0][0]["a"])


def test_an_observer_sees_distributions_as_statistics_and_a_capture_part_by_part(observed):
    run, seen = observed
    run.histogram("h", np.arange(10.0), 3)
    counts = np.zeros((2, 1024), int)
    counts[:, 320] = 5
    batch = MeasuredBatch(counts, np.zeros((2, 4), int), np.tile([5.0, 5.0, 1.0, 1.0], (2, 1)))
    run.capture(Capture(("grads/b/kernel", "grads/a/kernel"), Later(batch), 4, 0.0))
    run.close()
    assert [(tag, step) for tag, _, step, _ in seen.histograms] == [("h", 3), ("grads/b/kernel", 4), ("grads/a/kernel", 4)]
    assert seen.histograms[0][1].finite == 10
    assert seen.scalars[-1][0]["norm/grads"] == pytest.approx(math.sqrt(10))


def test_an_observer_sees_its_run_and_not_the_child_runs(observed):
    run, seen = observed
    of_child = Seen()
    child = run.child("validation")
    child.observe(of_child)
    run.log({"a": 1.0}, 0)
    child.log({"b": 2.0}, 0)
    child.close()
    assert of_child.closed == 1
    run.close()
    assert [list(numbers) for numbers, _, _ in seen.scalars] == [["a"]]
    assert [list(numbers) for numbers, _, _ in of_child.scalars] == [["b"]]


def test_what_an_observer_raises_is_said_once_and_stops_neither_the_others_nor_the_file(observed, log_dir):
    run, seen = observed

    class Broken(Seen):
        def saw_scalars(self, *_):
            raise ValueError("broken")

        def close(self):
            raise OSError("broken, too")

    first = Seen()
    run.observe(Broken())
    run.observe(first)
    with pytest.warns(MultiboardWarning) as said:
        for step in range(100):
            run.log({"a": 1.0}, step)
        run.close()
    texts = [str(warning.message) for warning in said]
    assert sum("the observer Broken raised ValueError: broken" in text for text in texts) == 1
    assert sum("the observer Broken raised OSError" in text for text in texts) == 1
    assert len(first.scalars) == len(seen.scalars) == len(mb.read(log_dir)["."].scalars["a"].step) == 100


def test_an_observer_that_wants_to_exit_ends_neither_the_writer_nor_the_run(observed, log_dir):
    run, seen = observed

    class Exits(Seen):
        def saw_scalars(self, *_):
            raise SystemExit(1)

    run.observe(Exits())
    with pytest.warns(MultiboardWarning) as said:
        for step in range(10):
            run.log({"a": 1.0}, step)
            assert run.flush()
        run.close()
    assert any("the observer Exits raised SystemExit" in str(warning.message) for warning in said)
    assert len(seen.scalars) == len(mb.read(log_dir)["."].scalars["a"].step) == 10


def test_observers_are_closed_although_the_file_cannot_be(log_dir, monkeypatch):
    def fail(_):
        raise OSError("the network is down")

    seen = Seen()
    run = mb.Run(log_dir)
    run.observe(seen)
    with pytest.warns(MultiboardWarning, match="the network is down"), monkeypatch.context() as patch:
        patch.setattr("multiboard.event_writer.EventWriter.close", fail)
        run.close()
    assert seen.closed == 1
    run._lane.sink._writer.close()


def test_an_observer_is_called_in_the_writer_thread_or_by_the_caller_of_a_durable_run(log_dir):
    for durable, name in ((False, "multiboard-writer"), (True, threading.current_thread().name)):
        seen = Seen()
        with mb.Run(log_dir / str(durable), durable=durable) as run:
            run.observe(seen)
            run.log({"a": 1.0}, 0)
        assert seen.threads == {name}


@pytest.mark.parametrize("arguments", [{}, {"durable": True}, {"overflow": "block", "memory_bytes": 20_000}])
@pytest.mark.timeout(60)
def test_an_observer_may_log_into_its_run_from_where_it_is_called(log_dir, arguments):
    """With little memory and a run that blocks, the writer thread would wait for itself."""

    class Logs(Seen):
        def saw_scalars(self, numbers, step, wall_time):
            super().saw_scalars(numbers, step, wall_time)
            if "a" in numbers:
                run.log({"b": 2 * numbers["a"]}, step)
                run.text("note", f"step {step}", step)
                run.flush(1.0)

    observer = Logs()
    with mb.Run(log_dir, on_error=lambda *_: None, **arguments) as run:
        run.observe(observer)
        for step in range(2 if "memory_bytes" not in arguments else 2000):
            run.log({"a": float(step)}, step)
        run.flush()
    found = mb.read(log_dir)["."]
    assert found.scalars["a"].step.tolist() == list(range(len(found.scalars["a"].step)))
    dropped = {tag: int(column.value[-1]) for tag, column in found.scalars.items() if "dropped" in tag}
    assert len(found.scalars["b"].step) + dropped.get("multiboard/dropped/scalar", 0) == len(found.scalars["a"].step)
    assert len(found.texts["note"].step) + dropped.get("multiboard/dropped/text", 0) == len(found.scalars["a"].step)


def test_what_an_observer_logs_when_a_signal_ends_the_program_is_in_the_file(log_dir, start_python, end, steps):
    code = """
import sys, time
import multiboard as mb
run = mb.Run(sys.argv[1])
class Logs:
    def saw_scalars(self, numbers, step, wall_time):
        if "a" in numbers: run.log({"b": 1.0}, step)
    def saw_histogram(self, *_): pass
    def close(self): pass
run.observe(Logs())
run.log({"a": 1.0}, 0)
run.flush()
print("ready", flush=True)
for step in range(1, 10**9):
    run.log({"a": 1.0}, step); time.sleep(0.001)
"""
    process = start_python(code, log_dir)
    code, errors = end(process, lambda process: process.send_signal(signal.SIGTERM))
    assert (code, errors) == (-signal.SIGTERM, "")
    assert steps(log_dir, "b") == steps(log_dir, "a")


class Answers(Seen):
    """Logs an answer to every number that it sees, up to a number."""

    def __init__(self, run, most):
        super().__init__()
        self.run, self.most = run, most

    def saw_scalars(self, numbers, *_):
        if (number := numbers.get("a", self.most)) < self.most:
            self.run.log({"a": number + 1}, int(number) + 1)


def end_like_a_signal(run):
    run._pipeline.stop_soon()
    run._pipeline.join()


def test_what_observers_answer_to_answers_when_a_signal_ends_the_program_is_in_the_file(log_dir, steps):
    run = mb.Run(log_dir)
    run.observe(Answers(run, 12))
    run.log({"a": 0.0}, 0)
    end_like_a_signal(run)
    assert steps(log_dir, "a") == list(range(13))
    run.close()


@pytest.mark.timeout(60)
def test_an_observer_that_answers_without_end_does_not_keep_a_program_from_ending(log_dir, steps):
    run = mb.Run(log_dir)
    run.observe(Answers(run, math.inf))
    run.log({"a": 0.0}, 0)
    end_like_a_signal(run)
    assert len(steps(log_dir, "a")) > 10
    run.close()


def test_a_closed_run_takes_no_observer(log_dir):
    run = mb.Run(log_dir)
    run.close()
    with pytest.raises(ClosedRunError):
        run.observe(Seen())


def test_a_signal_handler_finds_a_durable_run_busy_while_an_observer_logs(log_dir):
    """An observer's own call must not make the lane look idle while the outer call is being written."""
    idle = []

    class Logs(Seen):
        def saw_scalars(self, numbers, step, wall_time):
            super().saw_scalars(numbers, step, wall_time)
            if "a" in numbers:
                run.log({"b": 1.0}, step)
                idle.append(not run._pipeline._writing)

    with mb.Run(log_dir, durable=True) as run:
        run.observe(Logs())
        run.log({"a": 1.0}, 0)
    assert idle == [False]


def test_numbers_of_numpy_are_shown_without_a_warning(written):
    """Few calls, and many that are encoded as a table."""
    seen = Seen()

    def actions(run):
        run.observe(seen)
        for step in range(5):
            run.log({"a": np.float32(0.5), "b": np.float16(2)}, step)
            run.flush()
        for step in range(5, 105):
            run.log({"a": np.float32(0.5), "b": np.float16(2)}, step)

    written(actions)
    assert len(seen.scalars) == 105
