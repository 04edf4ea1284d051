"""The profilers of JAX and PyTorch in one process: what PyTorch did stands inside the steps of JAX that it was done in."""

import json
import time

import jax
import torch
from xprof.convert.raw_to_tool_data import xspace_to_tool_data

from multiboard.profile import enrich_jax
from multiboard.profile.kineto import convert
from multiboard.profile.merge import merge
from multiboard.profile.summary import summarize
from multiboard.profile.xspace import find_plane, read_space, write_space

STEPS = 4
PLANE = "/device:CUSTOM:torch host"


def captured(folder):
    """Capture steps of JAX in which PyTorch multiplies; return both profiles."""
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    matrix = torch.ones(64, 64)
    profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], acc_events=True)
    with jax.profiler.trace(folder, profiler_options=options), profiler:
        for number in range(STEPS):
            with jax.profiler.StepTraceAnnotation("train", step_num=number):
                time.sleep(0.002)
                torch.mm(matrix, matrix)
                time.sleep(0.002)
            time.sleep(0.002)
    profiler.export_chrome_trace(str(folder / "trace.json"))
    (path,) = folder.rglob("*.xplane.pb")
    return read_space(path), convert(folder / "trace.json")


def times(space, plane, name):
    """Return beginnings and ends of the events of a name, in picoseconds."""
    found = find_plane(space, plane)
    return sorted(
        (line.timestamp_ns * 1000 + event.offset_ps, line.timestamp_ns * 1000 + event.offset_ps + event.duration_ps)
        for line in found.lines
        for event in line.events
        if found.event_metadata[event.metadata_id].name == name
    )


def test_operations_of_torch_lie_in_the_steps_of_jax(tmp_path):
    main, other = captured(tmp_path)
    enrich_jax.enrich(main, {})
    before = summarize(main)
    merge(main, other, "torch")
    steps, calls = times(main, "/host:CPU", "train"), times(main, PLANE, "aten::mm")
    assert len(steps) == len(calls) == STEPS
    for step, call in zip(steps, calls, strict=True):
        assert step[0] < call[0] < call[1] < step[1]
    assert summarize(main) == before
    path = tmp_path / "host.xplane.pb"
    write_space(main, path)
    trace, _ = xspace_to_tool_data([str(path)], "trace_viewer", {"use_saved_result": False})
    processes = {event["args"]["name"] for event in json.loads(trace)["traceEvents"] if event.get("name") == "process_name"}
    assert PLANE in processes
