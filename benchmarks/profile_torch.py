"""What a window of a profile costs a training in PyTorch, beside the profiler of PyTorch alone.

python benchmarks/profile_torch.py [--rounds 3] [--scale 1] [--out results.jsonl]

The step is bound by its operators: a small transformer on one thread of a CPU, a millisecond or two. 'times_step' is the CPU
time of the training thread per step in a window over that of a step outside, medians of turns in one process. 'start_ms' and
'stop_ms' are what both ends of a window of 7 steps cost that thread, with the trace saved. Where they exceed PyTorch's, it is a
look through all objects for profilers that are not to be disturbed.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Any

from clocks import report
from measure import OURS, Contender, options, race

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS, TURNS = 7, 12
LEVELS: dict[str, dict[str, Any]] = {
    OURS: {"memory": True},
    f"{OURS}, light": {"level": "light"},
    f"{OURS}, deep": {"level": "deep", "memory": True},
}
PEERS: dict[str, dict[str, Any]] = {
    "torch.profiler": {},
    "torch.profiler, memory": {"profile_memory": True},
    "torch.profiler, shapes, stacks and memory": {"record_shapes": True, "with_stack": True, "profile_memory": True},
}


def training() -> Callable[[], None]:
    """Return what makes one step."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x = torch.randn(4, 8, 16)

    def step() -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    return step


def ours(name: str) -> tuple[Callable[[], None], Callable[[], None], Callable[[int], None]]:
    """Return what begins, ends and marks the steps of a window of multiboard."""
    from multiboard.profile.tracer import Request, Tracer
    from multiboard_torch.profile import make_tracer

    fields = {"level": "default", "memory": False, "layers": True, "python": False, "names": None}
    fields |= {"host_only": False, "snapshot": False, **LEVELS[name]}
    tracers: list[Tracer] = []

    def begin() -> None:
        tracers.append(make_tracer(Request(tempfile.mkdtemp(), **fields)))
        tracers[-1].start()

    def end() -> None:
        tracers.pop().stop()

    def mark(number: int) -> None:
        tracers[-1].step(number)

    return begin, end, mark


def theirs(name: str) -> tuple[Callable[[], None], Callable[[], None], Callable[[int], None]]:
    """Return the same of PyTorch's own profiler."""
    from torch.profiler import ProfilerActivity, profile, record_function

    running: list[Any] = []

    def begin() -> None:
        running.append(profile(activities=[ProfilerActivity.CPU], acc_events=False, **PEERS[name]))
        running[0].start()

    def end() -> None:
        while len(running) > 1:
            running.pop().__exit__(None, None, None)
        profiler = running.pop()
        profiler.stop()
        profiler.export_chrome_trace(f"{tempfile.mkdtemp()}/trace.json")

    def mark(number: int) -> None:
        if len(running) > 1:
            running.pop().__exit__(None, None, None)
        running.append(record_function(f"ProfilerStep#{number}").__enter__())

    return begin, end, mark


def measure(name: str, turns: int) -> None:
    """Measure a window of `LEVELS` or `PEERS`."""
    step = training()
    begin, end, mark = ours(name) if name in LEVELS else theirs(name)
    for _ in range(50):
        step()
    rows = []
    for _ in range(1 + turns):
        outside = _seconds(lambda: [step() for _ in range(STEPS)])
        start = _seconds(begin)
        inside = _seconds(lambda: [(mark(number), step()) for number in range(STEPS)])
        rows.append((inside / outside, outside / STEPS, start, _seconds(end)))
    ratios, steps, starts, stops = zip(*rows[1:], strict=True)
    report(
        times_step=statistics.median(ratios),
        step_ms=statistics.median(steps) * 1e3,
        start_ms=statistics.median(starts) * 1e3,
        stop_ms=statistics.median(stops) * 1e3,
    )


def _seconds(action: Callable[[], Any]) -> float:
    begun = time.thread_time()
    action()
    return time.thread_time() - begun


def main() -> None:
    """Run the race."""
    arguments = options(__doc__)
    turns = max(3, int(TURNS * arguments.scale))
    code = "import profile_torch; profile_torch.measure({name!r}, {turns})"
    contenders = {name: Contender("torch", code.format(name=name, turns=turns)) for name in (*LEVELS, *PEERS)}
    race("a window of 7 steps in PyTorch", contenders, arguments)


if __name__ == "__main__":
    main()
