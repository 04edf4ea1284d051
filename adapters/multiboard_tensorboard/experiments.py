"""The runs that TensorBoard shows, kept between requests: what is read of them, and what is made of it."""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard import ArgumentError, RunData
from multiboard.page.parts import Board
from multiboard_tensorboard import overview
from multiboard_tensorboard.columns import LazyColumns, read_ahead
from multiboard_tensorboard.hparams import split
from multiboard_tensorboard.listing import HPARAMS, KINDS, Kind, Listed, Provided
from multiboard_tensorboard.portions import Portions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from multiboard.page.parts import Part
    from multiboard_tensorboard.columns import Known, Stamp
    from multiboard_tensorboard.sampling import Samples

HELD: Final = 1 << 30
"""Bytes of all runs beyond which those are forgotten that were not looked at lately."""
_NUMBERS: Final = re.compile(r"([0-9]+)")
_SIDE_BY_SIDE: Final = 50
"""Runs that are compared at once: more would keep TensorBoard busy for minutes."""
_COMPARED: Final = ("histograms", "scalars")
"""The kinds that a comparison needs all of, in the order in which it does."""
_BOARDS: Final = 4
"""Choices of runs whose comparison is kept."""


class Held(NamedTuple):
    """One run: what was listed of it by kind, and its columns, some of them read already."""

    listed: Mapping[Kind, Listed]
    data: RunData

    def columns(self) -> list[LazyColumns]:
        """Return the columns by kind."""
        return [getattr(self.data, kind.name) for kind in KINDS]

    @property
    def nbytes(self) -> int:
        """About the memory of what was read."""
        return sum(columns.nbytes for columns in self.columns())


class _Choice(NamedTuple):
    """Runs that are looked at side by side; the lock is held while something is made of them."""

    board: Board
    runs: tuple[Held, ...]
    lock: Lock


class Experiment:
    """The runs of one experiment. For several threads at once; what one makes, others wait for.

    Args:
        log_dir: where TensorBoard reads, '' if it is not known.
        samples: what TensorBoard keeps.
        held: bytes of all runs beyond which some are forgotten.
    """

    def __init__(self, log_dir: str, samples: Samples, held: int = HELD) -> None:
        self._log_dir, self._held = Path(log_dir), held
        self._lock = Lock()
        self._runs: OrderedDict[str, Held] = OrderedDict()
        self._choices: OrderedDict[tuple[str, ...], _Choice] = OrderedDict()
        self._overview = overview.Overview(samples)

    def part(self, name: str, query: Mapping[str, str], runs: Sequence[str], provided: Provided) -> Part:
        """Return a part of the page; 'runs' looks at what is new, all others show what it has seen.

        Args:
            name: of the part.
            query: what of it.
            runs: that are looked at, the baseline first; of no meaning for the part 'runs', which tells of all.
            provided: where the data come from.

        Raises:
            ArgumentError: there is no such part or run, or the query is no good.
        """
        if name == "runs":
            with self._lock:
                self._look(provided)
                held = dict(sorted(self._runs.items()))
            return self._overview.part(held, provided)
        choice = self._choose(runs, provided)
        with choice.lock:
            part = choice.board.part(name, query)
        self._forget(runs)
        return part

    def _choose(self, names: Sequence[str], provided: Provided) -> _Choice:
        """Return runs that are looked at side by side, with what was made of them if nothing is new."""
        with self._lock:
            if not self._runs or any(name not in self._runs for name in names):
                self._look(provided)
            for name in names:
                if name not in self._runs:
                    raise ArgumentError("runs", name, "TensorBoard has no such run; reload the page")
            if not names or len(set(names)) < len(names):
                raise ArgumentError("runs", list(names), "name each run once, the baseline first")
            if len(names) > _SIDE_BY_SIDE:
                raise ArgumentError("runs", f"{len(names)} names", f"choose at most {_SIDE_BY_SIDE}")
            runs = tuple(self._runs[name] for name in names)
            choice = self._choices.pop(tuple(names), None)
            if choice is None or any(mine is not now for mine, now in zip(choice.runs, runs, strict=True)):
                board = Board({name: run.data for name, run in zip(names, runs, strict=True)})
                choice = _Choice(board, runs, Lock())
                if provided.waits and len(runs) > 1:
                    read_ahead([columns for kind in _COMPARED for columns in (getattr(run.data, kind) for run in runs)])
            self._choices[tuple(names)] = choice
            while len(self._choices) > _BOARDS:
                self._choices.popitem(last=False)
            for name in names:
                self._runs.move_to_end(name)
            return choice

    def _look(self, provided: Provided) -> None:
        """Take what is new: runs with new points are made anew, with the columns that have none."""
        listed = provided.list_all((*KINDS, HPARAMS))
        names = provided.runs()
        for name in names:
            mine = {kind: found.get(name, {}) for kind, found in listed.items()}
            before = self._runs.get(name)
            if before is None or _changed(before, mine):
                self._runs[name] = self._made(name, mine, before, provided)
        for name in set(self._runs).difference(names):
            del self._runs[name]

    def _made(self, name: str, listed: Mapping[Kind, Listed], before: Held | None, provided: Provided) -> Held:
        hparams, facts, status = split(one.plugin_content for one in listed[HPARAMS].values())
        columns: dict[str, Any] = {
            kind.name: LazyColumns(
                _in_order({tag: (_stamp(one), one.description) for tag, one in listed[kind].items()}),
                Portions(provided, kind, name, listed[kind]),
                getattr(before.data, kind.name) if before else None,
            )
            for kind in KINDS
        }
        data = RunData(self._log_dir / name, hparams=hparams, facts=facts, status=status, **columns)
        return Held(listed, data)

    def _forget(self, names: Sequence[str]) -> None:
        """Let go of what was read of runs that were not looked at for the longest time, if all are too large."""
        with self._lock:
            total = sum(run.nbytes for run in self._runs.values())
            for name in list(self._runs):
                if total <= self._held or name in names:
                    break
                total -= self._runs[name].nbytes
                del self._runs[name]
                self._overview.forget(name)
                self._choices = OrderedDict((key, one) for key, one in self._choices.items() if name not in key)


def _stamp(listed: Any) -> Stamp:
    """Return what tells whether there is something new of a tag."""
    return listed.max_step, listed.max_wall_time


def _in_order(known: Mapping[str, Known]) -> dict[str, Known]:
    """Return tags in an order that a person expects, block2 before block10; the data server has none."""
    return {tag: known[tag] for tag in sorted(known, key=_natural)}


def _natural(tag: str) -> list[tuple[int, str]]:
    """Return what sorts numbers in tags by their size, however many digits they have."""
    pieces = _NUMBERS.split(tag)
    pieces[1::2] = [number.lstrip("0") for number in pieces[1::2]]
    return [(len(piece) if at % 2 else 0, piece) for at, piece in enumerate(pieces)]


def _changed(before: Held, listed: Mapping[Kind, Listed]) -> bool:
    """Tell whether there is something new of a run since it was listed before."""
    if _session(before.listed[HPARAMS]) != _session(listed[HPARAMS]):
        return True
    now = ({tag: _stamp(one) for tag, one in listed[kind].items()} for kind in KINDS)
    return any(columns.stamps != stamps for stamps, columns in zip(now, before.columns(), strict=True))


def _session(listed: Listed) -> list[bytes]:
    return sorted(one.plugin_content for one in listed.values())
