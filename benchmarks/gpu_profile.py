"""What a profiled window catches on an accelerator: kernels, layers, steps, and how busy the device is."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gpu_rows import Row

import multiboard as mb
from multiboard.profile.op_names import BACKWARD
from multiboard.profile.summary import summarize
from multiboard.profile.xspace import read_space

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIRST, STEPS = 4, 5
TOTAL = FIRST + STEPS + 1
LEAST = 0.7
"""Of the time of a device that is to be that of known layers. GPT-2 multiplies by its tied embedding outside of all layers."""


class Captured(NamedTuple):
    """A window that is over.

    Attributes:
        run: what the run holds.
        path: the file of the profile.
        errors: what the run reported.
    """

    run: mb.RunData
    path: Path
    errors: list[str]


def check_window(title: str, train: Callable[[mb.Run, mb.Profiler, int], object], *, on_host: bool) -> Iterator[Row]:
    """Yield what a window of a training has caught.

    Args:
        title: what the rows begin with.
        train: trains so many steps with a run and a profiler.
        on_host: there is no accelerator: rows about kernels are left out.
    """
    with tempfile.TemporaryDirectory() as directory:
        captured = capture(Path(directory), train)
        yield Row(f"{title}, errors while profiling", "; ".join(captured.errors)[:200] or "none", not captured.errors)
        yield from _rows(title, captured, on_host=on_host)


def capture(directory: Path, train: Callable[[mb.Run, mb.Profiler, int], object]) -> Captured:
    """Train with a profiled window and return what it left behind."""
    errors: list[str] = []
    with mb.Run(directory, facts=False, on_error=lambda cause, message: errors.append(f"{cause}: {message}")) as run:
        profiler = mb.Profiler(run, start=FIRST, steps=STEPS, memory=True)
        train(run, profiler, TOTAL)
        profiler.close()
    found = list(directory.glob("plugins/profile/*/*.xplane.pb"))
    if not found:
        raise RuntimeError(f"there is no profile: {'; '.join(errors)}")
    return Captured(mb.read(directory)["."], found[0], errors)


def _rows(title: str, captured: Captured, *, on_host: bool) -> Iterator[Row]:
    space: Any = read_space(captured.path)
    scalars = {tag: column.value[-1] for tag, column in captured.run.scalars.items() if tag.startswith("profile/")}
    told = ", ".join(f"{tag.removeprefix('profile/')} {value:.4g}" for tag, value in sorted(scalars.items()))
    yield Row(f"{title}, summary", told, scalars.get("profile/step_ms", 0) > 0)
    kernels = sum(len(line.events) for plane in space.planes if plane.name.startswith("/device:GPU") for line in plane.lines)
    if not on_host:
        yield Row(f"{title}, kernels caught", f"{kernels} in {STEPS} steps", kernels > 0)
        busy = scalars.get("profile/device_busy_pct", 0.0)
        yield Row(f"{title}, device busy", f"{busy:.1f} %", 0 < busy <= 100)
    ops = [row for row in summarize(space).ops if row.place == ("host" if on_host else "device")]
    layers = [row for row in ops if row.layer not in {"", BACKWARD}]
    share = sum(row.share for row in layers)
    yield Row(f"{title}, rows of operations with a layer", f"{len(layers)} of {len(ops)}", len(layers) > 0)
    yield Row(f"{title}, their share of the time of all operations", f"{share:.1%}", share > LEAST or on_host)
    if find_spec("xprof") is not None:
        yield from _shown(title, captured.path, on_host=on_host)


def _shown(title: str, path: Path, *, on_host: bool) -> Iterator[Row]:
    """Yield the sizes of the tables that XProf makes of it."""
    import json

    from xprof.convert.raw_to_tool_data import xspace_to_tool_data

    for tool in ("framework_op_stats", "kernel_stats"):
        data, _ = xspace_to_tool_data([str(path)], tool, {"use_saved_result": False})
        tables = json.loads(data) if data else []
        rows = max((len(table.get("rows", ())) for table in (tables if isinstance(tables, list) else [tables])), default=0)
        needed = tool == "framework_op_stats" or not on_host
        yield Row(f"{title}, rows of {tool} in XProf", str(rows), rows > 0 if needed else None)
