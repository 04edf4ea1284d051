"""Kineto traces of other versions, other devices and other states of health."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multiboard.errors import ProfileReadError
from multiboard.profile.kineto import convert
from multiboard.profile.kineto.trace_json import rank_of, read_trace
from multiboard.profile.xspace import HOST_PLANE, TASK_PLANE, find_plane, stats_of

GPU = "/device:GPU:0"


def names_and_ops(space, plane_name):
    plane = find_plane(space, plane_name)
    return [
        (plane.event_metadata[event.metadata_id].name, stats_of(event, plane).get("tf_op", ""))
        for line in plane.lines
        for event in line.events
    ]


def facts_of(space, plane_name=TASK_PLANE):
    plane = find_plane(space, plane_name)
    return stats_of(plane, plane)


def test_an_old_trace_gives_the_same_kernels_operations_and_steps(kineto_traces):
    new, old = convert(kineto_traces.cuda().json()), convert(kineto_traces.old().json())
    assert names_and_ops(old, GPU) == names_and_ops(new, GPU)
    assert names_and_ops(old, HOST_PLANE) == names_and_ops(new, HOST_PLANE)
    assert facts_of(old, GPU) == facts_of(new, GPU)
    assert facts_of(old)["profile_start_time"] == facts_of(new)["profile_start_time"]
    assert [line.name for line in find_plane(old, GPU).lines] == [line.name for line in find_plane(new, GPU).lines]


def test_a_trace_of_rocm_has_kernels_copies_and_its_vendor(kineto_traces):
    space = convert(kineto_traces.rocm().json())
    names = [name for name, _ in names_and_ops(space, GPU)]
    assert names.count("MemcpyHToD (CopyHostToDevice)") == 3
    assert ("Cijk_Ailk_Bljk_SB_MT64x64x8", "fc/addmm:addmm") in names_and_ops(space, GPU)
    assert facts_of(space, GPU)["device_vendor"] == "AMD"


def test_kernels_of_a_graph_are_counted_by_their_own_names(kineto_traces):
    space = convert(kineto_traces.compiled(steps=1).json())
    triton = f"{kineto_traces.TRITON}:{kineto_traces.TRITON}"
    gemm = f"{kineto_traces.GEMM}:{kineto_traces.GEMM}"
    assert sorted(op for _, op in names_and_ops(space, GPU)) == [gemm, gemm, triton, triton]


def test_an_external_id_names_the_operation_of_a_launch_on_another_thread_but_not_in_old_traces(kineto_traces):
    trace = kineto_traces.Trace()
    trace.op("aten::mm", 10, 20)
    trace.event("cudaLaunchKernel", "cuda_runtime", 12, 14, thread=99, correlation=41)
    trace.device(kineto_traces.GEMM, "kernel", 30, 10, 41, **{"External id": 1})
    assert names_and_ops(convert(trace.json()), GPU) == [(kineto_traces.GEMM, "mm:mm")]
    for event in trace.events[1:]:
        event["args"]["correlation"] = 1
    assert names_and_ops(convert(trace.json()), GPU) == [(kineto_traces.GEMM, f"{kineto_traces.GEMM}:{kineto_traces.GEMM}")]


def test_kernels_that_overlap_on_a_stream_do_not_overlap_on_a_line(kineto_traces):
    plane = find_plane(convert(kineto_traces.compiled().json()), GPU)
    assert len(plane.lines) == 3
    for line in plane.lines:
        ends = 0
        for event in line.events:
            assert event.offset_ps >= ends
            ends = event.offset_ps + event.duration_ps


@pytest.mark.parametrize("schedule", ["ProfilerStep#{}", "mb.step:{}"])
def test_steps_are_those_of_the_adapter_or_of_the_schedule(kineto_traces, schedule):
    trace = kineto_traces.Trace()
    for step in range(3):
        trace.note(schedule.format(step + 7), step * 100, step * 100 + 90)
    assert [name for name, _ in names_and_ops(convert(trace.json()), HOST_PLANE)] == ["train"] * 3


def test_of_operations_at_the_same_time_the_lower_id_is_around_the_other(kineto_traces):
    trace = kineto_traces.Trace()
    trace.op("aten::detach", 5, 6)
    trace.op("detach", 5, 6)
    trace.events.reverse()
    assert names_and_ops(convert(trace.json()), HOST_PLANE) == [("aten::detach", "detach:detach"), ("detach", "")]


def test_a_trace_without_steps_has_its_operations(kineto_traces):
    trace = kineto_traces.Trace()
    trace.op("aten::add", 1, 2)
    trace.memory(8, 1.5, 8, device=-1)
    assert names_and_ops(convert(trace.json()), HOST_PLANE) == [("aten::add", "add:add"), ("MemoryAllocation", "add:add")]


def test_a_bare_list_of_events_is_a_trace(kineto_traces, tmp_path):
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(kineto_traces.cuda().events))
    assert names_and_ops(convert(path), GPU) == names_and_ops(convert(kineto_traces.cuda().json()), GPU)


def test_gzip_is_told_by_content(kineto_traces, tmp_path):
    path = tmp_path / "trace.json"
    text = json.dumps(kineto_traces.cuda().json()).encode()
    for packed in (gzip.compress(text), gzip.compress(text[:999]) + gzip.compress(text[999:])):
        path.write_bytes(packed)
        assert convert(path) == convert(kineto_traces.cuda().json())
    assert rank_of(read_trace(path)) == 3


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_trace_that_is_cut_off_gives_what_came_before(kineto_traces, tmp_path, pack):
    content = json.dumps(kineto_traces.cuda(steps=40).json(), indent=1).encode()
    packed = pack(content)
    path = tmp_path / "trace.json"
    path.write_bytes(packed[: len(packed) * 3 // 4])
    space = convert(path)
    steps = [name for name, _ in names_and_ops(space, HOST_PLANE)].count("train")
    assert 20 < steps < 40
    assert "cut off" in space.warnings[0]
    assert facts_of(space)["rank"] == 3


def test_a_spot_that_is_not_json_costs_one_event(kineto_traces, tmp_path):
    text = json.dumps(kineto_traces.cuda().json(), indent=1).replace('"aten::linear"', '"bad \\escape"', 1)
    path = tmp_path / "trace.json"
    path.write_text(text)
    space = convert(path)
    ops = [op for _, op in names_and_ops(space, HOST_PLANE)]
    assert ops.count("fc/linear:linear") == 2
    assert ops.count("fc/addmm:addmm") == 3


def test_control_characters_and_bytes_that_are_not_utf8_are_read(kineto_traces, tmp_path):
    text = json.dumps(kineto_traces.cuda().json()).encode().replace(b"aten::linear", b"aten::lin\x01\xff")
    path = tmp_path / "trace.json"
    path.write_bytes(text)
    assert list(convert(path).warnings) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"traceEvents": 3}', '{"traceEvents": []}', "no trace", '{"traceEv'])
def test_a_file_that_is_no_trace_is_named(tmp_path, text):
    path = tmp_path / "trace.json"
    path.write_text(text)
    with pytest.raises(ProfileReadError, match=r"trace\.json"):
        convert(path)


def test_events_without_sense_are_counted_and_left_out(kineto_traces):
    trace = kineto_traces.cuda()
    whole = convert(trace.json())
    odd = [
        {"ph": "X", "cat": "cpu_op", "ts": 1500, "dur": 1, "pid": 1, "tid": 1},
        {"ph": "X", "cat": "cpu_op", "name": "a", "dur": 1, "pid": 1, "tid": 1},
        {"ph": "X", "cat": "kernel", "name": "a", "ts": float("nan"), "dur": 1, "pid": 1, "tid": 1},
        {"ph": "X", "cat": "cpu_op", "name": "a", "ts": 1500, "dur": 1, "pid": [], "tid": {}},
        {"ph": "X", "cat": "cpu_op", "name": "a", "ts": 1e18, "dur": 1, "pid": 1, "tid": 1},
        "text",
        None,
    ]
    trace.events.extend(odd)
    space = convert(trace.json())
    assert list(space.warnings) == [f"{len(odd)} events have no name, time or place, and are left out."]
    assert [plane for plane in space.planes if plane.name != TASK_PLANE] == [
        plane for plane in whole.planes if plane.name != TASK_PLANE
    ]


def test_an_event_at_a_time_long_before_the_others_does_not_move_them(kineto_traces):
    trace = kineto_traces.old()
    trace.op("aten::stray", 0, 1)
    assert facts_of(convert(trace.json()))["profile_start_time"] == kineto_traces.BASE + 10**6


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
FIELDS = ("ph", "cat", "name", "pid", "tid", "ts", "dur", "args", "id")
ARGUMENTS = ("correlation", "External id", "Bytes", "Total Allocated", "stream", "device", "grid", "Addr", "Sequence number")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 200), st.sampled_from(FIELDS + ARGUMENTS), ANYTHING), max_size=30))
def test_whatever_stands_in_events_there_is_a_profile(kineto_traces, changes):
    trace = kineto_traces.cuda(steps=2).json()
    for place, field, value in changes:
        event = trace["traceEvents"][place % len(trace["traceEvents"])]
        target = event if field in FIELDS else event.get("args")
        if isinstance(target, dict):
            target[field] = value
    assert convert(trace).SerializeToString()


@pytest.mark.parametrize(
    "value", [None, "\ud800", "7", float("nan"), float("inf"), 10**30, 10**400, -(2**63), True, [], {}], ids=str
)
def test_any_value_in_any_field_is_no_exception(kineto_traces, value):
    whole = kineto_traces.cuda(steps=1).json()
    kinds = {(event["ph"], event.get("cat")): place for place, event in enumerate(whole["traceEvents"])}
    assert len(kinds) > 6
    for place in kinds.values():
        event = whole["traceEvents"][place]
        changed = [event | {name: value} for name in event]
        args = event.get("args", {})
        changed += [event | {"args": args | {name: value}} for name in (*args, "Group size")]
        for odd in changed:
            events = list(whole["traceEvents"])
            events[place] = odd
            convert(whole | {"traceEvents": events}).SerializeToString()
    for header in ({"distributedInfo": {"rank": value}}, {"baseTimeNanoseconds": value}, {"host_name": value}):
        convert(whole | header).SerializeToString()
