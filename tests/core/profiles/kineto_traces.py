"""Kineto traces by hand, in µs: what torch.profiler writes on machines that the tests do not have.

A step takes 1000 µs: 100 of input, a copy to the device, `conv` and `fc` forward, their backward on a thread of autograd, an
all-reduce, and the optimizer.
"""

from __future__ import annotations

STEP = 1000
INPUT = 100
BASE = 1_700_000_000_000_000_000
PID, MAIN, AUTOGRAD = 4000, 4000, 4321
CONV, GEMM = "void cudnn::implicit_gemm<float, 4>(int, float*)", "ampere_sgemm_128x64_tn"
WGRAD, ADD = "void cudnn::wgrad<float>(float*)", "void at::native::add_kernel<4>(int)"
ALL_REDUCE = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)"
KERNELS = (CONV, GEMM, WGRAD, ADD, ALL_REDUCE)
"""GEMM runs twice per step, the others once."""
DEVICE_US = {CONV: 80, GEMM: 40, WGRAD: 90, ADD: 20, ALL_REDUCE: 60}
A100 = {
    "id": 0,
    "name": "NVIDIA A100-SXM4-80GB",
    "totalGlobalMem": 80 << 30,
    "computeMajor": 8,
    "computeMinor": 0,
    "warpSize": 32,
    "numSms": 108,
}
MI250 = {
    "id": 0,
    "name": "AMD Instinct MI250X",
    "totalGlobalMem": 64 << 30,
    "computeMajor": 9,
    "computeMinor": 0,
    "warpSize": 64,
    "numSms": 104,
}


class Trace:
    """A trace that is being put together."""

    def __init__(self, **header):
        self.events = []
        self.header = {"schemaVersion": 1, "baseTimeNanoseconds": BASE, "host_name": "node7", **header}
        self.correlation = 0
        self.external = 0
        self.sequence = 100

    def json(self):
        return {**self.header, "traceEvents": self.events}

    def event(self, name, cat, start, end, thread=MAIN, **args):
        self.events.append(
            {
                "ph": "X",
                "cat": cat,
                "name": name,
                "pid": PID,
                "tid": thread,
                "ts": start,
                "dur": round(end - start, 3),
                "args": args,
            }
        )
        return self.events[-1]

    def op(self, name, start, end, thread=MAIN, **args):
        self.external += 1
        return self.event(name, "cpu_op", start, end, thread, **{"External id": self.external, **args})

    def note(self, name, start, end, thread=MAIN):
        return self.event(name, "user_annotation", start, end, thread)

    def memory(self, size, time, total, thread=MAIN, addr=0x7F00, device=0):
        args = {
            "Bytes": size,
            "Addr": addr,
            "Device Id": device,
            "Device Type": int(device >= 0),
            "Total Allocated": total,
            "Total Reserved": 4096 if device >= 0 else 0,
        }
        self.events.append(
            {
                "ph": "i",
                "s": "t",
                "cat": "cpu_instant_event",
                "name": "[memory]",
                "pid": PID,
                "tid": thread,
                "ts": time,
                "args": args,
            }
        )

    def arrow(self, number, start, end, thread=AUTOGRAD):
        for phase, time, tid in (("s", start, MAIN), ("f", end, thread)):
            self.events.append({"ph": phase, "cat": "fwdbwd", "name": "fwdbwd", "id": number, "pid": PID, "tid": tid, "ts": time})

    def launch(self, kernel, time, thread=MAIN, stream=7, call="cudaLaunchKernel", **args):
        """Launch a kernel, which runs 50 µs later."""
        self.correlation += 1
        self.event(call, "cuda_runtime", time, time + 5, thread, correlation=self.correlation, **{"External id": self.external})
        self.kernel(kernel, time + 50, self.correlation, stream, **args)

    def kernel(self, kernel, start, correlation, stream=7, **args):
        details = {
            "registers per thread": 32,
            "shared memory": 1024,
            "grid": [8, 2, 1],
            "block": [128, 1, 1],
            "est. achieved occupancy %": 25,
        }
        self.device(kernel, "kernel", start, DEVICE_US.get(kernel, 10), correlation, stream, **details, **args)

    def device(self, name, cat, start, length, correlation, stream=7, **args):
        self.event(name, cat, start, start + length, stream, device=0, stream=stream, correlation=correlation, **args)
        self.events[-1]["pid"] = 0

    def copy(self, name, time, size, call="cudaMemcpyAsync"):
        self.correlation += 1
        self.event(call, "cuda_runtime", time, time + 5, correlation=self.correlation)
        self.device(name, "gpu_memcpy", time + 6, 10, self.correlation, bytes=size)


def cuda(steps=3, first=500, **header):
    """A training with two layers on an A100, of several ranks."""
    trace = Trace(deviceProperties=[A100], distributedInfo={"backend": "nccl", "rank": 3, "world_size": 8}, **header)
    for thread, name in ((MAIN, "thread 4000 (python)"), (AUTOGRAD, "thread 4321 (pt_autograd_0)")):
        trace.events.append({"ph": "M", "name": "thread_name", "ts": 0, "pid": PID, "tid": thread, "args": {"name": name}})
    for step in range(steps):
        _step(trace, 1000 + step * STEP, first + step, step)
    return trace


def _step(trace, zero, number, place):
    trace.op(f"mb.step:{number}", zero, zero + STEP)
    trace.note("enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__", zero, zero + INPUT)
    trace.op("aten::to", zero + 102, zero + 115)
    trace.op("aten::copy_", zero + 103, zero + 114)
    trace.copy("Memcpy HtoD (Pinned -> Device)", zero + 105, 4096)
    trace.op("mb.module:conv", zero + 120, zero + 160)
    trace.op("aten::conv2d", zero + 121, zero + 159)
    trace.op("aten::cudnn_convolution", zero + 125, zero + 155, **{"Input Dims": [[8, 1, 8, 8], [4, 1, 3, 3]]})
    trace.launch(CONV, zero + 130)
    trace.memory(1024, zero + 127, 2048)
    trace.op("mb.module:fc", zero + 200, zero + 240)
    trace.op("aten::linear", zero + 201, zero + 239)
    trace.op("aten::addmm", zero + 205, zero + 235)
    trace.launch(GEMM, zero + 210)
    _backward(trace, "AddmmBackward0", "aten::mm", zero + 300, GEMM, place * 2 + 1, zero + 205)
    _backward(trace, "ConvolutionBackward0", "aten::convolution_backward", zero + 400, WGRAD, place * 2 + 2, zero + 125)
    trace.memory(-1024, zero + 430, 1024, AUTOGRAD)
    trace.op("autograd::engine::evaluate_function: torch::autograd::AccumulateGrad", zero + 460, zero + 480, AUTOGRAD)
    trace.op("torch::autograd::AccumulateGrad", zero + 462, zero + 478, AUTOGRAD)
    trace.op("c10d::allreduce_", zero + 500, zero + 530, AUTOGRAD)
    trace.note("nccl:all_reduce", zero + 505, zero + 525, AUTOGRAD)
    facts = {"Collective name": "allreduce", "In msg nelems": 640, "Group size": 8}
    trace.launch(ALL_REDUCE, zero + 510, AUTOGRAD, 20, "cudaLaunchKernelExC", **facts)
    trace.note("Optimizer.step#SGD.step", zero + 700, zero + 760)
    trace.op("aten::_foreach_add_", zero + 705, zero + 740)
    trace.launch(ADD, zero + 710)
    trace.event("cudaDeviceSynchronize", "cuda_runtime", zero + 800, zero + 900, correlation=9000 + place)
    trace.event(f"mb.step:{number}", "gpu_user_annotation", zero + 100, zero + 700, 7)
    trace.event("Stream Wait Event", "cuda_sync", zero + 100, zero + 700, 7)


def _backward(trace, node, op, start, kernel, number, forward):
    trace.op(f"autograd::engine::evaluate_function: {node}", start, start + 60, AUTOGRAD)
    trace.op(node, start + 1, start + 59, AUTOGRAD)
    trace.op(op, start + 5, start + 50, AUTOGRAD)
    trace.arrow(number, forward, start + 1)
    trace.launch(kernel, start + 10, AUTOGRAD)


def rocm(steps=3):
    """The same on an MI250X: HIP's calls, no registers or occupancy, other names of copies."""
    trace = cuda(steps)
    trace.header["deviceProperties"] = [MI250]
    calls = {
        "cudaLaunchKernel": "hipLaunchKernel",
        "cudaLaunchKernelExC": "hipExtLaunchKernel",
        "cudaMemcpyAsync": "hipMemcpyAsync",
    }
    names = {
        "Memcpy HtoD (Pinned -> Device)": "CopyHostToDevice",
        GEMM: "Cijk_Ailk_Bljk_SB_MT64x64x8",
        ALL_REDUCE: "ncclDevKernel_Generic",
    }
    for event in trace.events:
        event["name"] = calls.get(event["name"], names.get(event["name"], event["name"]))
        for absent in ("registers per thread", "shared memory", "est. achieved occupancy %"):
            event.get("args", {}).pop(absent, None)
    return trace


OLD_CATEGORIES = {"cpu_op": "Operator", "kernel": "Kernel", "gpu_memcpy": "Memcpy", "cuda_runtime": "Runtime"}


def old(steps=3):
    """The same as PyTorch 1.9 wrote it: whole µs since 1970, other words, no arrows, ids that say little, children first.

    Its own ranges, e.g. of the loader, are operators, and threads are text.
    """
    trace = cuda(steps)
    properties = {"computeMajor": "major", "computeMinor": "minor", "numSms": "multiProcessorCount"}
    trace.header["computeProperties"] = [{properties.get(name, name): value for name, value in A100.items()}]
    for newer in ("deviceProperties", "baseTimeNanoseconds", "host_name"):
        del trace.header[newer]
    sequence = _sequence_numbers(trace)
    trace.events = [event for event in reversed(trace.events) if event["ph"] not in "sf"]
    for event in trace.events:
        args = event.get("args", {})
        event["ts"] = BASE // 1000 + event["ts"]
        event["name"] = event["name"].replace("mb.step:", "ProfilerStep#")
        own = "#" in event["name"] and event["cat"] != "gpu_user_annotation"
        event["cat"] = "Operator" if own else OLD_CATEGORIES.get(event.get("cat"), event.get("cat"))
        if event["ph"] == "X":
            event["tid"] = str(event["tid"])
        if "correlation" in args:
            args["External id"] = args["correlation"]
        if event["cat"] in {"Kernel", "Memcpy"}:
            event["tid"] = f"stream {event['tid']}"
            del args["stream"]
        if "est. achieved occupancy %" in args:
            args["theoretical occupancy %"] = args.pop("est. achieved occupancy %")
        args.update(sequence.get(id(event), {}))
    return trace


def _sequence_numbers(trace):
    """Return the arguments that say the same as the arrows."""
    ops = {(event["tid"], event["ts"]): event for event in trace.events if event.get("cat") == "cpu_op"}
    return {
        id(ops[event["tid"], event["ts"]]): {"Sequence number": event["id"], "Fwd thread id": int(event["ph"] == "f")}
        for event in trace.events
        if event["ph"] in "sf"
    }


TRITON = "triton_poi_fused_convolution_relu_0"


def compiled(steps=3):
    """A model of torch.compile: Inductor's kernels, and a CUDA graph that one call launches."""
    trace = Trace(deviceProperties=[A100])
    for step in range(steps):
        zero = 1000 + step * STEP
        trace.op(f"mb.step:{step}", zero, zero + STEP)
        trace.op("Torch-Compiled Region: 0/0", zero + 50, zero + 400)
        trace.op("CompiledFunction", zero + 60, zero + 390)
        trace.note("## Call CompiledFxGraph fabc ##", zero + 70, zero + 380)
        trace.op(TRITON, zero + 100, zero + 140)
        trace.launch(TRITON, zero + 110, call="cuLaunchKernel")
        trace.correlation += 1
        trace.event("cudaGraphLaunch", "cuda_runtime", zero + 200, zero + 230, correlation=trace.correlation)
        for place, kernel in enumerate((GEMM, TRITON, GEMM)):
            trace.kernel(kernel, zero + 260 + 5 * place, trace.correlation, **{"graph id": 1, "graph node id": place})
    return trace
