"""A capture that is being put together: rows of values, and their names."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, NamedTuple

import torch

from multiboard import tags
from multiboard.values import Capture
from multiboard_torch import distributed
from multiboard_torch.batch import Batch, values_of
from multiboard_torch.norms import Norms
from multiboard_torch.packs import Difference, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor

    from multiboard.protocols import Pending
    from multiboard.values import MeasuredBatch
    from multiboard_torch.buffers import Buffers
    from multiboard_torch.distributed import Reducer, Shared
    from multiboard_torch.layers import Named
    from multiboard_torch.options import Options
    from multiboard_torch.packs import Values


class Processes(NamedTuple):
    """Which part of the work this process does.

    Attributes:
        reducer: adds up what is sharded; None if nothing is.
        alone: this process measures what it holds and no more: the only one, or `per_rank`.
    """

    reducer: Reducer | None = None
    alone: bool = True

    def later(self, measured: Shared, step: int) -> Pending[MeasuredBatch]:
        """Return the same measurements, or their sums over all processes if they are shared."""
        return measured if self.reducer is None or not measured.shared else self.reducer.later(measured, step)


class Found(NamedTuple):
    """A tensor that goes into a capture.

    Attributes:
        name: what follows the group in the tag.
        description: markdown for the dashboard.
        tensor: as the framework holds it.
        absent: there is none in this process, but perhaps there is in others; the tensor is the one that it would belong to.
    """

    name: str
    description: str
    tensor: Tensor
    absent: bool = False


class _Row(NamedTuple):
    found: Found
    values: Tensor
    shared: bool


class Draft:
    """The rows of one capture.

    Args:
        step: of the update.
        options: what is written.
        buffers: memory for copies.
        processes: which part this process measures.
        report: called with an error and a sentence for each tensor that cannot be measured.
    """

    def __init__(
        self,
        step: int,
        options: Options,
        buffers: Buffers,
        processes: Processes,
        report: Callable[[Exception, str], None],
    ) -> None:
        self.step = step
        self._options, self._processes, self._report = options, processes, report
        self._batch = Batch(buffers)
        self._norms = Norms()
        self._wall_time = time()
        self._tags: list[str] = []
        self._descriptions: dict[str, str] = {}
        self._before: dict[int, Tensor] = {}

    def add(self, group: str, found: Iterable[Found], *, keep: bool = False, written: bool = True) -> None:
        """Add tensors as they are now.

        Args:
            group: first part of the tags.
            found: the tensors.
            keep: keep copies for `add_changes`.
            written: whether they are written, and not kept alone.
        """
        rows = self._rows(group, found)
        values: list[Tensor] = [row.values for row in rows]
        if keep:
            values = self._kept(values, always=True)
            self._before |= {id(row.found.tensor): copied for row, copied in zip(rows, values, strict=True)}
        if written:
            self._measure(group, rows, values, copied=keep)

    def add_changes(self, group: str, found: Iterable[Found]) -> None:
        """Add what has been added to tensors since `add` kept copies of them."""
        rows = self._rows(group, [one for one in found if id(one.tensor) in self._before])
        after = self._kept([row.values for row in rows])
        changes = [_difference(now.reshape(-1), self._before[id(row.found.tensor)]) for row, now in zip(rows, after, strict=True)]
        self._measure(group, rows, changes, copied=True)

    def finished(self) -> list[Capture]:
        """Return what goes to the run. What is shared is added up from now on, whether the run takes it or not."""
        if not self._tags:
            return []
        options, in_part = self._options, self._processes.reducer is not None
        tags_of_rows = tuple(self._tags)
        captures = []
        if options.histograms:
            batch = self._processes.later(self._batch, self.step)
            capture = Capture(tags_of_rows, batch, self.step, self._wall_time, self._descriptions, if_any=in_part)
            norms, nonfinite = options.norms and not options.norms_apart, options.sample is None
            captures.append(capture._replace(norms=norms, nonfinite=nonfinite))
        if options.norms_apart:
            batch = self._processes.later(self._norms, self.step)
            capture = Capture(tags_of_rows, batch, self.step, self._wall_time, if_any=in_part)
            captures.append(capture._replace(nonfinite=False, histograms=False))
        return captures

    def _rows(self, group: str, found: Iterable[Found]) -> list[_Row]:
        rows = []
        for one in found:
            try:
                row = self._row(one)
            except Exception as error:  # noqa: BLE001  # one tensor that cannot be counted does not cost the others
                self._report(error, f"{group}/{one.name} was left out at step {self.step}")
                if self._is_shared(one):  # the rows are the same on all processes
                    rows.append(_Row(one, _nothing(), shared=True))
            else:
                rows += [row] if row is not None else []
        return rows

    def _row(self, found: Found) -> _Row | None:
        """Return what this process measures of a tensor, or None if that is for another one to do."""
        shared = self._is_shared(found)
        if not (shared or self._processes.alone or distributed.rank() == 0):
            return None
        if found.absent:
            return _Row(found, _nothing(), shared) if shared else None
        values = values_of(distributed.local_part(found.tensor))
        if shared and not distributed.counts_here(found.tensor):
            values = values.reshape(-1)[:0]
        return _Row(found, values, shared)

    def _is_shared(self, found: Found) -> bool:
        return self._processes.reducer is not None and distributed.is_sharded(found.tensor)

    def _measure(self, group: str, rows: Sequence[_Row], values: Sequence[Values], *, copied: bool) -> None:
        shared = [row.shared for row in rows]
        if self._options.norms_apart:
            self._add_norms(values, shared)
        if self._options.histograms:
            thin = [_thinned(value, self._options.sample) for value in values]
            self._batch.add(thin if copied else self._kept(thin), shared)  # type: ignore[arg-type]
        for row, value in zip(rows, values, strict=True):
            self._name(group, row.found.name, _sampled(row.found.description, value, self._options.sample))

    def _add_norms(self, values: Sequence[Values], shared: list[bool]) -> None:
        try:
            self._norms.add(values, shared)
        except Exception as error:
            if self._processes.reducer is None:
                raise
            self._norms.error = error
            self._norms.add([_nothing()] * len(values), shared)

    def _kept(self, tensors: Sequence[Tensor], *, always: bool = False) -> list[Tensor]:
        try:
            return self._batch.copy(tensors, always=always)
        except Exception as error:
            if self._processes.reducer is None:
                raise
            self._batch.error = self._norms.error = error  # the other processes wait for this one: it goes on, with nothing
            return [tensor.reshape(-1)[:0] for tensor in tensors]

    def _name(self, group: str, name: str, description: str) -> None:
        tag = f"{group}/{name}"
        self._tags.append(tag)
        self._descriptions[tag] = description


def _nothing() -> Tensor:
    return torch.empty(0, device="cpu")


def _difference(after: Tensor, before: Tensor) -> Difference:
    size = min(after.numel(), before.numel())  # of different size if one could not be copied
    return Difference(after[:size], before[:size])


def _stride(size: int, most: int | None) -> int:
    return 1 if most is None else max(1, -(-size // most))


def _thinned(values: Values, most: int | None) -> Values:
    """Return evenly spaced values, so many at most."""
    every = _stride(size_of(values), most)
    if every == 1:
        return values
    if isinstance(values, Difference):
        return Difference(*(side.reshape(-1)[::every] for side in values))
    return values.reshape(-1)[::every]


def _sampled(description: str, values: Values, most: int | None) -> str:
    every = _stride(size_of(values), most)
    return description if every == 1 else f"{description}; one in {every} values"


def found_parameter(named: Named, tensor: Tensor, stage: str = "", suffix: str = "") -> Found:
    """Return what is known of a parameter, or of what goes with it, for a draft."""
    also = f" (also {', '.join(f'`{alias}`' for alias in named.aliases)})" if named.aliases else ""
    return Found(f"{named.path}{suffix}", tags.description(named.native, named.layer_class, stage) + also, tensor)
