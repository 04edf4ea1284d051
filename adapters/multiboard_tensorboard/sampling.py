"""What TensorBoard has left out of long runs, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multiboard_tensorboard.columns import LazyColumns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from multiboard import RunData

_FAST: Final = {"scalars": 1000, "histograms": 100, "images": 10, "audio": 10, "text": 100, "multiboard": 100}
_SLOW: Final = {"scalars": 1000, "histograms": 500, "images": 10, "audio": 10, "text": 10, "multiboard": 10}
"""What the data server and the Python reader of TensorBoard 2.21 keep of each tag unless they are told something else."""
_CALLED: Final = {
    "scalars": ("scalars", "points of a curve"),
    "histograms": ("histograms", "histograms of a tensor"),
    "images": ("images", "steps of a picture"),
    "audios": ("audio", "steps of a clip"),
    "texts": ("text", "steps of a text"),
    "tensors": ("multiboard", "steps of a raw tensor"),
}
"""By kind: the plugin, and what it keeps some of."""


class Samples:
    """How many points of each tag TensorBoard keeps.

    Args:
        told: what it was told to keep, by plugin.
        fast: whether the data server reads.
    """

    def __init__(self, told: Mapping[str, int | None], *, fast: bool) -> None:
        self._kept = {**(_FAST if fast else _SLOW), **{plugin: count for plugin, count in told.items() if count}}

    def left_out(self, runs: Mapping[str, RunData]) -> Iterator[str]:
        """Yield what the page does not have of runs, as far as it was read."""
        for kind, (plugin, what) in _CALLED.items():
            kept = self._kept[plugin]
            full = [name for name, run in runs.items() if _longest(run, kind) >= kept]
            if full:
                yield (
                    f"TensorBoard keeps {kept:,} {what}, and may have left out others of {_named(full)}: "
                    "`multiboard serve` keeps more, and `multiboard report` reads all."
                )
            for name, run in runs.items():
                stride = _stride(run, kind)
                if stride > 1:
                    yield f"{name} is too large to be held: of its {kind} one in {stride} steps is here."


def _longest(run: RunData, kind: str) -> int:
    columns = getattr(run, kind)
    read = columns.loaded() if isinstance(columns, LazyColumns) else columns
    return max(map(len, read.values()), default=0)


def _stride(run: RunData, kind: str) -> int:
    return int(getattr(getattr(run, kind), "stride", 1))


def _named(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"  # noqa: PLR2004
