"""The runs at a glance: what they are, how far they came, what was lost, and what their curves can be drawn over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard import exact_samples, tags
from multiboard.compare.joining import latest
from multiboard.compare.layer_table import layer_table, logged_summary
from multiboard.compare.tolerances import TENSORS, scalar_kind
from multiboard.page.limits import thinned

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from multiboard.page.parts import Board, Part
    from multiboard.reader import Column, RunData

_VERSION: Final = 1
_NO_AXIS: Final = frozenset({"norm", "update_ratio", "nonfinite", "multiboard", "profile", "system", "perf"})
_DROPPED: Final = tags.dropped("")
_EXACT: Final = f"{exact_samples.GROUP}/"


def runs(board: Board) -> Part:
    """Return the runs, what their curves can be drawn over, and what is left out of them."""
    return {
        "version": _VERSION,
        "fixed": board.fixed,
        "runs": [_run(name, run, color) for color, (name, run) in enumerate(board.runs.items())],
        "axes": [{"name": "step", "label": "step"}, {"name": "time", "label": "time"}, *_axes(board)],
        "thinned": thinned(board),
    }


def _run(name: str, run: RunData, color: int) -> Part:
    started, seconds = _times(run)
    framework = run.facts.get("framework")
    return {
        "name": name,
        "color": color,
        "steps": max((int(column.step.max()) for column in _columns(run) if len(column)), default=None),
        "captures": len(_captures(run)),
        "started": started,
        "seconds": seconds,
        "parameters": parameters(run),
        "framework": None if framework is None else str(framework),
        "status": run.status,
        "config": run.hparams,
        "facts": run.facts,
        "losses": _losses(run),
        "exact": any(tag.startswith(_EXACT) for tag in run.tensors),
    }


def _columns(run: RunData) -> Iterator[Column]:
    yield from run.scalars.values()
    yield from run.histograms.values()


def _captures(run: RunData) -> set[int]:
    """Return the steps at which tensors were measured."""
    found: set[int] = set()
    for tag, column in run.histograms.items():
        if tag.partition("/")[0] in TENSORS:
            found.update(column.step.tolist())
    return found


def _times(run: RunData) -> tuple[float | None, float | None]:
    """Return when a run began, and for how long it has logged."""
    times = [column.wall_time for column in _columns(run) if len(column)]
    if not times:
        return None, None
    started = min(float(time.min()) for time in times)
    return started, max(float(time.max()) for time in times) - started


def parameters(run: RunData) -> int | None:
    """Return the number of trainable elements of a run's model, None if it does not tell."""
    summary = logged_summary(run)
    if summary is not None:
        return summary.totals.params
    layers = layer_table(run)
    sizes = [layer.params for layer in layers]
    known = [size for size in sizes if size is not None]
    return sum(known) or None if len(known) == len(sizes) else None


def _losses(run: RunData) -> dict[str, int]:
    return {
        "dropped": sum(_last(column) for tag, column in run.scalars.items() if tag.startswith(_DROPPED)),
        "errors": _last(run.scalars.get(tags.ERRORS)),
        "damaged": sum(map(len, run.damage.values())),
        "nonfinite": sum(_nonfinite(run, group) for group in TENSORS),
    }


def _last(column: Column | None) -> int:
    return 0 if column is None else _sum(column.value[-1:])


def _nonfinite(run: RunData, group: str) -> int:
    """Return how many values of a group were NaN or infinite, over all captures."""
    whole = run.scalars.get(tags.nonfinite(group))
    head = tags.nonfinite(f"{group}/")
    columns = [whole] if whole else [column for tag, column in run.scalars.items() if tag.startswith(head)]
    return sum(_sum(column.value[latest(column.step)[1]]) for column in columns)


def _sum(counts: npt.NDArray[np.float64]) -> int:
    return int(counts[np.isfinite(counts)].sum())


def _axes(board: Board) -> Iterator[dict[str, Any]]:
    """Yield the scalars that never fall, e.g. epochs, samples and tokens."""
    for tag in dict.fromkeys(tag for run in board.runs.values() for tag in run.scalars):
        if tag.partition("/")[0] in _NO_AXIS or scalar_kind(tag) == "loss":
            continue
        columns = [run.scalars[tag] for run in board.runs.values() if tag in run.scalars]
        if all(map(_rises, columns)):
            yield {"name": tag, "label": tag}


def _rises(column: Column) -> bool:
    value = column.value[np.argsort(column.step, kind="stable")]
    return len(value) > 1 and bool((np.diff(value) >= 0).all()) and bool(value[-1] > value[0])
