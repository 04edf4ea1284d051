"""The end of the pipeline: values of one run become framed events in one event file."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from multiboard import tags
from multiboard.arrays import fetch_scalar
from multiboard.captures import expand
from multiboard.encode import Encoder, float32
from multiboard.files import EventFile
from multiboard.records import frame
from multiboard.scalar_events import SMALLEST_TABLE, fill_table
from multiboard.values import PLAIN, Capture, Histogram, HParams, Image, Raw, Scalars, SessionEnd, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from multiboard.protocols import Logged
    from multiboard.reports import Reports
    from multiboard.values import Value

BACKLOG_BYTES: Final = 256 * 2**20
"""Framed bytes kept in memory while the disk refuses them; the oldest go first, and are counted."""
_WRITE_BYTES: Final = 2**20


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
        self._encoder = Encoder()
        self._reports = reports
        self._frames: deque[bytes] = deque()
        self._pending_bytes = 0
        self._nonfinite: Counter[str] = Counter()
        encoder = self._encoder
        self._encode: dict[type, Callable[..., bytes]] = {
            Histogram: encoder.histogram,
            Image: encoder.image,
            Text: encoder.text,
            HParams: encoder.hparams,
            SessionEnd: encoder.session_end,
            Raw: attrgetter("event"),
        }

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
        else:
            self._add(self._encode[type(value)](value))

    def _accept_scalars(self, value: Scalars) -> None:
        if not PLAIN.issuperset(map(type, value.values)):
            value = self._fetched(value)
        try:
            finite = math.isfinite(sum(value.values))  # False is only a suspicion: finite numbers may have an infinite sum
        except OverflowError:
            value = self._fetched(value)
            finite = False
        if not finite:
            value = self._with_nonfinite_counts(value)
        if value.tags:
            self._add(self._encode_scalars(value))

    def accept_scalars(self, logged: Sequence[Logged]) -> None:
        """Encode plain numbers of many calls: those with the same tags together, in the order of their calls."""
        groups: defaultdict[tuple[str, ...], list[Logged]] = defaultdict(list)
        for record in logged:
            groups[record[0]].append(record)
        for tags_of_group, records in groups.items():
            if len(records) >= SMALLEST_TABLE and self._accept_table(tags_of_group, records):
                continue
            for record in records:
                self._accept_scalars(Scalars(*record))

    def _accept_table(self, tags_of_group: tuple[str, ...], records: list[Logged]) -> bool:
        """Encode records that share their tags with one table; tell whether that could be done."""
        template = self._encoder.described_template(tags_of_group)
        if template is None:  # the metadata goes with the first event
            self._accept_scalars(Scalars(*records.pop(0)))
            template = self._encoder.described_template(tags_of_group)
        framed = template and fill_table(template, records)
        if framed:
            self._add_framed(framed)
        return bool(framed)

    def _encode_scalars(self, value: Scalars) -> bytes:
        try:
            return self._encoder.scalars(value)
        except OverflowError:
            numbers = tuple(map(float32, value.values))
            for tag, number, written in zip(value.tags, value.values, numbers, strict=True):
                if math.isinf(written) and math.isfinite(number):
                    self._say_overflow(tag, number, value.step)
            return self._encoder.scalars(value._replace(values=numbers))

    def _say_overflow(self, tag: str, number: float, step: int) -> None:
        message = (
            f"tag {tag!r} is {number!r} at step {step}, which float32 cannot hold; it is written as infinite. Scale it first."
        )
        self._reports.add(f"scalar {tag} beyond float32", message)

    def _fetched(self, value: Scalars) -> Scalars:
        """Bring all numbers to the host; one that cannot be read is reported, the others stay."""
        numbers: dict[str, float] = {}
        for tag, number in zip(value.tags, value.values, strict=True):
            try:
                numbers[tag] = fetch_scalar(number)
            except Exception as error:  # noqa: BLE001  # any framework's error: a donated buffer, a failed kernel
                self._reports.add(f"scalar {tag} unreadable", f"tag {tag!r} could not be read at step {value.step}: {error}")
        return value._replace(tags=tuple(numbers), values=tuple(numbers.values()))

    def _with_nonfinite_counts(self, value: Scalars) -> Scalars:
        """Add a running count for every metric that is not finite: charts hide such points, the count is seen."""
        bad = [tag for tag, number in zip(value.tags, value.values, strict=True) if not math.isfinite(number)]
        bad = [tag for tag in bad if not tag.startswith(("norm/", "nonfinite/"))]
        if not bad:
            return value
        self._nonfinite.update(bad)
        for tag in bad:
            self._reports.add(
                f"scalar {tag} not finite",
                f"tag {tag!r} is not finite at step {value.step}; it is written as it is and counted in {tags.nonfinite(tag)!r}.",
            )
        counts = [float(self._nonfinite[tag]) for tag in bad]
        return value._replace(tags=(*value.tags, *map(tags.nonfinite, bad)), values=(*value.values, *counts))

    def _add(self, event: bytes) -> None:
        self._add_framed(frame(event))

    def _add_framed(self, framed: bytes) -> None:
        self._frames.append(framed)
        self._pending_bytes += len(framed)
        if self._pending_bytes >= _WRITE_BYTES:
            self._write()

    def flush(self) -> None:
        """Write all that was accepted; what the disk refuses stays in memory for the next attempt."""
        if self._frames:
            self._write()

    def _write(self) -> None:
        batch: Sequence[bytes] = tuple(self._frames)
        try:
            self._file.append(b"".join(batch))
        except OSError as error:
            self._reports.add(
                f"write failed: {error.strerror}",
                f"{self._file.path} cannot be written ({error.strerror}); values stay in memory and are written when it can.",
            )
            self._bound_backlog()
        else:
            self._frames.clear()
            self._pending_bytes = 0

    def _bound_backlog(self) -> None:
        while self._pending_bytes > BACKLOG_BYTES:
            self._pending_bytes -= len(self._frames.popleft())
            self._reports.add(
                "record dropped",
                f"records for {self._file.path} are dropped: the disk refuses them and memory is full.",
            )

    def close(self) -> None:
        """Flush and close the file; says how many records the disk refused until the end."""
        self.flush()
        self._file.close()
        if self._frames:
            self._reports.add(
                "records lost",
                f"{len(self._frames)} records for {self._file.path} could not be written before the end.",
            )

    def abandon(self) -> None:
        """Let go of the file without writing: in a forked child it belongs to the parent."""
        self._frames.clear()
        self._file.close()
