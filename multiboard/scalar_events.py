"""Scalars of many steps to framed records at once: the path of nearly everything that a training loop logs.

Events with the same tags have the same bytes but for wall time, step, numbers and checksum, if the step's varint has a fixed
width (protobuf readers accept padded ones). So a batch is a table of bytes with one row per record, filled column by column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard.records import OVERHEAD, crc32c, frame_header, mask_crcs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from multiboard.encode import ScalarsTemplate
    from multiboard.protocols import Logged

SMALLEST_TABLE: Final = 8
"""Records from which on a table is faster than one record after the other."""
_MAX_STEP: Final = 2**35
_TIME, _STEP = 13, 22
"""Offsets in a framed record: frame header 12 bytes, then the tag bytes of wall time and of step before each."""


def fill_table(template: ScalarsTemplate, records: Sequence[Logged]) -> bytes | None:
    """Return the framed records of events that share their tags, or None if they need to be looked at one by one.

    Args:
        template: of the tags, without metadata.
        records: all with the tags of the template.

    Returns:
        None if a number is not finite or beyond float32, or a step is negative or at least 2**35.
    """
    steps = [record[2] for record in records]
    largest = max(steps)
    if min(steps) < 0 or largest >= _MAX_STEP:
        return None
    try:
        numbers = np.array([record[1] for record in records], np.float64)
    except OverflowError:
        return None
    with np.errstate(over="ignore"):
        packed = numbers.astype("<f4")
    if not np.isfinite(packed).all():
        return None
    width = max(1, -(-largest.bit_length() // 7))
    table, offsets = _blank_table(template, len(records), width)
    table[:, _TIME : _TIME + 8] = np.array([record[3] for record in records], "<f8").view(np.uint8).reshape(-1, 8)
    table[:, _STEP : _STEP + width] = _padded_varints(steps, width)
    for column, offset in enumerate(offsets):
        table[:, offset : offset + 4] = packed[:, column].copy().view(np.uint8).reshape(-1, 4)
    _fill_checksums(table)
    return table.tobytes()


def _blank_table(template: ScalarsTemplate, rows: int, width: int) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Return a table of equal records and the offsets of their numbers."""
    event, offsets = template.fixed_width_event(width)
    record = frame_header(len(event)) + event + bytes(4)
    start = OVERHEAD - 4
    return np.tile(np.frombuffer(record, np.uint8), (rows, 1)), [start + offset for offset in offsets]


def _padded_varints(steps: Sequence[int], width: int) -> npt.NDArray[np.uint8]:
    shifts = np.arange(0, 7 * width, 7)
    groups = (np.array(steps, np.int64)[:, np.newaxis] >> shifts) & 0x7F
    groups[:, :-1] |= 0x80
    return groups.astype(np.uint8)


def _fill_checksums(table: npt.NDArray[np.uint8]) -> None:
    rows, length = table.shape
    data = table[:, OVERHEAD - 4 : length - 4].tobytes()
    size = length - OVERHEAD
    checksums: Any = np.fromiter((crc32c(data[i : i + size]) for i in range(0, rows * size, size)), np.uint32, rows)
    table[:, length - 4 :] = mask_crcs(checksums).view(np.uint8).reshape(-1, 4)
