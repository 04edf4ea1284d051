"""Scalars of many steps to framed records at once: the path of nearly everything that a training loop logs.

Events with the same tags have the same bytes but for wall time, step, numbers and checksum, if the step's varint has a fixed
width (protobuf readers accept padded ones). So a batch is a table of bytes with one row per record, filled column by column.
"""

from __future__ import annotations

import math
import struct
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard import checksums
from multiboard.records import OVERHEAD, crc32c, frame, frame_header, mask_crcs
from multiboard.values import Scalars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from multiboard.encode import ScalarsTemplate
    from multiboard.protocols import Logged

SMALLEST_TABLE: Final = 64
"""Records from which on a table is faster than one record after the other, also where others use the caches between two."""
_MAX_STEP: Final = 2**35
_TIME, _STEP = 13, 22
"""Offsets in a framed record: frame header 12 bytes, then the tag bytes of wall time and of step before each."""
_PAYLOAD: Final = OVERHEAD - 4
_LOOKED_UP: Final = 4096
"""Bytes of a record up to which its checksum is looked up; the tables grow with the distance."""
_ROWS_PER_COLUMN, _MOST_COLUMNS = 8, 30
"""Records for each byte that varies in one, from which on looking checksums up is faster than computing them, and such bytes up
to which it is: those of five scalars."""

Key = str | tuple[str, ...]
"""The tag of a single scalar, or the tags of a dict."""
_value, _step, _time = map(itemgetter, range(1, 4))


def tags_of(key: Key) -> tuple[str, ...]:
    """Return the tags of a key."""
    return key if isinstance(key, tuple) else (key,)


def batches(logged: Iterable[Logged]) -> Iterator[tuple[Key, list[Logged]]]:
    """Yield the calls with the same tags together, as far as every tag keeps the order of its calls.

    A call whose tags occur in other sets of tags, and one whose numbers may have to be fetched, ends what was begun before.
    """
    groups: dict[Key, list[Logged]] = {}
    begun: dict[object, Callable[[Logged], None]] = {}  # by the tag of a single scalar: how to add to its group
    grouped: set[str] = set()
    for record in logged:
        tags = record[0]
        if type(tags) is str and (add := begun.get(tags)) is not None:
            add(record)
            continue
        is_scalars = type(record) is Scalars
        key: Key = tuple(tags) if type(tags) is dict else tags  # type: ignore[assignment]
        if is_scalars or (key not in groups and not grouped.isdisjoint(tags_of(key))):
            yield from groups.items()
            groups, begun, grouped = {}, {}, set()
        if is_scalars:
            yield key, [record]
            continue
        group = groups.get(key)
        if group is None:
            grouped.update(tags_of(key))
            group = groups[key] = []
            begun[key] = group.append
        group.append(record)
    yield from groups.items()


def as_scalars(record: Logged) -> Scalars:
    """Return the numbers of one call as a record."""
    if type(record) is Scalars:
        return record
    tags, value, step, wall_time = record
    if type(tags) is dict:
        return Scalars(tuple(tags), tuple(tags.values()), step, wall_time)
    return Scalars(tags_of(tags), (value,), step, wall_time)  # type: ignore[arg-type]


def frame_each(template: ScalarsTemplate, records: Sequence[Logged]) -> bytes | None:
    """Return the framed records of a few calls that share their tags, or None if they need to be looked at one by one.

    Args:
        template: of the tags, without metadata.
        records: all with the tags of the template, and with numbers.

    Returns:
        None if a number is still pending, not finite or beyond float32.
    """
    framed = []
    try:
        for tags, value, step, wall_time in records:
            values: Any = tags.values() if type(tags) is dict else (value,)
            numbers = tuple(map(float, values))
            if not math.isfinite(sum(numbers)):  # only a suspicion: finite numbers may have an infinite sum
                return None
            framed.append(frame(template.event(numbers, step, wall_time)))
    except (OverflowError, TypeError, ValueError, struct.error):
        return None
    return b"".join(framed)


def fill_table(template: ScalarsTemplate, records: Sequence[Logged]) -> bytes | None:
    """Return the framed records of calls that share their tags, or None if they need to be looked at one by one.

    Args:
        template: of the tags, without metadata.
        records: all with the tags of the template.

    Returns:
        None if a number is still pending, not finite or beyond float32, or a step is negative or at least 2**35.
    """
    count = len(records)
    try:
        steps = np.fromiter(map(_step, records), np.int64, count)
        numbers = np.fromiter(_numbers(records), np.float64, count * len(template.tags))
    except (AttributeError, OverflowError, TypeError, ValueError):
        return None
    largest = int(steps.max())
    with np.errstate(over="ignore"):
        packed = numbers.astype("<f4")
    if steps.min() < 0 or largest >= _MAX_STEP or not np.isfinite(packed).all():
        return None
    width = max(1, -(-largest.bit_length() // 7))
    times = np.fromiter(map(_time, records), "<f8", count)
    return layout_of(template, width).fill(varying_bytes(times, steps, width, packed.reshape(count, -1)))


def _numbers(records: Sequence[Logged]) -> Iterator[float]:
    if type(records[0][0]) is dict:
        return chain.from_iterable([record[0].values() for record in records])  # type: ignore[union-attr]
    return map(_value, records)


def varying_bytes(
    times: npt.NDArray[np.float64], steps: npt.NDArray[np.int64], width: int, numbers: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8]:
    """Return what `Layout.fill` takes.

    Args:
        times: seconds since the epoch, `[n]`.
        steps: of 0 and more, `[n]`.
        width: bytes of each step.
        numbers: `[n, k]`, in the order of the tags.
    """
    return np.concatenate([_bytes(times, 8), _padded_varints(steps, width), _bytes(numbers, 4 * numbers.shape[1])])


def _bytes(numbers: npt.NDArray[np.floating], size: int) -> npt.NDArray[np.uint8]:
    """Return the bytes of rows of numbers as columns `[size, n]`."""
    return numbers.view(np.uint8).reshape(-1, size).T


def _padded_varints(steps: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.uint8]:
    """Return the bytes of equally long varints as columns `[width, n]`."""
    groups = (steps >> np.arange(0, 7 * width, 7)[:, np.newaxis]) & 0x7F
    groups[:-1] |= 0x80
    return groups.astype(np.uint8)


def layout_of(template: ScalarsTemplate, width: int) -> Layout:
    """Return the layout of the records of a set of tags, which lives as long as its template.

    Args:
        template: of the tags.
        width: bytes of the step.
    """
    layout = template.layouts.get(width)
    if layout is None:
        layout = template.layouts[width] = Layout(template, width)
    return layout


class Layout:
    """Where the bytes that vary are in the records of one set of tags, and what they do to the checksum.

    Args:
        template: of the tags.
        width: bytes of the step.

    Attributes:
        record_bytes: of one framed record.
    """

    def __init__(self, template: ScalarsTemplate, width: int) -> None:
        event, offsets = template.fixed_width_event(width)
        self._blank = np.frombuffer(frame_header(len(event)) + event + bytes(4), np.uint8)
        self.record_bytes = len(self._blank)
        starts = [(_TIME, 8), (_STEP, width), *((_PAYLOAD + offset, 4) for offset in offsets)]
        self._varying = np.array([start + i for start, length in starts for i in range(length)])
        self._crc = crc32c(event)
        looked_up = len(event) <= _LOOKED_UP and len(self._varying) <= _MOST_COLUMNS
        self._least_rows = _ROWS_PER_COLUMN * len(self._varying) if looked_up else math.inf

    def fill(self, varying: npt.NDArray[np.uint8]) -> bytes:
        """Return the records as bytes; `varying` are their varying bytes `[k, n]`, in the order of the offsets."""
        table = np.tile(self._blank, (varying.shape[1], 1))
        table[:, self._varying] = varying.T
        table[:, -4:] = mask_crcs(self._checksums(table, varying)).view(np.uint8).reshape(-1, 4)
        return table.tobytes()

    def _checksums(self, table: npt.NDArray[np.uint8], varying: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
        end = self.record_bytes - 4
        if len(table) < self._least_rows:
            data = table.tobytes()
            starts = range(0, len(data), self.record_bytes)
            return np.array([crc32c(data[start + _PAYLOAD : start + end]) for start in starts], np.uint32)
        found = np.full(len(table), self._crc, np.uint32)
        for position, column in zip(self._varying.tolist(), varying, strict=True):
            found ^= checksums.table(end - 1 - position).take(column, mode="clip")  # a third of the time of indexing
        return found
