"""The end of the pipeline: values of one run become framed events in one event file."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, cast

from multiboard import tags
from multiboard.arrays import fetch_scalar
from multiboard.backlog import Backlog
from multiboard.captures import expand
from multiboard.encode import Encoder, float32
from multiboard.files import EventFile
from multiboard.records import frame
from multiboard.scalar_events import SMALLEST_TABLE, fill_table
from multiboard.values import PLAIN, Capture, Histogram, HParams, Image, Raw, Scalars, SessionEnd, Summary, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from multiboard.protocols import Logged
    from multiboard.reports import Reports
    from multiboard.values import Derived, Value

_ENCODERS: Final[dict[type, Callable[..., bytes]]] = {
    Histogram: Encoder.histogram,
    Image: Encoder.image,
    Text: Encoder.text,
    HParams: Encoder.hparams,
    SessionEnd: Encoder.session_end,
    Summary: Encoder.summary,
}


class EventSink:
    """Encodes values of one run into its live event file.

    Args:
        log_dir: the run directory.
        reports: receives everything that could not be written.
        first_step, suffix: of the event file.

    Raises:
        LogDirError: the directory cannot be written.
    """

    def __init__(self, log_dir: Path, reports: Reports, *, first_step: int | None = 0, suffix: str = "") -> None:
        self._file = EventFile(log_dir, first_step, suffix)
        self._backlog = Backlog(self._file, reports)
        self._encoder = Encoder()
        self._reports = reports
        self._nonfinite: Counter[str] = Counter()

    def accept(self, value: Value) -> None:
        """Encode one value into memory; values that are still pending are waited for.

        Raises:
            Exception: whatever the value itself causes, e.g. a deleted device buffer.
        """
        if type(value) is Scalars:
            self._accept_scalars(value)
        elif type(value) is Capture:
            for part in expand(value):
                self.accept(part)
        elif type(value) is Raw:
            self._add(value.event)
        elif encode := _ENCODERS.get(type(value)):
            self._add(encode(self._encoder, value))
        else:
            for value_of_kind in cast("Derived", value).expand():
                self.accept(value_of_kind)

    def _accept_scalars(self, value: Scalars) -> None:
        if not PLAIN.issuperset(map(type, value.values)):
            value = self._fetched(value)
        numbers = tuple(map(float32, value.values))
        finite = math.isfinite(sum(numbers))  # False is only a suspicion: finite numbers may have an infinite sum
        value = value._replace(values=numbers) if finite else self._with_nonfinite_counts(value, numbers)
        if value.tags:
            self._add(self._encoder.scalars(value))

    def accept_scalars(self, logged: Sequence[Logged]) -> None:
        """Encode plain numbers of many calls: those with the same tags together, every tag in the order of its calls."""
        for records in _batches(logged):
            if len(records) < SMALLEST_TABLE or not self._accept_table(records):
                for record in records:
                    self._accept_scalars(Scalars(*record))

    def _accept_table(self, records: list[Logged]) -> bool:
        """Encode records that share their tags with one table; tell whether that could be done."""
        tags_of_all = records[0][0]
        template = self._encoder.described_template(tags_of_all)
        if template is None:  # the metadata goes with the first event
            self._accept_scalars(Scalars(*records.pop(0)))
            template = self._encoder.described_template(tags_of_all)
        framed = template and fill_table(template, records)
        if framed:
            self._add_framed(framed)
        return bool(framed)

    def _fetched(self, value: Scalars) -> Scalars:
        """Bring all numbers to the host; one that cannot be read is reported, the others stay."""
        numbers: dict[str, float] = {}
        for tag, number in zip(value.tags, value.values, strict=True):
            try:
                numbers[tag] = fetch_scalar(number)
            except Exception as error:  # noqa: BLE001  # any framework's error: a donated buffer, a failed kernel
                self._reports.add(f"scalar {tag} unreadable", f"tag {tag!r} could not be read at step {value.step}: {error}")
        return value._replace(tags=tuple(numbers), values=tuple(numbers.values()))

    def _with_nonfinite_counts(self, value: Scalars, numbers: tuple[float, ...]) -> Scalars:
        """Add a running count for every metric that is not finite: charts hide such points, the count is seen.

        Args:
            value: as logged.
            numbers: the same numbers as float32.
        """
        bad = {
            tag: logged
            for tag, logged, number in zip(value.tags, value.values, numbers, strict=True)
            if not math.isfinite(number) and not tag.startswith(("norm/", "nonfinite/"))
        }
        self._nonfinite.update(bad.keys())
        for tag, logged in bad.items():
            beyond = isinstance(logged, int) or math.isfinite(logged)
            what = f"is {logged!r:.50}, which float32 cannot hold," if beyond else "is not finite"
            counted = tags.nonfinite(tag)
            message = f"tag {tag!r} {what} at step {value.step}; it is written as {float32(logged)} and counted in {counted!r}."
            self._reports.add(f"scalar {tag} {'beyond float32' if beyond else 'not finite'}", message)
        counts = [float(self._nonfinite[tag]) for tag in bad]
        return value._replace(tags=(*value.tags, *map(tags.nonfinite, bad)), values=(*numbers, *counts))

    def _add(self, event: bytes) -> None:
        self._add_framed(frame(event))

    def _add_framed(self, framed: bytes) -> None:
        if not self._backlog.add(framed):
            self._encoder = Encoder()  # the metadata of a tag may have been among the dropped records

    def flush(self) -> bool:
        """Write all that was accepted; what the disk refuses stays in memory for the next attempt."""
        return self._backlog.flush()

    def close(self) -> None:
        """Flush and close the file; says how many records the disk refused until the end."""
        self._backlog.close()
        self._file.close()

    def abandon(self) -> None:
        """Let go of the file without writing: in a forked child it belongs to the parent."""
        self._backlog.clear()
        self._file.close()


def open_sink(log_dir: Path, reports: Reports) -> EventSink:
    """Open a sink that starts at step 0, or goes on if this process has written into the directory before.

    A new process that opens an old directory starts over, and TensorBoard shows what it writes. The same process that opens
    it again (a second `fit`, a child run for each evaluation) adds to what is there.
    """
    known = str(log_dir.absolute())
    sink = EventSink(log_dir, reports, first_step=None if known in _written else 0)
    _written.add(known)
    return sink


_written: Final[set[str]] = set()


def _batches(logged: Sequence[Logged]) -> Iterator[list[Logged]]:
    """Yield the calls with the same tags together; if a tag occurs in several sets of tags, only those in a row."""
    groups: defaultdict[tuple[str, ...], list[Logged]] = defaultdict(list)
    for record in logged:
        groups[record[0]].append(record)
    if sum(map(len, groups)) == len(set().union(*groups)):
        yield from groups.values()
    else:
        for _, in_a_row in groupby(logged, key=itemgetter(0)):
            yield list(in_a_row)
