"""The numbers of a profile, by their definitions."""

import gzip

import pytest

from multiboard.profile.summary import LiveRow, MemoryRow, OpRow, Summary, summarize
from multiboard.profile.xspace import SpaceBuilder, XSpace

MS = 10**9
US = 10**6
"""In picoseconds."""


def mark(line, number, begin, end, name="train"):
    """Add a step, in ms."""
    line.event(name, begin * MS, (end - begin) * MS, {"_r": 1, "step_num": number})


def call(line, op, begin, end, **stats):
    """Add an operation, in ms."""
    line.event("call", int(begin * MS), int((end - begin) * MS), {"tf_op": op, **stats})


def with_device():
    """Return a profile of three steps of 10 ms, from step 4 on, of which the first took 30 ms, on a host with a GPU."""
    builder = SpaceBuilder()
    host, gpu = builder.plane("/host:CPU"), builder.plane("/device:GPU:0")
    main = host.line(1, "main")
    for number, begin, end in ((4, 0, 30), (5, 30, 40), (6, 40, 50)):
        mark(main, number, begin, end)
    for begin in (0, 30, 40):
        wait = {"_ipl_stage_cat": "preprocessing", "_ipl_stage_id": 1 << 40, "_ipl_stage_name": "input"}
        main.event("input", begin * MS, 2 * MS, wait)
        call(main, "fc1/linear:linear", begin + 3, begin + 8)
        call(main, "add:add", begin + 4, begin + 5)
    first, second, steps = gpu.line(7, "Stream #7(Compute)"), gpu.line(8, "Stream #8(NCCL)"), gpu.line(9, "Steps")
    for begin in (0, 30, 40):
        call(first, "fc1/linear:linear", begin + 3, begin + 6)
        second.event("ncclDevKernel_AllReduce_Sum_f32", (begin + 5) * MS, 2 * MS)
        steps.event(f"{begin}", begin * MS, 10 * MS)
    return builder.space


def test_shares_are_of_all_steps_but_the_first():
    summary = summarize(with_device())
    assert [(row.number, row.ms, row.input_ms, row.device_ms) for row in summary.steps] == [(5, 10, 2, 4), (6, 10, 2, 4)]
    assert summary.captured == 3
    assert summary.notes == ()
    assert summary.scalars() == {
        "profile/step_ms": 10,
        "profile/input_pct": 20,
        "profile/device_busy_pct": 40,
        "profile/comm_pct": 20,
        "profile/host_only_pct": 40,
    }


def test_an_only_step_is_not_left_out():
    builder = SpaceBuilder()
    mark(builder.plane("/host:CPU").line(1, "main"), 500, 0, 7)
    summary = summarize(builder.space)
    assert summary.scalars() == {"profile/step_ms": 7, "profile/input_pct": 0, "profile/host_only_pct": 100}
    assert [row.number for row in summary.steps] == [500]


def test_the_median_is_that_of_the_steps():
    builder = SpaceBuilder()
    line = builder.plane("/host:CPU").line(1, "main")
    for number, (begin, end) in enumerate([(0, 50), (50, 51), (51, 53), (53, 90)]):
        mark(line, number, begin, end)
    assert summarize(builder.space).step_ms == 2


def test_input_of_another_thread_and_before_the_steps_counts_as_far_as_steps_wait():
    builder = SpaceBuilder()
    host = builder.plane("/host:CPU")
    mark(host.line(1, "main"), 0, 10, 20)
    other = host.line(2, "loader", timestamp_ns=5_000_000)
    other.event("IteratorGetNextOp::DoCompute", 0, 7 * MS)
    other.event("IteratorGetNextOp::DoCompute", 6 * MS, 2 * MS)
    assert summarize(builder.space).input_pct == 30


def test_time_and_calls_of_operations_are_counted_by_layer_without_what_is_called_inside():
    host = [row for row in summarize(with_device()).ops if row.place == "host"]
    assert [(row.layer, row.op, row.calls, row.self_us) for row in host] == [("fc1", "linear", 3, 12e3), ("", "add", 3, 3e3)]
    assert [row.share for row in host] == [pytest.approx(0.8), pytest.approx(0.2)]


def test_operations_of_devices_come_first_and_kernels_without_a_layer_are_there():
    rows = [(row.place, row.layer, row.op, row.calls) for row in summarize(with_device()).ops]
    assert rows[:2] == [("device", "fc1", "linear", 3), ("device", "", "ncclDevKernel_AllReduce_Sum_f32", 3)]


def test_operations_that_are_named_like_those_of_tensorflow_are_operations():
    builder = SpaceBuilder()
    line = builder.plane("/host:CPU").line(1, "main")
    for name in ("conv1/Conv2D:Conv2D", "EagerExecute: x", "IteratorGetNextOp::DoCompute", "aten::add", "plain"):
        line.event(name, 0, 5 * US)
    assert summarize(builder.space).ops == (OpRow("host", "conv1", "Conv2D", 1, 5.0, 1.0),)


def test_operations_on_a_line_that_xprof_derives_are_not_counted():
    builder = SpaceBuilder()
    host = builder.plane("/host:CPU")
    call(host.line(0xDEADBEEF + 6, "derived"), "add:add", 0, 1)
    call(builder.plane("/device:CUSTOM:torch host").line(1, "main"), "add:add", 0, 1)
    summary = summarize(builder.space)
    assert summary.ops == ()
    assert summary.device_busy_pct is None


@pytest.mark.parametrize(("lines", "busy"), [(["Stream #1", "XLA Ops", "Steps"], 3), (["XLA Ops", "XLA Modules", "Steps"], 3)])
def test_what_a_device_did_is_read_from_one_kind_of_lines(lines, busy):
    builder = SpaceBuilder()
    mark(builder.plane("/host:CPU").line(1, "main"), 0, 0, 10)
    device = builder.plane("/device:XPU:0")
    for number, name in enumerate(lines):
        call(device.line(number, name), "mm:mm", number, number + 3 + 2 * number)
    summary = summarize(builder.space)
    assert [row.calls for row in summary.ops] == [1]
    assert summary.steps[0].device_ms == busy


def test_memory_is_told_by_allocator():
    builder = SpaceBuilder()
    line = builder.plane("/host:CPU").line(0xDEADBEEF + 6, "Memory")
    for at, (name, allocator, allocated, reserved) in enumerate(
        [
            ("Allocation", "cpu", 100, 0),
            ("Allocation", "gpu", 50, 10),
            ("Allocation", "gpu", 700, 4),
            ("Deallocation", "gpu", 9, 695),
        ]
    ):
        stats = {"allocator_name": allocator, "bytes_allocated": allocated, "bytes_reserved": reserved, "tf_op": "add:add"}
        line.event(f"Memory{name}", at * MS, 0, stats)
    summary = summarize(builder.space)
    assert summary.memory == (MemoryRow("cpu", 100, 0, 1, 0), MemoryRow("gpu", 700, 704, 2, 1))
    assert summary.scalars()["profile/mem_peak_bytes"] == 700
    assert summary.ops == ()
    assert "`gpu` | 700 B | 704 B | 2 | 1" in summary.texts()["profile/memory"]


def test_steps_that_xprof_does_not_see_are_summed_up_and_told():
    builder = SpaceBuilder()
    builder.plane("/host:CPU").line(1, "main").event("Profiled batch", 0, 7 * MS, {"step_num": 3})
    summary = summarize(builder.space)
    assert summary.step_ms == 7
    assert "no mark" in summary.notes[0]


def test_marks_of_other_threads_for_the_same_step_are_one_step():
    builder = SpaceBuilder()
    host = builder.plane("/host:CPU")
    for number in (1, 2):
        line = host.line(number, "thread")
        mark(line, 0, 0, 10)
        mark(line, 1, 10, 20)
    assert summarize(builder.space).captured == 2


def test_steps_of_devices_are_what_was_launched_in_them():
    builder = SpaceBuilder()
    main = builder.plane("/host:CPU").line(1, "main")
    stream = builder.plane("/device:GPU:0").line(7, "Stream #7(Compute)")
    for number in range(3):
        mark(main, number, number, number + 1)
        for kernel in (0, 1):
            launch = {"correlation_id": 1 + 2 * number + kernel}
            main.event("cudaLaunchKernel", number * MS + kernel * 9, 9, launch)
            stream.event("gemm", (10 * number + 5 * kernel) * MS, 4 * MS, launch)
    stream.event("late", 0, 90 * MS, {"correlation_id": 99})
    summary = summarize(builder.space)
    assert [row.device_step_ms for row in summary.steps] == [9, 9]
    assert summary.scalars()["profile/device_step_ms"] == 9
    assert summary.step_ms == 1
    assert "1 ms per step (median), 9 ms on the devices" in summary.texts()["profile/top_ops"]


def test_the_peak_of_an_allocator_that_is_only_looked_at_is_what_it_says():
    builder = SpaceBuilder()
    line = builder.plane("/host:CPU").line(0xDEADBEEF + 6, "Memory")
    line.event("MemoryAllocation", 0, 0, {"allocator_name": "gpu", "bytes_allocated": 5, "peak_bytes_in_use": 9})
    assert summarize(builder.space).memory == (MemoryRow("gpu", 9, 0, 0, 0),)


def test_a_damaged_time_of_what_xla_computed_is_left_out():
    builder = SpaceBuilder()
    host = builder.plane("/host:CPU")
    mark(host.line(1, "main"), 0, 0, 10)
    host.line(2, "worker").event("ThunkExecutor::Execute", (1 << 62), 1)
    assert summarize(builder.space).device_step_ms is None


def test_an_empty_profile_has_a_summary_that_says_so():
    summary = summarize(XSpace())
    assert summary.scalars() == {}
    assert len(summary.notes) == 2
    assert "no steps" in summary.notes[0]
    assert summary.texts().keys() == {"profile/top_ops"}
    assert "No steps." in summary.texts()["profile/top_ops"]


def test_a_damaged_profile_has_a_summary():
    space = with_device()
    for plane in space.planes:
        del plane.event_metadata[1]
        del plane.stat_metadata[max(plane.stat_metadata)]
        for line in plane.lines:
            line.events.add(metadata_id=99, offset_ps=-5, duration_ps=-7).stats.add(metadata_id=77)
    space.errors.append("the profiler lost events")
    assert "the profiler lost events" in summarize(space).notes


def test_live_buffers_that_cannot_be_read_are_told():
    summary = summarize(with_device(), live_buffers=gzip.compress(b"\xff\xff"))
    assert summary.live == ()
    assert "live buffers" in summary.notes[0]


def test_a_summary_comes_back_from_json():
    summary = summarize(with_device())._replace(live=(LiveRow("a.py:1 in f", "cpu:0", 2, 8),))
    assert Summary.from_json(summary.to_json()) == summary
    for text in ("{}", "[]", "nonsense", '{"steps": 1}'):
        with pytest.raises(ValueError):
            Summary.from_json(text)


def test_the_table_of_operations_is_markdown_with_a_link_to_the_profile():
    text = summarize(with_device()).texts("torch/step_000004")["profile/top_ops"]
    assert "Steps 5 to 6 (3 captured): 10 ms per step (median), waiting for input 20.0 %" in text
    assert "| `fc1` | `linear` | 12 ms | 80.0 % | 3 |" in text
    assert "?run=torch%2Fstep_000004#profile" in text


def computed_behind(lag):
    """Return a profile of four steps of 10 ms on a host, for which XLA computed so many ms longer."""
    builder = SpaceBuilder()
    host = builder.plane("/host:CPU")
    main, worker = host.line(1, "main"), host.line(2, "XLA")
    for number in range(4):
        mark(main, number, 10 * number, 10 * number + 10)
        call(main, "fc1/dot_general:dot_general", 10 * number, 10 * number + 1)
    worker.event("ThunkExecutor::Execute", 5 * MS, (35 + lag) * MS)
    return builder.space


def test_steps_of_a_host_that_runs_ahead_of_its_own_threads_are_timed_by_what_they_compute():
    summary = summarize(computed_behind(60))
    assert (summary.step_ms, summary.device_step_ms) == (10, 25)
    assert "ran ahead" in summary.notes[0]


def test_steps_that_wait_for_what_they_compute_have_one_time():
    summary = summarize(computed_behind(2))
    assert (summary.device_step_ms, summary.notes) == (None, ())
