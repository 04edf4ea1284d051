"""The step at which a directory leaves off, for a run that goes on there.

No value is decoded and no protobuf is imported: this runs when a training starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard.events import read_event
from multiboard.files import is_event_file, is_locked, read_again
from multiboard.records import OVERHEAD, payload_at, walk
from multiboard.rows import Rows, padded_varints

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

_STEP: Final = OVERHEAD - 4 + 10
"""Offset of the step in a record whose event begins with wall time and step, as all writers do it."""
_TIME_AND_STEP: Final = np.uint64(0x09), np.uint64(0x10)
_SUMMARY, _GRAPH = 0x2A, 0x22
"""Keys of the fields that hold something to go on from."""
_SESSION: Final = b"_hparams_/session_"
"""Of the tags that say when a run began and ended; they are at step 0, where nothing may have been logged yet."""
_SHORTEST: Final = 32
"""Bytes of a record from which on it has a word at its step."""
_WIDEST: Final = 5


def last_step(directory: Path, *, live: bool = True) -> int | None:
    """Return the largest step of any value or graph in the event files of one directory.

    Damaged records do not count, nor does what lies in directories below.

    Args:
        directory: of a run; it need not exist.
        live: False leaves out files that somebody writes at the moment.

    Returns:
        None if there is no such event.
    """
    if not directory.is_dir():
        return None
    return read_again(lambda: _last_step(directory, live))


def _last_step(directory: Path, live: bool) -> int | None:
    files = [file for file in directory.iterdir() if is_event_file(file) and (live or not is_locked(str(file)))]
    steps = [last_step_of(file.read_bytes()) for file in files]
    return max((step for step in steps if step is not None), default=None)


def last_step_of(data: bytes) -> int | None:
    """Return the largest step of any value or graph in the content of an event file; None if there is none."""
    records = walk(data, [])
    step, known = _plain_steps(data, records)
    candidates = [_true_step(data, offset) for offset in records[~known].tolist()]
    best = max((one for one in candidates if one is not None), default=None)
    records, step = records[known], step[known]
    for i in np.argsort(step)[::-1].tolist():
        if best is not None and step[i] <= best:
            break
        found = _true_step(data, int(records[i]))
        best = found if best is None or (found is not None and found > best) else best
    return best


def _plain_steps(data: bytes, records: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the steps of records that begin with wall time, step and values or graph, and which records these are."""
    step = np.zeros(len(records), np.int64)
    known = np.zeros(len(records), bool)
    candidates = np.flatnonzero(Rows(data, records).take(0, "<i8") >= _SHORTEST - OVERHEAD) if len(records) else records[:0]
    rows = Rows(data, records[candidates])
    if not len(rows):
        return step, known
    begins = (rows.take(_STEP - 10, "u1") == _TIME_AND_STEP[0]) & (rows.take(_STEP - 1, "u1") == _TIME_AND_STEP[1])
    word = rows.take(_STEP, "<u8")
    for width in range(1, _WIDEST + 1):
        value, whole = padded_varints(word, width)
        key = word >> np.uint64(8 * width) & np.uint64(0xFF)
        fits = begins & whole & ((key == np.uint64(_SUMMARY)) | (key == np.uint64(_GRAPH)))
        step[candidates[fits]] = value[fits]
        known[candidates[fits]] = True
    return step, known


def _true_step(data: bytes, offset: int) -> int | None:
    """Return the step of a record, None if it is damaged or holds neither value nor graph of a step."""
    payload = payload_at(data, offset)
    if payload is None:
        return None
    try:
        event = read_event(payload)
    except ValueError:
        return None
    counts = event.graph or any(_SESSION not in payload[begin:end] for begin, end in event.values)
    return event.step if counts else None
