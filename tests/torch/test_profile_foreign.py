"""PyTorch has one profiler at a time: whoever begins second ends the first. What is not ours goes on, and is complete."""

import pytest
import torch
from torch.profiler import ProfilerAction, ProfilerActivity, profile, schedule

from multiboard.profile.tracer import ForeignProfilerError

X = torch.ones(3)
CPU = {"activities": [ProfilerActivity.CPU], "acc_events": False}


def adds(profiler):
    return sum(event.count for event in profiler.key_averages() if event.key == "aten::add")


def ours(traced):
    return sum(one["name"] == "aten::add" for one in traced(lambda _: X + 1))


def test_a_profiler_that_runs_goes_on(tracer, traced):
    with profile(**CPU) as foreign:
        X + 1
        window = tracer()
        window.prepare()
        with pytest.raises(ForeignProfilerError):
            window.start()
        window.abort()
        X + 1
    assert adds(foreign) == 2
    assert ours(traced) == 1


def test_the_older_profiler_goes_on_too(tracer):
    with torch.autograd.profiler.profile() as foreign:
        with pytest.raises(ForeignProfilerError):
            tracer().start()
        X + 1
    assert adds(foreign) == 1


@pytest.mark.parametrize("acc_events", [False, True])
@pytest.mark.filterwarnings("ignore:.*clears events:UserWarning")
def test_a_profiler_that_warms_up_goes_on(acc_events, tracer, traced):
    saved, refused = [], []
    cycle = schedule(wait=1, warmup=1, active=1, repeat=2)
    options = CPU | {"acc_events": acc_events}
    with profile(**options, schedule=cycle, on_trace_ready=lambda foreign: saved.append(adds(foreign))) as foreign:
        for _ in range(6):
            window = tracer()
            try:
                window.prepare()
                window.start()
                window.stop()
            except ForeignProfilerError:
                refused.append(foreign.current_action)
                window.abort()
            X + 1
            foreign.step()
    assert refused == [ProfilerAction.WARMUP, ProfilerAction.RECORD_AND_SAVE] * 2
    assert saved == ([1, 2] if acc_events else [1, 1])
    assert ours(traced) == 1


@pytest.mark.parametrize("end", ["stop", "abort"])
@pytest.mark.parametrize("until", ["prepared", "running", "stopped"])
def test_a_profiler_that_begins_in_a_window_ends_that_one_and_goes_on(until, end, tracer, traced):
    window, foreign = tracer(), profile(**CPU)
    window.start()
    window.step(0)
    X + 1
    foreign.prepare_trace()
    if until != "prepared":
        foreign.start_trace()
        X + 1
    if until == "stopped":
        foreign.stop_trace()
    window.step(1)
    if end == "stop":
        with pytest.raises(ForeignProfilerError):
            window.stop()
    window.abort()
    if until == "prepared":
        foreign.start_trace()
    if until != "stopped":
        X + 1
        foreign.stop_trace()
    assert adds(foreign) == {"prepared": 1, "running": 2, "stopped": 1}[until]
    del foreign, window
    assert ours(traced) == 1


def test_a_profiler_of_another_thread_goes_on(tracer):
    import threading

    begun, over, found = threading.Event(), threading.Event(), []

    def work():
        with profile(**CPU) as foreign:
            begun.set()
            over.wait(60)
            X + 1
        found.append(adds(foreign))

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(60)
    with pytest.raises(ForeignProfilerError):
        tracer().start()
    over.set()
    thread.join()
    assert found == [1]


def test_a_profiler_that_is_over_is_not_in_the_way(traced):
    with profile(**CPU) as foreign:
        X + 1
    assert ours(traced) == 1
    assert adds(foreign) == 1
