"""Reads the columns of one kind of a run in portions, so that no answer and no run becomes too large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard import Column
from multiboard.bucket_rows import picked
from multiboard_tensorboard.columns import empty, nbytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from multiboard_tensorboard.listing import Kind, Listed, Provided

HELD: Final = 256 << 20
"""Bytes of one kind of one run beyond which only some points of each tag are kept."""
_BEGIN: Final = 8
"""Tags that are read first, to see how much more may be read at once."""
_ANSWER: Final = 8 << 20
"""Bytes of one answer, about: larger ones take longer, and the data server sends none beyond 256 MiB."""
_MOST: Final = 500
"""Tags of one answer."""


class Portions:
    """Reads columns of one kind of a run.

    Args:
        provided: where from.
        kind: of the columns.
        run: its name.
        listed: what there is.
        held: bytes beyond which only some points of each tag are kept.

    Attributes:
        stride: every how many points of a tag are kept, and the last one: a power of two, so that the points that are kept of two
            runs are still at common steps; 1 if all are, or nothing was read yet.
    """

    def __init__(self, provided: Provided, kind: Kind, run: str, listed: Listed, held: int = HELD) -> None:
        self._provided, self._kind, self._run, self._listed, self._held = provided, kind, run, listed, held
        self.stride = 1
        self._size = 0

    def __call__(self, tags: Sequence[str]) -> Mapping[str, Column]:
        """Return the columns of the first of some tags, as many as fit into one answer; a tag that has gone has no points."""
        first = tags[: min(_MOST, max(1, _ANSWER // self._size)) if self._size else _BEGIN]
        columns = self._read(first)
        self._measure(columns)
        return {tag: self._thinned(columns[tag]) if tag in columns else empty() for tag in first}

    def _measure(self, columns: Mapping[str, Column]) -> None:
        """See how large the columns are, and the first time, which points are kept."""
        sizes = [nbytes(column) for column in columns.values()]
        if not sizes:
            return
        if not self._size:
            while sum(sizes) / len(sizes) * len(self._listed) > self._held * self.stride:
                self.stride *= 2
        self._size = max(sizes) + 1

    def _thinned(self, column: Column) -> Column:
        if self.stride == 1 or len(column) <= 1:
            return column
        kept = np.unique([*range(0, len(column), self.stride), len(column) - 1])
        value = column.value[kept] if isinstance(column.value, np.ndarray) else picked(column.value, kept)
        return Column(column.step[kept], column.wall_time[kept], value, column.description)

    def _read(self, tags: Sequence[str]) -> Mapping[str, Column]:
        try:
            return self._provided.read(self._kind, self._run, self._listed, tags)
        except Exception as error:
            if not _too_large(error):
                raise
        if len(tags) == 1:
            return self._last(tags)
        half = len(tags) // 2
        return {**self._read(tags[:half]), **self._read(tags[half:])}

    def _last(self, tags: Sequence[str]) -> Mapping[str, Column]:
        """Return the last point of a tag whose points are too large together, no column if that one is."""
        try:
            return self._provided.read(self._kind, self._run, self._listed, tags, points=1)
        except Exception as error:
            if not _too_large(error):
                raise
            return {}


def _too_large(error: Exception) -> bool:
    """Tell whether the data server sent more than gRPC takes (grpc.StatusCode.RESOURCE_EXHAUSTED)."""
    code = getattr(error, "code", None)
    return callable(code) and getattr(code(), "name", "") == "RESOURCE_EXHAUSTED"
