"""What XProf says about Kineto traces: those by hand, of devices that are not here, and one that PyTorch records."""

import json
import time
from collections import Counter
from pathlib import Path
from statistics import median

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, IterableDataset
from xprof.convert import raw_to_tool_data

from multiboard.profile.kineto import convert
from multiboard.profile.xspace import write_space

STEPS = 4
SLEEP = 0.02
BATCH = 8


class XProf:
    """The tools of XProf over one profile."""

    def __init__(self, space, folder):
        self.path = str(folder / "host.xplane.pb")
        write_space(space, self.path)

    def data(self, tool):
        content, _ = raw_to_tool_data.xspace_to_tool_data([self.path], tool, {"use_saved_result": False})
        return json.loads(content)

    @staticmethod
    def rows(table):
        return [{c["id"]: cell["v"] for c, cell in zip(table["cols"], row["c"], strict=True)} for row in table["rows"]]

    def kernels(self):
        return self.rows(self.data("kernel_stats"))

    def ops(self, place):
        rows = self.rows(self.data("framework_op_stats")[0])
        return {row["operation"]: row for row in rows if row["host_or_device"] == place and row["type"] != "IDLE"}

    def steps(self):
        return self.rows(self.data("input_pipeline_analyzer")[1])


@pytest.fixture
def xprof(tmp_path):
    return lambda trace: XProf(convert(trace), tmp_path)


@pytest.mark.parametrize("version", ["cuda", "rocm", "old"])
def test_kernels_are_listed_with_their_operation_and_times(xprof, kineto_traces, version):
    kernels = xprof(getattr(kineto_traces, version)().json()).kernels()
    found = {row["op_name"]: (row["occurrences"], row["total_duration_us"], row["block_dim"]) for row in kernels}
    assert found == {
        "conv/cudnn_convolution": (3, 240, "128,1,1"),
        "fc/addmm": (3, 120, "128,1,1"),
        "backward/fc/mm": (3, 120, "128,1,1"),
        "backward/conv/convolution_backward": (3, 270, "128,1,1"),
        "allreduce_": (3, 180, "128,1,1"),
        "optimizer/_foreach_add_": (3, 60, "128,1,1"),
    }
    if version != "rocm":
        assert {(row["registers_per_thread"], row["shmem_bytes"], row["occupancy_pct"]) for row in kernels} == {(32, 1024, 25)}


@pytest.mark.parametrize("version", ["cuda", "rocm", "old"])
def test_a_step_of_a_device_is_broken_down(xprof, kineto_traces, version):
    steps = xprof(getattr(kineto_traces, version)().json()).steps()
    assert len(steps) == 3
    for step in steps:
        assert step["deviceComputeTimeMs"] == pytest.approx(0.27)  # both GEMMs, both convolutions, the optimizer
        assert step["deviceCollectivesTimeMs"] == pytest.approx(0.06)
        assert step["infeedTimeMs"] == pytest.approx(0.01)  # the copy to the device


@pytest.mark.parametrize("version", ["cuda", "rocm", "old"])
def test_operations_are_counted_exactly_on_host_and_device(xprof, kineto_traces, version):
    tools = xprof(getattr(kineto_traces, version)().json())
    host = tools.ops("Host")
    assert {row["occurrences"] for row in host.values()} == {3}
    assert set(host) == {
        "enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__",
        *("to", "copy_", "conv/conv2d", "conv/cudnn_convolution", "fc/linear", "fc/addmm"),
        *("backward/fc/AddmmBackward0", "backward/fc/mm"),
        *("backward/conv/ConvolutionBackward0", "backward/conv/convolution_backward", "backward/AccumulateGrad"),
        *("allreduce_", "optimizer/_foreach_add_"),
    }
    device = tools.ops("Device")
    assert {row["occurrences"] for row in device.values()} == {3}
    assert set(device) == {
        *("copy_", "conv/cudnn_convolution", "fc/addmm"),
        *("backward/fc/mm", "backward/conv/convolution_backward", "allreduce_", "optimizer/_foreach_add_"),
    }
    assert device["backward/conv/convolution_backward"]["total_time"] == 270


def test_the_op_profile_has_a_tree_of_device_operations(xprof, kineto_traces):
    def names(node):
        yield node["name"]
        for child in node.get("children", ()):
            yield from names(child)

    found = set(names(xprof(kineto_traces.cuda().json()).data("op_profile")["byProgram"]))
    assert {"mm", "convolution_backward", f"conv/cudnn_convolution/{kineto_traces.CONV}"} <= found


def test_kernels_of_compiled_models_are_listed_by_their_own_names(xprof, kineto_traces):
    kernels = xprof(kineto_traces.compiled().json()).kernels()
    assert {row["op_name"]: row["occurrences"] for row in kernels} == {kineto_traces.GEMM: 6, kineto_traces.TRITON: 6}


def test_the_memory_of_a_device_is_shown_with_layer_and_step(xprof, kineto_traces):
    memory = xprof(kineto_traces.cuda().json()).data("memory_profile")["memoryProfilePerAllocator"]["torch_cuda:0"]
    shots = [shot["activityMetadata"] for shot in memory["sampledTimelineSnapshots"]]
    layer = "conv/cudnn_convolution:cudnn_convolution"
    assert [(shot["memoryActivity"], shot["stepId"], shot["tfOpName"]) for shot in shots] == [
        (activity, str(step), layer) for step in range(3) for activity in ("ALLOCATION", "DEALLOCATION")
    ]
    assert memory["profileSummary"]["peakStats"]["heapAllocatedBytes"] == "2048"
    assert memory["profileSummary"]["memoryCapacity"] == str(80 << 30)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.fc = nn.Linear(144, 4)

    def forward(self, x):
        with record_function("mb.module:conv"):
            x = self.conv(x).relu()
        with record_function("mb.module:fc"):
            return self.fc(x.flatten(1))


class Sleepy(IterableDataset):
    """Batches that take a known time."""

    def __init__(self):
        self.slept = []

    def __iter__(self):
        while True:
            begin = time.perf_counter()
            time.sleep(SLEEP)
            self.slept.append(time.perf_counter() - begin)
            yield torch.ones(BATCH, 1, 8, 8), torch.zeros(BATCH, dtype=torch.long)


class Counting(TorchDispatchMode):
    """Counts the operations that are called."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A training on the CPU: XProf over it, its JSON, how often operations are called in a step, how long the loader sleeps."""
    torch.manual_seed(0)
    net, batches = Net(), Sleepy()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    loader = iter(DataLoader(batches, batch_size=None))

    def step():
        x, y = next(loader)
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    with Counting() as counting:
        step()
    batches.slept.clear()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        for number in range(STEPS):
            with record_function(f"mb.step:{number + 500}"):
                step()
    folder = tmp_path_factory.mktemp("recorded")
    path = folder / "trace.json"
    profiler.export_chrome_trace(str(path))
    trace = json.loads(path.read_text())
    return XProf(convert(path), folder), trace, counting.calls, list(batches.slept)


def test_a_profile_is_at_most_a_fifth_of_its_trace(recorded):
    path = Path(recorded[0].path)
    assert path.stat().st_size <= path.with_name("trace.json").stat().st_size / 5


CALLED = ("convolution", "convolution_backward", "relu", "threshold_backward", "addmm", "mm", "_log_softmax", "nll_loss_forward")


def test_operations_of_a_recorded_trace_are_counted_as_often_as_they_were_called(recorded):
    tools, _, calls, _ = recorded
    counted = Counter()
    for row in tools.ops("Host").values():
        counted[row["type"]] += row["occurrences"]
    assert {name: counted[name] for name in CALLED} == {name: calls[name] * STEPS for name in CALLED}
    assert min(calls[name] for name in CALLED) > 0


def test_no_event_of_memory_or_wrapper_of_autograd_inflates_a_count(recorded):
    tools, trace, _, _ = recorded
    events = [
        event for event in trace["traceEvents"] if event.get("cat") == "cpu_op" and "evaluate_function" not in event["name"]
    ]
    assert sum(event.get("name") == "[memory]" for event in trace["traceEvents"]) > STEPS
    expected = Counter(event["name"].rpartition("::")[2] for event in events)
    for twice in ("detach", "detach_", "resolve_conj", "resolve_neg"):  # those that autograd reports once more
        expected[twice] = sum(event["name"] == f"aten::{twice}" for event in events)
    counted = Counter()
    for row in tools.ops("Host").values():
        if row["type"] != "preprocessing":
            counted[row["type"]] += row["occurrences"]
    assert counted == +expected


def test_operations_of_a_recorded_trace_have_their_layer(recorded):
    ops = recorded[0].ops("Host")
    for name in ("conv/conv2d", "fc/linear", "backward/conv/convolution_backward", "backward/fc/mm", "optimizer/add_"):
        assert ops[name]["occurrences"] % STEPS == 0


def test_steps_have_their_numbers_and_the_wait_for_input_its_time(recorded):
    tools, _, _, slept = recorded
    steps = tools.steps()
    assert [step["stepnum"] for step in steps] == [f"train {number + 500}" for number in range(STEPS)]
    infeed = [step["infeedTimeMs"] / 1e3 for step in steps]
    assert all(wait >= sleep for wait, sleep in zip(infeed, slept, strict=True)), (infeed, slept)
    assert median(infeed) == pytest.approx(median(slept), rel=0.1)  # one of them may have waited for a processor
    assert all(0 < step["hostComputeTimeMs"] < step["stepTimeMs"] - step["infeedTimeMs"] for step in steps)


def test_the_memory_of_a_recorded_trace_is_shown(recorded):
    memory = recorded[0].data("memory_profile")["memoryProfilePerAllocator"]["torch_cpu"]
    names = {shot["activityMetadata"]["tfOpName"] for shot in memory["sampledTimelineSnapshots"]}
    assert any(name.startswith("conv/") for name in names)
    assert any(name.startswith("backward/fc/") for name in names)
