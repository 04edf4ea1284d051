"""What is in the XSpace of a Kineto trace, event by event."""

from types import SimpleNamespace

import pytest

from multiboard.profile.kineto import PYTHON_PLANE, convert
from multiboard.profile.xspace import HOST_PLANE, TASK_PLANE, find_plane, stats_of

LAST_STEP = 502


def events_of(space, plane_name=HOST_PLANE):
    """Return the events of a plane as plain objects; times in µs."""
    plane = find_plane(space, plane_name)
    found = []
    for line in plane.lines:
        for event in line.events:
            metadata = plane.event_metadata[event.metadata_id]
            found.append(
                SimpleNamespace(
                    name=metadata.name,
                    shown=metadata.display_name or metadata.name,
                    start=event.offset_ps / 1e6,
                    end=(event.offset_ps + event.duration_ps) / 1e6,
                    line=line.name,
                    line_id=line.id,
                    stats=stats_of(event, plane),
                )
            )
    return found


def named(space, name, plane_name=HOST_PLANE):
    return [event for event in events_of(space, plane_name) if event.shown == name]


def ops_of(space, name, plane_name=HOST_PLANE):
    return {event.stats.get("tf_op") for event in named(space, name, plane_name)}


@pytest.fixture(scope="module")
def cuda(kineto_traces):
    return convert(kineto_traces.cuda().json())


def test_times_are_relative_and_the_absolute_start_is_a_fact_of_the_profile(cuda, kineto_traces):
    for plane in cuda.planes:
        assert {line.timestamp_ns for line in plane.lines} <= {0}
    steps = named(cuda, "train")
    assert [(step.start, step.end) for step in steps] == [(0, 1000), (1000, 2000), (2000, 3000)]
    task = find_plane(cuda, TASK_PLANE)
    facts = stats_of(task, task)
    assert facts["profile_start_time"] == kineto_traces.BASE + 1000 * 1000
    assert facts["profile_stop_time"] == facts["profile_start_time"] + 3_000_000
    assert facts["rank"] == 3
    assert list(cuda.hostnames) == ["node7"]


def test_times_are_exact_to_the_nanosecond(kineto_traces):
    trace = kineto_traces.Trace()
    trace.op("aten::a", 4833204469626.121, 4833204469626.999)
    trace.op("aten::b", 4833204470000.007, 4833204470000.008)
    event, later = events_of(convert(trace.json()))
    assert round(event.end - event.start, 6) == 0.878
    assert round(later.start - event.start, 6) == 373.886


def test_a_step_has_its_global_number_and_is_the_root_of_what_follows(cuda):
    steps = named(cuda, "train")
    assert [step.stats["step_num"] for step in steps] == [500, 501, LAST_STEP]
    assert {step.stats["_r"] for step in steps} == {1}
    assert {step.line_id for step in steps} == {1}


def test_no_other_event_can_be_taken_for_a_step(kineto_traces):
    trace = kineto_traces.cuda()
    trace.note("train_epoch", 1300, 1310)
    trace.op("test", 1310, 1320)
    trace.note("train/inner", 1320, 1330)
    space = convert(trace.json())
    assert [event.name for event in named(space, "train_epoch")] == ["range/train_epoch"]
    assert [event.name for event in named(space, "train/inner")] == ["train/inner"]
    plain = [event for event in events_of(space) if event.name.startswith(("train", "test")) and "/" not in event.name]
    assert [event.stats["step_num"] for event in plain] == [500, 501, LAST_STEP]
    assert ops_of(space, "test") == {"test:test"}


def test_a_range_with_a_colon_is_no_operation(cuda):
    assert {(event.name, event.stats.get("tf_op")) for event in named(cuda, "nccl:all_reduce")} == {("nccl all_reduce", None)}


def test_the_wait_for_input_is_marked_once_with_an_id_that_nothing_else_has(kineto_traces):
    trace = kineto_traces.cuda()
    trace.op("mb.input", 1000, 1101)
    space = convert(trace.json())
    marked = [event for event in events_of(space) if "_ipl_stage_id" in event.stats]
    assert [event.shown for event in marked[:2]] == ["input", "enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__"]
    assert len(marked) == 3
    assert {event.stats["_ipl_stage_cat"] for event in marked} == {"preprocessing"}
    ids = set(find_plane(space, HOST_PLANE).event_metadata)
    assert not ids & {event.stats["_ipl_stage_id"] for event in marked}


def test_operations_are_named_by_layer_and_backward_by_that_of_their_forward(cuda):
    assert ops_of(cuda, "aten::conv2d") == {"conv/conv2d:conv2d"}
    assert ops_of(cuda, "aten::addmm") == {"fc/addmm:addmm"}
    assert ops_of(cuda, "aten::mm") == {"backward/fc/mm:mm"}
    assert ops_of(cuda, "ConvolutionBackward0") == {"backward/conv/ConvolutionBackward0:ConvolutionBackward0"}
    assert ops_of(cuda, "torch::autograd::AccumulateGrad") == {"backward/AccumulateGrad:AccumulateGrad"}
    assert ops_of(cuda, "aten::_foreach_add_") == {"optimizer/_foreach_add_:_foreach_add_"}
    assert ops_of(cuda, "aten::to") == {"to:to"}
    without = ("layer/conv", "train", "cudaLaunchKernel", "autograd::engine::evaluate_function: AddmmBackward0")
    for name in without:
        assert ops_of(cuda, name) == {None}


def test_a_backward_of_a_backward_is_named_once(kineto_traces):
    trace = kineto_traces.Trace()
    trace.op("mb.module:fc", 0, 10)
    trace.op("aten::mm", 1, 9)
    for number, (forward, start) in enumerate([(1, 20), (21, 40)]):
        trace.op("autograd::engine::evaluate_function: MmBackward0", start, start + 10)
        trace.op("MmBackward0", start + 1, start + 9)
        trace.arrow(number, forward, start + 1, kineto_traces.MAIN)
    assert ops_of(convert(trace.json()), "MmBackward0") == {"backward/fc/MmBackward0:MmBackward0"}


def test_other_threads_are_tied_to_a_step_or_to_their_forward(cuda):
    producers = {event.stats["_p"]: event for event in events_of(cuda) if "_p" in event.stats}
    top = [
        event for event in events_of(cuda) if event.line == "thread 4321 (pt_autograd_0)" and "evaluate_function" in event.shown
    ]
    assert len(top) == 9
    for event in top:
        producer = producers[event.stats["_c"]]
        assert (event.stats["_ct"], producer.stats["_pt"]) == (0, 0)
        assert int(producer.start // 1000) == int(event.start // 1000)
    assert len(producers) == 3 + 6


def test_kernels_have_streams_launches_and_parameters(cuda, kineto_traces):
    assert {event.line for event in events_of(cuda, "/device:GPU:0")} == {"Stream #7(Compute,MemcpyHToD)", "Stream #20(Compute)"}
    kernel = named(cuda, kineto_traces.CONV, "/device:GPU:0")[0]
    details = "regs:32\nstatic_shared:1024\ndynamic_shared:0\ngrid:8,2,1\nblock:128,1,1\nocc_pct:25"
    assert kernel.stats["kernel_details"] == details
    assert kernel.stats["tf_op"] == "conv/cudnn_convolution:cudnn_convolution"
    launches = {event.stats["correlation_id"] for event in events_of(cuda) if event.shown == "cudaLaunchKernel"}
    assert kernel.stats["correlation_id"] in launches
    copy = events_of(cuda, "/device:GPU:0")[0]
    assert copy.name == "MemcpyHToD (Memcpy HtoD (Pinned -> Device))"
    assert "num_bytes:4096" in copy.stats["memcpy_details"]
    collective = named(cuda, kineto_traces.ALL_REDUCE, "/device:GPU:0")[0]
    assert collective.stats["Group size"] == 8
    assert collective.stats["tf_op"] == "allreduce_:allreduce_"
    assert not named(cuda, "Stream Wait Event", "/device:GPU:0")
    synchronize = named(cuda, "cudaDeviceSynchronize")
    assert not any("correlation_id" in event.stats for event in synchronize)


def test_a_device_is_described_by_the_trace_and_the_tracer(kineto_traces):
    facts = {"device": {"0": {"clock_rate_khz": 1_410_000, "memory_bandwidth": 2.039e12}}}
    plane = find_plane(convert(kineto_traces.cuda().json(), facts=facts), "/device:GPU:0")
    assert stats_of(plane, plane) == {
        "device_vendor": "Nvidia",
        "gpu_device_name": "NVIDIA A100-SXM4-80GB",
        "compute_cap_major": 8,
        "compute_cap_minor": 0,
        "core_count": 108,
        "memory_size": 80 << 30,
        "clock_rate": 1_410_000,
        "memory_bandwidth": 2_039_000_000_000,
    }


def test_allocations_are_on_a_derived_line_tied_to_their_steps(cuda):
    memory = [event for event in events_of(cuda) if event.line == "Memory"]
    assert {event.line_id for event in memory} == {0xDEADBEEF + 6}
    assert [event.name for event in memory] == ["MemoryAllocation", "MemoryDeallocation"] * 3
    assert all(event.start == event.end for event in memory)  # a range would count as work of the host
    steps = {step.stats["_p"]: step for step in named(cuda, "train")}
    assert all(steps[event.stats["_c"]].start < event.start < steps[event.stats["_c"]].end for event in memory)
    allocation = memory[0].stats
    assert allocation["allocator_name"] == "torch_cuda:0"
    assert allocation["tf_op"] == "conv/cudnn_convolution:cudnn_convolution"
    assert (allocation["bytes_allocated"], allocation["bytes_cached"], allocation["peak_bytes_in_use"]) == (2048, 2048, 2048)
    assert (allocation["bytes_available"], allocation["fragmentation"]) == ((80 << 30) - 2048, 0.5)
    assert memory[1].stats["tf_op"] == "backward/conv/convolution_backward:convolution_backward"
    assert {line.timestamp_ns for line in find_plane(cuda, HOST_PLANE).lines} == {0}


def test_a_tensor_that_is_made_tells_its_shape_and_is_counted_for_what_wanted_it(kineto_traces):
    trace = kineto_traces.Trace()
    trace.op("aten::addmm", 10, 20)
    trace.op("aten::empty", 11, 15, **{"Concrete Inputs": ["[8, 4]", "6", "", "", "False", ""]})
    trace.memory(128, 12, 128, device=-1)
    stats = named(convert(trace.json()), "MemoryAllocation")[0].stats
    assert (stats["tf_op"], stats["shape"], stats["data_type"]) == ("addmm:addmm", "[8, 4]", "float32")
    assert stats["allocator_name"] == "torch_cpu"


def test_functions_of_python_are_on_a_plane_of_their_own_and_may_open_ranges(kineto_traces):
    trace = kineto_traces.Trace()
    trace.event("hook.py(3): before", "python_function", 10, 20)
    trace.op("mb.module:fc", 15, 60)
    trace.op("aten::linear", 30, 50)
    space = convert(trace.json())
    assert ops_of(space, "aten::linear") == {"fc/linear:linear"}
    assert [event.shown for event in events_of(space, PYTHON_PLANE)] == ["hook.py(3): before"]
    assert not named(space, "hook.py(3): before")


def test_modules_that_only_python_has_seen_name_layers_without_the_root(kineto_traces):
    trace = kineto_traces.Trace()
    trace.event("nn.Module: DistributedDataParallel_0", "python_function", 0, 100)
    trace.event("nn.Module: Net_0", "python_function", 5, 95)
    trace.event("nn.Module: Sequential_0", "python_function", 10, 50)
    trace.event("nn.Module: Linear_1", "python_function", 15, 45)
    trace.op("aten::linear", 20, 40)
    trace.op("aten::relu", 60, 70)
    space = convert(trace.json())
    assert ops_of(space, "aten::linear") == {"Sequential_0/Linear_1/linear:linear"}
    assert ops_of(space, "aten::relu") == {"relu:relu"}


def test_what_autograd_reports_twice_is_one_operation(kineto_traces):
    trace = kineto_traces.Trace()
    trace.op("aten::detach", 10, 20)
    trace.op("detach", 12, 18)
    trace.op("detach", 30, 40)
    space = convert(trace.json())
    assert [event.stats.get("tf_op") for event in events_of(space)] == ["detach:detach", None, "detach:detach"]


def test_a_step_that_begins_in_a_hook_of_the_optimizer_is_whole(kineto_traces):
    trace = kineto_traces.Trace()
    trace.op("mb.step:1", 0, 100)
    trace.note("Optimizer.step#SGD.step", 90, 110)
    trace.op("mb.step:2", 100.5, 200)
    trace.op("aten::add", 150, 160)
    space = convert(trace.json())
    assert [(step.start, step.end) for step in named(space, "train")] == [(0, 100), (100.5, 200)]
    assert ops_of(space, "aten::add") == {"add:add"}


def test_whole_steps_are_kept_up_to_the_most_events(kineto_traces):
    trace = kineto_traces.cuda(steps=5)
    every = len(events_of(convert(trace.json()))) + len(events_of(convert(trace.json()), "/device:GPU:0"))
    space = convert(trace.json(), max_events=every // 2)
    assert [step.stats["step_num"] for step in named(space, "train")] == [500, 501]
    assert len(named(space, kineto_traces.ADD, "/device:GPU:0")) == 2
    task = find_plane(space, TASK_PLANE)
    assert stats_of(task, task)["dropped_events"] > 0
    assert "left out" in space.warnings[0]
    assert "dropped_events" not in stats_of(find_plane(convert(trace.json(), max_events=10**6), TASK_PLANE), task)


def test_a_step_with_too_many_events_is_cut(kineto_traces):
    space = convert(kineto_traces.cuda(steps=2).json(), max_events=10)
    assert [step.stats["step_num"] for step in named(space, "train")] == [500]
    assert len(events_of(space)) <= 10
