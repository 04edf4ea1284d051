"""The scalars of a file to arrays, many events at once.

Events of the same length are compared in machine words: those whose bytes are the same but for wall time, step and numbers share
a layout, which is found once, and all their numbers are taken as columns. Every record's checksum is computed on the way. What
does not fit, or is alone, is left to whoever reads message by message; nothing depends on who wrote the file.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from multiboard.checksums import contributions
from multiboard.layouts import Layout, Series, scalar_layout
from multiboard.records import OVERHEAD, crc32c, mask_crcs, payload_damage
from multiboard.rows import Rows, padded_varints

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from multiboard.records import Damage

_HEADER: Final = OVERHEAD - 4
_SHORTEST, _LONGEST = 16, 4096
"""Payload bytes of events that are read together."""
_FEWEST: Final = 4
"""Equal events from which on reading them together is faster."""
_WORDS: Final = 1 << 19
"""Machine words that are looked at in one go, so that they stay in the cache."""
_LAYOUTS: Final = 16
"""Layouts that are tried for events of one length."""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points of one tag.

    Attributes:
        series: what the events say about the tag.
        record: int64 `[n]`, offsets of the records.
        step: int64 `[n]`.
        wall_time: float64 `[n]`.
        value: float32 or float64 `[n]`, as in the file.
    """

    series: Series
    record: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    wall_time: npt.NDArray[np.float64]
    value: npt.NDArray[Any]


def scalar_columns(
    data: bytes, records: npt.NDArray[np.int64], damage: list[Damage], fewest: int = _FEWEST
) -> tuple[list[Points], npt.NDArray[np.int64]]:
    """Take the scalars that can be read together.

    Args:
        data: the content of a file.
        records: offsets of all its records, ascending, as `multiboard.records.walk` returns them.
        damage: receives one entry per record that was taken and has the wrong checksum.
        fewest: records of one length from which on they are looked at.

    Returns:
        The points, and the offsets of all records that were not looked at, ascending.
    """
    points: list[Points] = []
    rest: list[npt.NDArray[np.int64]] = []
    for length, group in _by_length(data, records):
        if len(group) >= fewest and _SHORTEST <= length <= _LONGEST:
            group = _read_length(data, group, length, points, damage)  # noqa: PLW2901  # what is left of it
        rest.append(group)
    return points, np.sort(np.concatenate(rest)) if rest else records


def _by_length(data: bytes, records: npt.NDArray[np.int64]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    if not len(records):
        return
    lengths = Rows(data, records).take(0, "<i8")
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=-1))
    for begin, group in zip(begins, np.split(records[order], begins[1:]), strict=True):
        yield int(ordered[begin]), group


def _read_length(
    data: bytes, group: npt.NDArray[np.int64], length: int, points: list[Points], damage: list[Damage]
) -> npt.NDArray[np.int64]:
    """Take the scalars among records of one length; return the offsets of the others."""
    left: list[npt.NDArray[np.int64]] = []
    tried: set[Layout] = set()
    while len(tried) < _LAYOUTS:
        layout = _sampled_layout(data, group, length, tried)
        if layout is None:
            break
        tried.add(layout)
        table = _Table(data, layout, length)
        parts = [table.read(group[begin : begin + table.size], damage) for begin in range(0, len(group), table.size)]
        points += [one for part in parts for one in part.points]
        left += [part.left for part in parts]
        group = np.concatenate([part.other for part in parts])
    return np.concatenate([group, *left])


def _sampled_layout(data: bytes, group: npt.NDArray[np.int64], length: int, tried: set[Layout]) -> Layout | None:
    """Return the first layout that was not tried among those of a few records."""
    count = 1 + len(group).bit_length() // 2 if len(group) >= _FEWEST else 0
    for offset in group[np.linspace(0, len(group) - 1, count).astype(int)].tolist():
        found = scalar_layout(data[offset + _HEADER : offset + _HEADER + length])
        if found and found[0] not in tried:
            return found[0]
    return None


class _Read(NamedTuple):
    """What became of a part of the records: points, and the offsets of others.

    Attributes:
        points: that were taken.
        other: offsets of records that may have another layout.
        left: offsets of records for which this is not the way.
    """

    points: list[Points]
    other: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]


class _Table:
    """Reads events of one length and one layout.

    Args:
        data: the content of the file.
        layout: of the events.
        length: of their payloads.
    """

    def __init__(self, data: bytes, layout: Layout, length: int) -> None:
        self._data, self._layout, self._length = data, layout, length
        self._changing = [(layout.time, 8), (layout.step, layout.width), *((p.offset, p.size) for p in layout.places)]
        fixed = np.full(length, 0xFF, np.uint8)
        for begin, size in self._changing:
            fixed[begin : begin + size] = 0
        self._offsets = [*range(0, length - 8, 8), length - 8]  # the last two words may overlap
        self._masks = [fixed[offset : offset + 8].view("<u8")[0] for offset in self._offsets]
        self._factors = [np.uint64(secrets.randbits(64) | 1) for _ in self._offsets]
        self._known: dict[bytes, tuple[Series, ...] | None] = {}
        self.size = max(256, min(65536, _WORDS // len(self._offsets)))

    def read(self, at: npt.NDArray[np.int64], damage: list[Damage]) -> _Read:
        """Take the events that have the layout and occur often enough.

        Args:
            at: offsets of at most `size` records.
            damage: receives one entry per wrong checksum.
        """
        step_word = Rows(self._data, at).take(_HEADER + self._layout.step, "<u8")
        step, regular = padded_varints(step_word, self._layout.width)
        other = at[:0]
        if not regular.all():
            other, at, step, step_word = at[~regular], at[regular], step[regular], step_word[regular]
        if not len(at):
            return _Read([], other, at)
        rows = Rows(self._data, at)
        words = self._words(rows)
        first, group = self._groups(words)
        if not len(first):
            return _Read([], np.concatenate([other, at]), at[:0])
        series = [self._series(words[:, i], int(at[i])) for i in first]
        elsewhere = np.array([*(one is None for one in series), True])[group]
        taken = np.array([*map(bool, series), False])[group]
        taken &= np.logical_and.reduce([word == word[first][group] for word in words])
        fixed = np.array([*(crc32c(self._joined(words[:, i])) for i in first), 0], np.uint32)
        time = rows.take(_HEADER + self._layout.time, "<f8")
        numbers = [rows.take(_HEADER + place.offset, place.format) for place in self._layout.places]
        intact = self._intact(rows, at, fixed[group], [time, step_word, *numbers])
        damage.extend(payload_damage(self._data, offset) for offset in at[taken & ~intact].tolist())
        points = _points(at, step, time, numbers, np.where(taken & intact, group, -1), series)
        return _Read(points, np.concatenate([other, at[elsewhere]]), at[~(taken | elsewhere)])

    def _words(self, rows: Rows) -> npt.NDArray[np.uint64]:
        """Return the bytes of the events without those that change, by word and record."""
        words = np.empty((len(self._offsets), len(rows)), np.uint64)
        for word, offset, mask in zip(words, self._offsets, self._masks, strict=True):
            np.bitwise_and(rows.take(_HEADER + offset, "<u8"), mask, out=word)
        return words

    def _groups(self, words: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Return the first record of each large group of equal events, and the group of each record, -1 in small ones.

        Equality is that of a random hash here.
        """
        key = np.zeros(words.shape[1], np.uint64)
        for word, factor in zip(words, self._factors, strict=True):
            key += word * factor
        _, first, group, counts = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
        large = counts >= _FEWEST
        number = np.where(large, np.cumsum(large) - 1, -1)
        return first[large], number[group]

    def _joined(self, words: npt.NDArray[np.uint64]) -> bytes:
        """Return the payload of an event without the bytes that change."""
        return words[:-1].tobytes()[: self._length - 8] + words[-1:].tobytes()

    def _series(self, words: npt.NDArray[np.uint64], offset: int) -> tuple[Series, ...] | None:
        """Return what the numbers of an event are, () if it is not of plain scalars, None if its layout is another."""
        key = words.tobytes()
        if key not in self._known:
            begin = offset + _HEADER
            found = scalar_layout(self._data[begin : begin + self._length])
            self._known[key] = () if not found else found[1] if found[0] == self._layout else None
        return self._known[key]

    def _intact(
        self, rows: Rows, at: npt.NDArray[np.int64], fixed: npt.NDArray[np.uint32], changing: list[npt.NDArray[Any]]
    ) -> npt.NDArray[np.bool_]:
        """Tell which records have the right checksum, given that of their fixed bytes, and the bytes that change."""
        if sum(size for _, size in self._changing) <= _LOOKUPS:
            pieces = [
                (words.view(np.uint8).reshape(len(at), -1)[:, :size], self._length - offset - size)
                for words, (offset, size) in zip(changing, self._changing, strict=True)
            ]
            computed = fixed ^ contributions(pieces, len(at))
        else:
            begins = (at + _HEADER).tolist()
            checksums = (crc32c(self._data[begin : begin + self._length]) for begin in begins)
            computed = np.fromiter(checksums, np.uint32, len(at))
        intact: npt.NDArray[np.bool_] = mask_crcs(computed) == rows.take(_HEADER + self._length, "<u4")
        return intact


def _points(
    at: npt.NDArray[np.int64],
    step: npt.NDArray[np.int64],
    time: npt.NDArray[np.float64],
    numbers: list[npt.NDArray[Any]],
    group: npt.NDArray[np.intp],
    series: list[tuple[Series, ...] | None],
) -> list[Points]:
    """Return the columns of each group of events; group -1 is left out."""
    order = np.argsort(group.astype(np.int16 if len(series) < 1 << 15 else np.int64), kind="stable")
    ends = np.searchsorted(group[order], np.arange(len(series)), side="right").tolist()
    begins = [int(np.count_nonzero(group < 0)), *ends[:-1]]
    record, step, time = at[order], step[order], time[order]
    points = []
    for column, number in enumerate(numbers):
        value = number[order]
        points += [
            Points(one[column], record[b:e], step[b:e], time[b:e], value[b:e])
            for one, b, e in zip(series, begins, ends, strict=True)
            if one and e > b
        ]
    return points


_LOOKUPS: Final = 64
"""Changing bytes up to which table look-ups are faster than a checksum over the whole record."""
