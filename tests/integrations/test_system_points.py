"""When system metrics are written: one point a new step, the means since the last one, and the last ones at the end."""

import os
import threading
import time

import pytest

import multiboard as mb
from multiboard.system import sources, watching

TAG = "system/process_memory_gb"
THREAD = "multiboard-system"


class Clock:
    """A source that returns how often it was read, `most` at most."""

    name = "clock"
    most = 10**6

    def __init__(self):
        self.readings = 0

    def read(self):
        self.readings += 1
        return {"system/clock": float(min(self.readings, self.most))}


@pytest.fixture
def clock(monkeypatch):
    """A source that runs alone."""
    found = Clock()
    monkeypatch.setattr(watching, "find_sources", lambda *_: [found])
    return found


@pytest.fixture
def points(tmp_path):
    """A function that returns the steps and values of a tag."""

    def read(tag="system/clock", name="."):
        column = mb.read(tmp_path)[name].scalars.get(tag)
        return [] if column is None else list(zip(column.step.tolist(), column.value.tolist(), strict=True))

    return read


def wait_until(condition):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def threads():
    return [thread.name for thread in threading.enumerate()].count(THREAD)


def test_a_step_has_one_point_with_the_mean_since_the_last_one(tmp_path, clock, points):
    clock.most = 2
    with mb.Run(tmp_path, system=0.1) as run:
        wait_until(lambda: clock.readings >= 2)
        run.log({"x": 1.0}, 5)
        before = clock.readings
        wait_until(lambda: clock.readings >= before + 3)
        run.flush()
        (first,) = points()
        assert first[0] == 5
        assert 1 < first[1] < 2
        run.log({"x": 1.0}, 9)
    assert points() == [first, (9, 2.0)]


def test_a_run_without_a_step_has_no_points(tmp_path, clock, points):
    with mb.Run(tmp_path, system=0.1):
        wait_until(lambda: clock.readings >= 2)
    assert points() == []


@pytest.mark.usefixtures("clock")
def test_the_last_means_are_written_at_the_end_of_a_run(tmp_path, points):
    with mb.Run(tmp_path, system=3600) as run:
        for step in range(3):
            run.log({"x": 1.0}, step)
        time.sleep(0.05)
    assert points() == [(2, 1.0)]


def test_steps_that_go_back_make_no_second_point(tmp_path, clock, points):
    with mb.Run(tmp_path, system=0.1) as run:
        for step in (100, 3, 50):
            run.log({"x": 1.0}, step)
            before = clock.readings
            wait_until(lambda: clock.readings >= before + 2)  # noqa: B023  # called at once
    assert [step for step, _ in points()] == [100]


@pytest.mark.usefixtures("clock")
def test_steps_of_child_runs_count(tmp_path, points):
    with mb.Run(tmp_path, system=3600) as run:
        run.child("train").histogram("h", [1.0], 7)
        time.sleep(0.05)
    assert points() == [(7, 1.0)]
    assert points(name="train") == []


def test_a_durable_run_has_points(tmp_path, clock, points):
    with mb.Run(tmp_path, system=0.1, durable=True) as run:
        run.log({"x": 1.0}, 4)
        wait_until(lambda: clock.readings >= 2)
    assert [step for step, _ in points()] == [4]


def test_all_runs_of_a_process_share_one_thread_that_ends_with_them(tmp_path):
    with mb.Run(tmp_path / "a", system=0.1), mb.Run(tmp_path / "b", system=5):
        assert threads() == 1
    wait_until(lambda: threads() == 0)
    with mb.Run(tmp_path / "c", system=5):
        assert threads() == 1
    wait_until(lambda: threads() == 0)


def test_a_run_that_is_forgotten_is_not_kept_alive(tmp_path, clock):
    mb.Run(tmp_path, system=0.1)
    wait_until(lambda: threads() == 0)
    assert clock.readings < 100


def test_a_forked_child_reads_nothing(tmp_path, clock, points):
    with mb.Run(tmp_path, system=0.1) as run:
        run.log({"x": 1.0}, 0)
        child = os.fork()
        if not child:
            before = clock.readings
            time.sleep(0.3)
            os._exit(int(clock.readings != before or threads() != 0))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [step for step, _ in points()] == [0]


def test_a_forked_child_can_have_metrics_of_its_own(tmp_path, points):
    with mb.Run(tmp_path / "parent", system=0.1):
        child = os.fork()
        if not child:
            try:
                with mb.Run(tmp_path / "child", system=0.1, facts=False) as own:
                    for step in (3, 4):
                        own.log({"x": 1.0}, step)
                        time.sleep(0.4)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [step for step, _ in points(TAG, "child")] == [3, 4]


def test_a_silent_rank_has_no_metrics(tmp_path, monkeypatch, clock):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with mb.Run(tmp_path, system=0.1) as run:
        assert threads() == 0
        watching.watch(run)
        assert threads() == 0
    assert clock.readings == 0


class Failing(Clock):
    """A source whose driver is lost."""

    name = "driver"

    def read(self):
        super().read()
        raise OSError(5, "lost")


def test_a_source_that_fails_is_said_once_and_left_out(tmp_path, monkeypatch, points):
    good, bad, reports = Clock(), Failing(), []
    monkeypatch.setattr(watching, "find_sources", lambda *_: [bad, good])
    with (
        pytest.warns(mb.MultiboardWarning, match="metrics of driver are left out: OSError.*lost"),
        mb.Run(tmp_path, system=0.1, on_error=lambda *report: reports.append(report)) as run,
    ):
        for step in range(3):
            run.log({"x": 1.0}, step)
            before = good.readings
            wait_until(lambda: good.readings >= before + 2)  # noqa: B023  # called at once
    assert bad.readings == len(reports) == 1
    assert [step for step, _ in points()] == [0, 1, 2]


class Hanging(Clock):
    """A source in a file system that does not answer."""

    def __init__(self):
        super().__init__()
        self.answer = threading.Event()

    def read(self):
        self.answer.wait(60)
        return super().read()


@pytest.mark.parametrize("since", ["before", "the last reading"])
def test_a_source_that_hangs_holds_up_the_end_of_the_run_for_a_moment_only(since, tmp_path, monkeypatch, points):
    monkeypatch.setattr(watching, "_PATIENCE", 0.05)
    hanging, reports = Hanging(), []
    monkeypatch.setattr(watching, "find_sources", lambda *_: [hanging])
    every = 0.1 if since == "before" else 3600
    with mb.Run(tmp_path, system=every, on_error=lambda *report: reports.append(report)) as run:
        run.log({"x": 1.0}, 0)
        time.sleep(0.2)
    assert hanging.readings == 0
    assert points("x") == [(0, 1.0)]
    hanging.answer.set()
    wait_until(lambda: threads() == 0)
    assert not reports


def test_a_tag_that_is_taken_costs_the_metrics_and_not_the_run(tmp_path, clock):
    reports = []
    with (
        mb.Run(tmp_path, system=3600, on_error=lambda *report: reports.append(report)) as run,
        pytest.warns(mb.MultiboardWarning),
    ):
        run.text("system/clock", "mine", 0)
        time.sleep(0.05)
        run.close()
    assert len(reports) == 1
    assert mb.read(tmp_path)["."].texts["system/clock"].value == ["mine"]
    assert clock.readings == 1


def test_a_counter_that_begins_anew_is_left_out():
    from multiboard.system.machine import Rates

    rates = Rates({"a": 10.0, "b": 5.0})
    time.sleep(0.01)
    found = rates.since({"a": 3.0, "b": 6.0, "c": 1.0})
    assert list(found) == ["b"]
    assert found["b"] > 0


def test_what_this_machine_has_is_found(tmp_path):
    names = [source.name for source in sources.find_sources(str(tmp_path), lambda *report: pytest.fail(str(report)))]
    assert names[:4] == ["processors", "memory", "disk", "network"]
