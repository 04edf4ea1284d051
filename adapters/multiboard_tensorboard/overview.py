"""The first thing that the page shows: all runs at a glance, without reading all of each."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from multiboard import tags
from multiboard.graph.summary_values import data_tag
from multiboard.page.parts import Board
from multiboard_tensorboard.columns import LazyColumns
from multiboard_tensorboard.listing import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from multiboard import Column, RunData
    from multiboard.page.parts import Part
    from multiboard_tensorboard.columns import Stamp
    from multiboard_tensorboard.experiments import Held
    from multiboard_tensorboard.listing import Provided
    from multiboard_tensorboard.sampling import Samples

_HISTOGRAMS: Final = next(kind for kind in KINDS if kind.name == "histograms")
_OF_TENSORS: Final = frozenset({"norm", "nonfinite"})
_TELLS_SIZES: Final = ("multiboard/run_info", data_tag())


class Overview:
    """Tells of all runs; keeps what it has read of each while there is nothing new. For several threads at once.

    Args:
        samples: what TensorBoard keeps.
    """

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._lock = Lock()
        self._seen: dict[str, tuple[Held, RunData]] = {}

    def part(self, runs: Mapping[str, Held], provided: Provided) -> Part:
        """Return the part 'runs'.

        Args:
            runs: all of them.
            provided: where the data come from.
        """
        if not runs:
            return {"version": 1, "fixed": False, "runs": [], "axes": [], "thinned": []}
        with self._lock:
            self._seen = {name: self._look(name, run, provided) for name, run in runs.items()}
            part = Board({name: glimpse for name, (_, glimpse) in self._seen.items()}).part("runs")
        return part | {
            "runs": [one | _last_of(runs[one["name"]], one["started"]) for one in part["runs"]],
            "thinned": list(self._samples.left_out({name: run.data for name, run in runs.items()})),
        }

    def _look(self, name: str, run: Held, provided: Provided) -> tuple[Held, RunData]:
        known = self._seen.get(name)
        return known if known and known[0] is run else (run, _glimpse(name, run, provided))

    def forget(self, name: str) -> None:
        """Let go of a run."""
        with self._lock:
            self._seen.pop(name, None)


def _last_of(run: Held, started: float | None) -> dict[str, Any]:
    """Return how far a run came: of its curves and tensors, what is known without reading them."""
    stamps = [stamp for columns in (run.data.scalars, run.data.histograms) for stamp in _stamps(columns) if stamp[0] is not None]
    if not stamps or started is None:
        return {}
    return {"steps": max(step for step, _ in stamps), "seconds": max(time for _, time in stamps) - started}


def _stamps(columns: Mapping[str, Column]) -> Iterable[Stamp]:
    return columns.stamps.values() if isinstance(columns, LazyColumns) else ()


def _glimpse(name: str, run: Held, provided: Provided) -> RunData:
    """Return a run with the curves that are not of single tensors, and a tensor of each group.

    If nothing else tells how large the model is, there is also one histogram of each parameter.
    """
    data = run.data
    curves = [tag for tag in data.scalars if not _of_one_tensor(tag)]
    histograms = _first_of_each_group(data.histograms)
    _load(data.scalars, curves)
    _load(data.histograms, histograms)
    shown = {tag: data.histograms[tag] for tag in histograms}
    if not any(tag in data.tensors for tag in _TELLS_SIZES):
        others = [tag for tag in data.histograms if tag not in shown and tag.startswith(f"{tags.PARAMS}/")]
        shown |= _last(name, run, others, provided)
    return replace(data, scalars={tag: data.scalars[tag] for tag in curves}, histograms=shown)


def _load(columns: Mapping[str, Column], wanted: list[str]) -> None:
    if isinstance(columns, LazyColumns):
        columns.load(wanted)


def _last(name: str, run: Held, wanted: list[str], provided: Provided) -> Mapping[str, Column]:
    if not wanted:
        return {}
    return provided.read(_HISTOGRAMS, name, run.listed[_HISTOGRAMS], wanted, points=1)


def _of_one_tensor(tag: str) -> bool:
    head, _, rest = tag.partition("/")
    return bool(rest) and (head == tags.UPDATE_RATIO or (head in _OF_TENSORS and "/" in rest))


def _first_of_each_group(found: Iterable[str]) -> list[str]:
    first: dict[str, str] = {}
    for tag in found:
        first.setdefault(tag.partition("/")[0], tag)
    return list(first.values())
