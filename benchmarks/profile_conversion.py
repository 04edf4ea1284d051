"""What it costs to turn a trace of torch.profiler into a profile, and how large that is.

python benchmarks/profile_conversion.py [--rounds 5] [--scale 1] [--out results.jsonl]

A trace is recorded in the same process, of a small CNN or a small transformer in training on one thread. 'us_per_event' is the
CPU time of the conversion over the events of the JSON, 'load_us_per_event' that of reading the JSON before it, and
'write_us_per_event' that of writing the profile. 'times_smaller' is the size of the JSON over that of the profile. A trace 'with
stacks' has shapes, stacks and modules.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clocks import report
from measure import Contender, options, race

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

MODELS = ("CNN", "transformer")
WAYS: dict[str, dict[str, bool]] = {
    "operations": {},
    "with memory": {"profile_memory": True},
    "with stacks": {"profile_memory": True, "record_shapes": True, "with_stack": True, "with_modules": True},
}
STEPS = 10


def network(kind: str) -> tuple[nn.Module, Tensor]:
    """Return a model of `MODELS` and what it takes."""
    import torch
    from torch import nn

    if kind == MODELS[1]:
        layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
        return nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), torch.randn(4, 32, 64)
    convolutions = [nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU()]
    return nn.Sequential(*convolutions, nn.Flatten(), nn.LazyLinear(10)), torch.randn(8, 3, 16, 16)


def record(kind: str, way: str, path: Path, steps: int) -> None:
    """Train a model for some steps, and export what torch.profiler saw of it."""
    import torch
    from torch.profiler import ProfilerActivity, profile, record_function

    torch.set_num_threads(1)
    model, x = network(kind)
    model(x)
    optimizer = torch.optim.AdamW(model.parameters(), foreach=False)
    with profile(activities=[ProfilerActivity.CPU], acc_events=False, **WAYS[way]) as profiler:
        for step in range(steps):
            with record_function(f"mb.step:{step}"):
                model(x).square().mean().backward()
                optimizer.step()
                optimizer.zero_grad()
    profiler.export_chrome_trace(str(path))


def measure(kind: str, way: str, directory: str, steps: int) -> None:
    """Record, read, convert and write one trace."""
    from multiboard.profile.kineto import convert
    from multiboard.profile.xspace import write_space

    path = Path(directory) / "trace.json"
    record(kind, way, path, steps)
    trace, load = timed(lambda: json.loads(path.read_text(errors="replace")))
    space, converting = timed(lambda: convert(trace))
    size, write = timed(lambda: write_space(space, Path(directory) / "host.xplane.pb"))
    events = len(trace["traceEvents"])
    report(
        us_per_event=converting / events * 1e6,
        load_us_per_event=load / events * 1e6,
        write_us_per_event=write / events * 1e6,
        times_smaller=path.stat().st_size / size,
        events=events,
    )


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a call gives, and its CPU seconds."""
    begin = time.process_time()
    found = call()
    return found, time.process_time() - begin


def main() -> None:
    """Run the races."""
    arguments = options(__doc__)
    steps = max(2, int(STEPS * arguments.scale))
    check = (
        "import os, clocks; from multiboard.profile.xspace import read_space; "
        "assert read_space(os.path.join(d, 'host.xplane.pb')).planes; clocks.report(verified='read back')"
    )
    for kind in MODELS:
        code = "import profile_conversion; profile_conversion.measure({kind!r}, {way!r}, d, {steps})"
        contenders = {way: Contender("torch", code.format(kind=kind, way=way, steps=steps), check) for way in WAYS}
        race(f"profile conversion: {kind}", contenders, arguments)


if __name__ == "__main__":
    main()
