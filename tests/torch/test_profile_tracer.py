"""One window of PyTorch's profiler: what is in the trace, and what a failure leaves behind."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn

from multiboard_torch import _compat_profiler, profile_devices

X = torch.ones(3)
OPTIONS = {"light": {"level": "light", "memory": True}, "default": {"memory": True}, "no memory": {}, "deep": {"level": "deep"}}


def ops(ranges, name="aten::add"):
    return sum(one["name"] == name for one in ranges)


def trace_of(raws):
    return json.loads(Path(raws[0].path).read_text())


def test_each_step_has_a_marker_that_holds_its_work(traced):
    ranges = traced(lambda step: [X + 1 for _ in range(step + 1)], steps=3)
    for step in range(3):
        (marker,) = (one for one in ranges if one["name"] == f"mb.step:{step}")
        inside = [one for one in ranges if marker["ts"] <= one["ts"] < marker["ts"] + marker["dur"]]
        assert ops(inside) == step + 1


def test_work_in_a_pause_belongs_to_no_step(tracer):
    window = tracer()
    window.start()
    window.step(0)
    window.pause()
    X + 1
    events = {event["name"]: event for event in trace_of(window.stop())["traceEvents"]}
    assert events["mb.step:0"]["ts"] + events["mb.step:0"]["dur"] <= events["aten::add"]["ts"]


def test_waits_for_input_are_marked(tracer):
    window = tracer()
    window.start()
    window.step(0)
    with window.input():
        torch.ones(2)
    names = [event["name"] for event in trace_of(window.stop())["traceEvents"]]
    assert names.count("mb.input") == 1


def test_what_runs_before_the_start_is_not_in_the_trace(tracer):
    window = tracer()
    window.prepare()
    X * 2
    window.start()
    X + 1
    names = Counter(event["name"] for event in trace_of(window.stop())["traceEvents"])
    assert (names["aten::mul"], names["aten::add"]) == (0, 1)


@pytest.mark.parametrize("option", OPTIONS)
def test_levels_record_what_they_say(option, tracer):
    window = tracer(**OPTIONS[option])
    window.start()
    window.step(0)
    torch.ones(100) + 1
    events = trace_of(window.stop())["traceEvents"]
    found = {
        "memory": any(event["name"] == "[memory]" for event in events),
        "shapes": any("Input Dims" in event.get("args", {}) for event in events),
        "python": any(event.get("cat") == "python_function" for event in events),
    }
    assert [what for what, there in found.items() if there] == {
        "default": ["memory"],
        "deep": ["shapes", "python"],
        "light": [],
        "no memory": [],
    }[option]


def test_functions_of_python_can_be_had_alone(tracer):
    window = tracer(python=True)
    window.start()
    Counter([X + 1])
    events = trace_of(window.stop())["traceEvents"]
    assert any(event.get("cat") == "python_function" for event in events)
    assert not any("Input Dims" in event.get("args", {}) for event in events)


@pytest.mark.parametrize("began", [False, True])
def test_after_abort_the_profiler_can_be_used(began, tracer, traced):
    window = tracer()
    window.prepare()
    if began:
        window.start()
        window.step(0)
    window.abort()
    window.abort()
    assert ops(traced(lambda _: X + 1)) == 1
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        X + 1
    assert [event.count for event in profiler.key_averages() if event.key == "aten::add"] == [1]


def test_nothing_stays_open_after_the_warm_up(tracer, traced):
    window = tracer()
    window._warm_up([torch.profiler.ProfilerActivity.CPU])
    assert not _compat_profiler.any_profiler_records()
    assert not _compat_profiler.other_profilers(None)
    assert ops(traced(lambda _: X + 1)) == 1


def test_a_failed_start_leaves_the_profiler_usable(tracer, traced, monkeypatch):
    window = tracer()
    with monkeypatch.context() as patch:
        patch.setattr(torch.profiler.profile, "start_trace", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            window.start()
    window.abort()
    assert ops(traced(lambda _: X + 1)) == 1


def test_devices_that_fail_at_the_end_leave_the_profiler_usable(tracer, traced, monkeypatch):
    window = tracer()
    window.start()
    with monkeypatch.context() as patch:
        patch.setattr("multiboard_torch.profile.wait_for_devices", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            window.stop()
    window.abort()
    assert ops(traced(lambda _: X + 1)) == 1


def test_a_trace_that_cannot_be_written_is_an_error_and_leaves_the_profiler_usable(tracer, traced, tmp_path):
    window = tracer()
    window.start()
    (tmp_path / "raw0").rmdir()
    with pytest.raises(OSError, match=r"torch\.json"):
        window.stop()
    window.abort()
    assert ops(traced(lambda _: X + 1)) == 1


def test_a_trace_that_is_cut_off_is_an_error(tracer, monkeypatch):
    window = tracer()
    window.start()

    def cut(_self, path):
        Path(path).write_text('{"traceEvents": [{"ph": "X", "name": "aten::a')

    monkeypatch.setattr(torch.profiler.profile, "export_chrome_trace", cut)
    with pytest.raises(OSError, match="full disk"):
        window.stop()


def train(window):
    """Train a little, in a window or not, and return all that comes out."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 2))
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=0.1), []
    if window is not None:
        window.prepare()
        window.start()
    for step in range(3):
        if window is not None:
            window.step(step)
        optimizer.zero_grad()
        loss = model(torch.randn(8, 4)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    if window is not None:
        window.stop()
    return [*losses, *model.state_dict().values(), torch.get_rng_state()]


@pytest.mark.parametrize("option", OPTIONS)
def test_the_training_is_the_same_to_the_last_bit(option, tracer):
    assert all(torch.equal(one, other) for one, other in zip(train(tracer(**OPTIONS[option])), train(None), strict=True))


def test_the_process_is_among_the_facts(tracer):
    window = tracer()
    window.start()
    facts = window.stop()[0].facts
    assert (facts["rank"], facts["world"], facts["device"], facts["notes"]) == (0, 1, {}, [])
    assert json.loads(json.dumps(facts)) == facts


def test_devices_are_traced_where_they_work_and_nobody_else_does(monkeypatch):
    kinds = torch.profiler.ProfilerActivity
    monkeypatch.setattr(profile_devices, "supported_activities", lambda: {kinds.CPU, kinds.CUDA, kinds.XPU})
    monkeypatch.setattr(profile_devices, "is_started", lambda name: name == "cuda")
    assert profile_devices.activities(host_only=False) == [kinds.CPU, kinds.CUDA]
    assert profile_devices.activities(host_only=True) == [kinds.CPU]


def test_a_program_inside_of_nsight_is_told_that_events_may_be_missing(tracer, monkeypatch):
    window = tracer()
    window.start()
    monkeypatch.setattr("multiboard_torch.profile.nvidia_tool", lambda: "Nsight Systems")
    window._profile.activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    (note,) = window.stop()[0].facts["notes"]
    assert "Nsight Systems" in note


def test_a_snapshot_of_cuda_is_put_beside_the_trace(tracer, monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cuda.memory, "_record_memory_history", lambda *args, **_: calls.append(args))
    monkeypatch.setattr(torch.cuda.memory, "_dump_snapshot", calls.append)
    with monkeypatch.context() as patch:
        patch.setattr(profile_devices, "is_started", lambda _: True)
        window = tracer(snapshot=True)
    window.start()
    trace, snapshot = window.stop()
    assert (trace.kind, snapshot.kind) == ("kineto", "artefact")
    assert calls == [("all",), snapshot.path, (None,)]


@pytest.mark.parametrize("failures", [0, 1])
def test_a_window_in_which_memory_runs_out_has_a_snapshot_that_nobody_asked_for(tracer, monkeypatch, failures):
    counted = iter([2, 2 + failures])
    monkeypatch.setattr(profile_devices, "memory_stats", lambda: {"system/gpu_ooms": next(counted)})
    monkeypatch.setattr(torch.cuda.memory, "_dump_snapshot", lambda _: None)
    window = tracer()
    window.start()
    assert [raw.kind for raw in window.stop()] == ["kineto", "artefact"][: 1 + failures]


def test_a_snapshot_that_cannot_be_written_is_a_note_and_no_end_of_the_trace(tracer, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    calls = []
    monkeypatch.setattr(torch.cuda.memory, "_record_memory_history", lambda *args, **_: calls.append(args))
    monkeypatch.setattr(torch.cuda.memory, "_dump_snapshot", full)
    with monkeypatch.context() as patch:
        patch.setattr(profile_devices, "is_started", lambda _: True)
        window = tracer(snapshot=True)
    window.start()
    (trace,) = window.stop()
    assert "No space left" in trace.facts["notes"][0]
    assert calls == [("all",), (None,)]


def test_without_cuda_there_is_no_snapshot(tracer):
    window = tracer(snapshot=True)
    window.start()
    assert [raw.kind for raw in window.stop()] == ["kineto"]


def test_a_history_that_somebody_else_keeps_is_not_ended(monkeypatch):
    monkeypatch.setattr(torch._C, "_cuda_isHistoryEnabled", lambda: True, raising=False)
    monkeypatch.setattr(torch.cuda.memory, "_record_memory_history", lambda *_: 1 / 0)
    assert not _compat_profiler.begin_memory_history()


def test_without_private_names_of_pytorch_the_trace_is_the_same(traced, monkeypatch):
    def work(_step):
        nn.Sequential(nn.Linear(3, 3))(X)

    names = [one["name"] for one in traced(work)]
    monkeypatch.setitem(sys.modules, "torch._dynamo.callback", None)
    monkeypatch.delattr(torch._C._profiler, "_RecordFunctionFast")
    monkeypatch.delattr(torch._C._profiler, "_ExperimentalConfig")
    monkeypatch.delattr(torch.autograd, "_profiler_enabled")
    assert [one["name"] for one in traced(work)] == names
