"""Columns of a run that are read when they are first asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from itertools import pairwise
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, TypeAlias, overload

import numpy as np

from multiboard import Column

if TYPE_CHECKING:
    import numpy.typing as npt

Reader: TypeAlias = Callable[[Sequence[str]], Mapping[str, Column]]
Stamp: TypeAlias = tuple[int, float]
"""Last step and last wall time of a tag: while they are the same, there is nothing new of it."""


class Rows(Sequence["npt.NDArray[np.float64]"]):
    """Bucket rows of the histograms of one tag, all in one array, which is as narrow as it was written.

    Args:
        rows: `[m, 3]` left, right and count of all of them.
        lengths: how many rows each has.
    """

    def __init__(self, rows: npt.NDArray[Any], lengths: npt.NDArray[np.intp]) -> None:
        self._rows = rows
        self._ends = np.concatenate([[0], np.cumsum(lengths)]).tolist()
        self._wide: npt.NDArray[np.float64] | None = None

    def _widened(self) -> npt.NDArray[np.float64]:
        """Return the rows as float64; those of the tags that were looked at last are kept, for they are looked at one by one."""
        wide = self._wide
        if wide is None:
            wide = self._wide = self._rows.astype(np.float64)
            _RECENT.append(self)
            if len(_RECENT) > _KEPT:
                _RECENT.popleft()._wide = None  # noqa: SLF001  # another Rows
        return wide

    @overload
    def __getitem__(self, index: int) -> npt.NDArray[np.float64]: ...
    @overload
    def __getitem__(self, index: slice) -> list[npt.NDArray[np.float64]]: ...
    def __getitem__(self, index: int | slice) -> npt.NDArray[np.float64] | list[npt.NDArray[np.float64]]:
        if isinstance(index, slice):
            return [self[at] for at in range(len(self))[index]]
        at = index if index >= 0 else index + len(self)
        if at < 0:
            raise IndexError(index)
        return self._widened()[self._ends[at] : self._ends[at + 1]]

    def __iter__(self) -> Iterator[npt.NDArray[np.float64]]:
        wide = self._widened()
        return (wide[begin:end] for begin, end in pairwise(self._ends))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def picked(self, at: npt.NDArray[np.intp]) -> Rows:
        """Return some of the histograms."""
        parts = [self._rows[self._ends[one] : self._ends[one + 1]] for one in at.tolist()]
        return Rows(np.concatenate(parts), np.array(list(map(len, parts)), np.intp))

    @property
    def nbytes(self) -> int:
        """Memory of the rows."""
        return int(self._rows.nbytes) + 8 * len(self._ends)


class Blobs(Sequence[list[bytes]]):
    """The files of one tag, each step's read when it is asked for."""

    def __init__(self, keys: Sequence[Sequence[str]], read: Callable[[str], bytes]) -> None:
        self._keys, self._read = keys, read

    @overload
    def __getitem__(self, index: int) -> list[bytes]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[bytes]]: ...
    def __getitem__(self, index: int | slice) -> list[bytes] | list[list[bytes]]:
        if isinstance(index, slice):
            return [self[at] for at in range(len(self))[index]]
        return [self._read(key) for key in self._keys[index]]

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def nbytes(self) -> int:
        """Memory of the keys; the files are not kept."""
        return sum(len(key) for keys in self._keys for key in keys)


_KEPT: Final = 32
_RECENT: Final[deque[Rows]] = deque()


def picked(values: Sequence[Any], at: npt.NDArray[np.intp]) -> Sequence[Any]:
    """Return some values of a column, in the form that they have."""
    return values.picked(at) if isinstance(values, Rows) else [values[one] for one in at.tolist()]


def empty(description: str = "") -> Column:
    """Return a column without points."""
    return Column(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), description)


def nbytes(column: Column) -> int:
    """Return about how much memory a column takes."""
    size = getattr(column.value, "nbytes", None)
    if size is None:
        size = sum(one.nbytes if hasattr(one, "nbytes") else len(one) for one in column.value)
    return int(column.step.nbytes + column.wall_time.nbytes + size)


class LazyColumns(dict[str, Column]):
    """Columns by tag: which there are is known at once, what they hold is read when it is asked for.

    The first one that is asked for is read alone; with each further one, twice as many of those behind it are read along. All
    are read when all are asked for. For several threads at once.

    Args:
        stamps: by tag, in the order of the columns.
        read: returns the columns of some tags.
        before: earlier columns of the same run and kind; what has not changed is taken over.

    Attributes:
        stamps: the same.
        nbytes: about the memory of what was read.
    """

    def __init__(self, stamps: Mapping[str, Stamp], read: Reader, before: LazyColumns | None = None) -> None:
        super().__init__(dict.fromkeys(stamps))  # type: ignore[arg-type]  # None until it is read
        self.stamps, self.nbytes = stamps, 0
        self._read, self._ahead, self._lock = read, 1, RLock()
        if before is not None:
            self._take({tag: column for tag, column in before.loaded().items() if stamps.get(tag) == before.stamps[tag]})

    @property
    def stride(self) -> int:
        """Every how many points of a tag are kept."""
        return int(getattr(self._read, "stride", 1))

    def loaded(self) -> dict[str, Column]:
        """Return the columns that were read so far."""
        return {tag: column for tag, column in super().items() if column is not None}

    def load(self, tags: Sequence[str] | None = None) -> None:
        """Read some of the columns, by default all, if they were not read yet."""
        with self._lock:
            missing = self._missing(self if tags is None else tags)
            if missing:
                found = self._read(missing)
                self._take({tag: found.get(tag) or empty() for tag in missing})

    def _missing(self, tags: Iterable[str]) -> list[str]:
        return [tag for tag in tags if super(LazyColumns, self).__getitem__(tag) is None]

    def _take(self, found: Mapping[str, Column]) -> None:
        self.nbytes += sum(map(nbytes, found.values()))
        for tag, column in found.items():
            super().__setitem__(tag, column)

    def _load_from(self, tag: str) -> None:
        with self._lock:
            order = list(self)
            self.load(self._missing(order[order.index(tag) :])[: self._ahead])
            self._ahead *= 2

    def __getitem__(self, tag: str) -> Column:
        if super().__getitem__(tag) is None:
            self._load_from(tag)
        return super().__getitem__(tag)

    def get(self, tag: str, default: Any = None) -> Any:
        """Return a column, or what stands for it."""
        try:
            return self[tag]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:  # without it, dict(columns) and {**columns} would copy what was not read
        return super().__iter__()

    def items(self) -> ItemsView[str, Column]:  # type: ignore[override]
        """Read all columns and return them with their tags."""
        self.load()
        return super().items()

    def values(self) -> ValuesView[Column]:  # type: ignore[override]
        """Read all columns and return them."""
        self.load()
        return super().values()
