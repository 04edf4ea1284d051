"""The records of one event file in the form that multiboard writes, part by part, so that a file may be larger than the memory.

Scalars, which are most records, are taken as columns and written as tables; every other record goes through the normaliser. Each
record stays where it was among the others.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from multiboard.columns import scalar_columns
from multiboard.encode import ScalarsTemplate, file_version, session_start
from multiboard.events import read_event
from multiboard.legacy.forms import float32_losses
from multiboard.records import Damage, frame, payload_at, payloads, walk
from multiboard.scalar_events import layout_of, varying_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from multiboard.columns import Points
    from multiboard.legacy import Normaliser, Say

_RECORDS, _BYTES = 1 << 15, 1 << 24
"""Records and bytes of a part."""
_FIRST_FEW: Final = 3
"""Records among which the start of a session is: two versions of the file may come first."""


class _Table(NamedTuple):
    """Framed records `[n, size]`, and the offsets of the records that they stand for."""

    rows: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]


class FileConverter:
    """Converts the files of one run, one after the other.

    Args:
        normaliser: of the run.
        say: receives what could not be kept as it was.
        starts: whether the run begins in these files. Of files that come to those of another run the starts of sessions are left
            out: TensorBoard's Python reader would drop what the other ones hold.

    Attributes:
        events: records that were written so far, without those that begin a file.
    """

    def __init__(self, normaliser: Normaliser, say: Say, *, starts: bool = True) -> None:
        self.events = 0
        self._starts = starts
        self._normaliser = normaliser
        self._say = say
        self._templates: dict[tuple[str, ...], ScalarsTemplate] = {}

    def records(self, data: bytes, damage: list[Damage], *, first: bool) -> Iterator[bytes]:
        """Yield the framed records of a new file.

        Args:
            data: content of the old one; a file that is mapped into memory is read like bytes.
            damage: receives the places that could not be read.
            first: it is the first file of the run, which begins at step 0 unless it says another start.
        """
        self._normaliser.begin_file()
        offsets = walk(data, damage)
        payloads = [payload for offset in offsets[:_FIRST_FEW].tolist() if (payload := payload_at(data, offset))]
        time = _wall_time(payloads)
        yield frame(file_version(time))
        if first and not any(map(_is_start, payloads)):
            yield frame(session_start(time, 0))
        begin = 0
        while begin < len(offsets):
            near = int(np.searchsorted(offsets, offsets[begin] + _BYTES))
            end = max(begin + 1, min(begin + _RECORDS, near))
            yield from self._part(data, offsets[begin:end], damage)
            begin = end

    def _part(self, data: bytes, offsets: npt.NDArray[np.int64], damage: list[Damage]) -> Iterator[bytes]:
        with np.errstate(over="ignore", invalid="ignore"):  # signalling NaNs and doubles where floats belong are data
            points, rest = scalar_columns(data, offsets, damage)
            groups = _groups(points)
            first = [group[0].record[:1] for group in groups if not self._goes_on(group)]
            begun = {int(record[0]) for record in first}
            singles = self._singles(data, np.sort(np.concatenate([rest, *first])), damage)
            tables = []
            for group in groups:
                record = group[0].record
                begin = int(int(record[0]) in begun)
                if self._goes_on(group):
                    tables += [self._table(group, begin)] if begin < len(record) else []
                else:
                    singles |= self._singles(data, record[begin:], damage)
        self.events += len(singles) + sum(len(table.offsets) for table in tables)
        yield from (_merged(singles, tables) if tables else (singles[offset] for offset in sorted(singles)))

    def _goes_on(self, group: list[Points]) -> bool:
        """Tell whether events only add numbers to scalars that are described."""
        return all(self._normaliser.has_described_scalar(self._normaliser.new_tag(points.series.tag)) for points in group)

    def _singles(self, data: bytes, offsets: npt.NDArray[np.int64], damage: list[Damage]) -> dict[int, bytes]:
        """Return framed records by the offset of the old one."""
        singles: dict[int, bytes] = {}
        for offset, payload in payloads(data, offsets, damage):
            try:
                event = self._normaliser.event(payload)
            except ValueError as error:
                damage.append(Damage(offset, f"a record is no Event: {error}"))
                continue
            if event and (self._starts or not _is_start(event)):
                singles[offset] = frame(event)
        return singles

    def _table(self, group: list[Points], begin: int) -> _Table:
        """Return the records of a group from one on."""
        tags = tuple(self._normaliser.new_tag(points.series.tag) for points in group)
        numbers = np.empty((len(group[0].record) - begin, len(group)), np.float32)
        for column, points in enumerate(group):
            numbers[:, column] = points.value[begin:].astype("<f4")
            for (cause, rest), count in float32_losses(points.value[begin:], numbers[:, column]):
                self._say(cause, f"tag {points.series.tag!r} {rest}", count)
        self._normaliser.counts["scalar"] += numbers.size
        steps = group[0].step[begin:]
        width = max(1, -(-int(steps.max()).bit_length() // 7))
        layout = layout_of(self._template(tags), width)
        rows = layout.fill(varying_bytes(group[0].wall_time[begin:], steps, width, numbers))
        return _Table(np.frombuffer(rows, np.uint8).reshape(len(steps), -1), group[0].record[begin:])

    def _template(self, tags: tuple[str, ...]) -> ScalarsTemplate:
        if tags not in self._templates:
            if len(self._templates) >= _TEMPLATES:
                self._templates.clear()
            self._templates[tags] = ScalarsTemplate(tags, ())
        return self._templates[tags]


_TEMPLATES: Final = 1024


def _groups(points: list[Points]) -> list[list[Points]]:
    """Return the columns of the same events together, in the order in which the events begin."""
    groups: dict[int, list[Points]] = {}
    for one in points:
        groups.setdefault(int(one.record[0]), []).append(one)
    return [groups[offset] for offset in sorted(groups)]


def _merged(singles: dict[int, bytes], tables: list[_Table]) -> Iterator[bytes]:
    """Yield the records in the order of their offsets."""
    offsets = np.concatenate([np.fromiter(singles, np.int64, len(singles)), *(table.offsets for table in tables)])
    sizes = [np.fromiter(map(len, singles.values()), np.int64, len(singles))]
    sizes += [np.full(len(table.offsets), table.rows.shape[1], np.int64) for table in tables]
    size = np.concatenate(sizes)
    order = np.argsort(offsets)
    begins = np.empty_like(size)
    begins[order] = np.cumsum(size[order]) - size[order]
    out = np.empty(int(size.sum()), np.uint8)
    for begin, record in zip(begins.tolist(), singles.values(), strict=False):
        out[begin : begin + len(record)] = np.frombuffer(record, np.uint8)
    last = len(singles)
    for rows, table_offsets in tables:
        at = begins[last : last + len(table_offsets)]
        out[at[:, np.newaxis] + np.arange(rows.shape[1])] = rows
        last += len(table_offsets)
    yield out.tobytes()


def _wall_time(payloads: list[bytes]) -> float:
    """Return when the first event of a file was written."""
    for payload in payloads[:1]:
        with contextlib.suppress(ValueError):
            return read_event(payload).wall_time
    return 0.0


def _is_start(payload: bytes) -> bool:
    try:
        return read_event(payload).session_start
    except ValueError:
        return False
