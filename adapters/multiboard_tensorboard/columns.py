"""Columns of a run that are read when something of them is first asked for."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Mapping, Sequence
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import numpy as np

from multiboard import Column

if TYPE_CHECKING:
    import numpy.typing as npt

Reader: TypeAlias = Callable[[Sequence[str]], Mapping[str, Column]]
Stamp: TypeAlias = tuple[int, float]
"""Last step and last wall time of a tag: while they are the same, there is nothing new of it."""
Known: TypeAlias = tuple[Stamp, str]
"""The stamp of a tag, and its description."""


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


def empty(description: str = "") -> Column:
    """Return a column without points."""
    return Column(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), description)


def nbytes(column: Column) -> int:
    """Return about how much memory a column takes."""
    size = getattr(column.value, "nbytes", None)
    if size is None:
        size = sum(one.nbytes if hasattr(one, "nbytes") else len(one) for one in column.value)
    return int(column.step.nbytes + column.wall_time.nbytes + size)


class LazyColumn:
    """A column as `multiboard.Column` is, of which no more than the description is known until something else is asked for.

    Args:
        columns: it is one of.
        tag: of it.
        description: markdown of the tag.
    """

    __slots__ = ("_columns", "_tag", "description")

    def __init__(self, columns: LazyColumns, tag: str, description: str) -> None:
        self._columns, self._tag, self.description = columns, tag, description

    @property
    def step(self) -> npt.NDArray[np.int64]:
        """Steps, int64 `[n]`."""
        return self._columns.read(self._tag).step

    @property
    def wall_time(self) -> npt.NDArray[np.float64]:
        """Seconds since the epoch, float64 `[n]`."""
        return self._columns.read(self._tag).wall_time

    @property
    def value(self) -> Any:
        """Values, n of them."""
        return self._columns.read(self._tag).value

    def __len__(self) -> int:
        return len(self._columns.read(self._tag))


class LazyColumns(dict[str, Column]):
    """Columns by tag, each read when something of it is asked for.

    The first one that is asked for is read alone; with each further one, twice as many of those behind it are read along. For
    several threads at once: what one reads, others wait for.

    Args:
        known: by tag, in the order of the columns.
        portion: returns the columns of the first ones of some tags, at least of the first.
        before: earlier columns of the same run and kind; what has not changed is taken over.

    Attributes:
        stamps: by tag.
        nbytes: about the memory of what was read.
    """

    def __init__(self, known: Mapping[str, Known], portion: Reader, before: LazyColumns | None = None) -> None:
        super().__init__({tag: LazyColumn(self, tag, description) for tag, (_, description) in known.items()})  # type: ignore[misc]
        self.stamps = {tag: stamp for tag, (stamp, _) in known.items()}
        self.nbytes = 0
        self._portion, self._ahead = portion, 1
        self._read: dict[str, Column] = {}
        self._changed, self._busy = Condition(), False
        if before is not None:
            self._take({tag: column for tag, column in before.loaded().items() if self.stamps.get(tag) == before.stamps[tag]})

    @property
    def stride(self) -> int:
        """Every how many points of a tag are kept."""
        return int(getattr(self._portion, "stride", 1))

    def loaded(self) -> dict[str, Column]:
        """Return the columns that were read so far."""
        return dict(self._read)

    def load(self, tags: Sequence[str] | None = None) -> None:
        """Read some of the columns, by default all, if they were not read yet."""
        while self.load_portion(tags):
            pass

    def load_portion(self, tags: Sequence[str] | None = None) -> bool:
        """Read a part of what `load` reads; tell whether there was any."""
        missing = [tag for tag in (self if tags is None else tags) if tag not in self._read]
        if missing:
            self._read_first(missing)
        return bool(missing)

    def read(self, tag: str) -> Column:
        """Return a column with all that it holds."""
        if tag not in self._read:
            order = list(self)
            behind = [one for one in order[order.index(tag) :] if one not in self._read]
            self._read_first(behind[: self._ahead])
            self._ahead *= 2
        return self._read[tag]

    def _read_first(self, tags: list[str]) -> None:
        """Read the first of some columns and others along with it, unless another thread reads it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy or tags[0] in self._read)
            if tags[0] in self._read:
                return
            self._busy = True
        found: Mapping[str, Column] = {}
        try:
            found = self._portion([tag for tag in tags if tag not in self._read])
        finally:
            with self._changed:
                self._busy = False
                self._take(found)
                self._changed.notify_all()

    def _take(self, found: Mapping[str, Column]) -> None:
        self.nbytes += sum(map(nbytes, found.values()))
        self._read |= found


def read_ahead(columns: Sequence[LazyColumns]) -> None:
    """Read columns one after another in the background, for one who will ask for all of them, while they are in use."""
    Thread(target=_load, args=(list(map(weakref.ref, columns)),), daemon=True).start()


def _load(columns: Sequence[weakref.ref[LazyColumns]]) -> None:
    with contextlib.suppress(Exception):  # who asks for what cannot be read will be told
        for one in columns:
            while (in_use := one()) is not None and in_use.load_portion():
                del in_use  # newer ones may take its place
