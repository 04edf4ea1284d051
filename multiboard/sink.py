"""The end of the pipeline: values of one run become events in its live event file."""

from __future__ import annotations

import math
import os
from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, Final, cast

from multiboard import tags
from multiboard.arrays import fetch_array, fetch_numbers, fetch_scalar, transfers_allowed
from multiboard.captures import expand
from multiboard.device_waits import DeviceWaits
from multiboard.encode import Encoder, float32
from multiboard.event_writer import EventWriter, FileOptions
from multiboard.media_budget import MediaBudget
from multiboard.scalar_events import SMALLEST_TABLE, as_scalars, batches, fill_table, frame_each, tags_of
from multiboard.session_guard import SessionGuard
from multiboard.values import PLAIN, Capture, Histogram, HParams, Image, Raw, Row, Scalars, SessionEnd, Summary, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from multiboard.observers import Observers
    from multiboard.protocols import Logged, Observer
    from multiboard.reports import Reports
    from multiboard.scalar_events import Key
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
        options: of the files.
        max_media_bytes: bytes by kind that are written at most, see `MediaBudget`.

    Attributes:
        start_step: see `Sink`.

    Raises:
        LogDirError: the directory cannot be written.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        reports: Reports,
        options: FileOptions = FileOptions(),  # noqa: B008  # frozen
        max_media_bytes: Mapping[str, int] | None = None,
    ) -> None:
        self.start_step = options.resume_step or 0
        self._writer = EventWriter(os.fspath(log_dir), reports, options)
        self._session = SessionGuard(os.fspath(log_dir), reports)
        self._media = MediaBudget(max_media_bytes or {}, reports)
        self._reports = reports
        self._nonfinite: Counter[str] = Counter()
        self._waits = DeviceWaits()
        self._observers: Observers | None = None

    def observe(self, observer: Observer) -> None:
        """Show an observer what is written from now on."""
        if self._observers is None:
            from multiboard.observers import Observers

            self._observers = Observers(self._reports)
        self._observers.add(observer)

    def accept(self, value: Value) -> None:
        """Encode one value into memory; values that are still pending are waited for.

        Raises:
            Exception: whatever the value itself causes, e.g. a deleted device buffer.
        """
        with transfers_allowed():
            self._accept(value)

    def _accept(self, value: Value) -> None:
        if type(value) is Scalars:
            written = self._accept_scalars(value)
            if self._observers is not None:
                self._observers.saw_scalars(written)
        elif type(value) is Capture:
            for part in expand(value):
                self._accept(part)
        elif type(value) is Raw:
            self._writer.begin(value.step)
            self._writer.add(lambda _: value.event)
        elif encode := _ENCODERS.get(type(value)):
            self._accept_encoded(value, encode)
        else:
            for value_of_kind in cast("Derived", value).expand():
                self._accept(value_of_kind)

    def _accept_encoded(self, value: Value, encode: Callable[..., bytes]) -> None:
        if not self._session.admits(value) or not self._media.keeps(value):
            return
        value = _fetched(value)
        self._writer.begin(getattr(value, "step", None))
        self._media.count(value, self._writer.add(lambda encoder: encode(encoder, value)))
        if self._observers is not None and type(value) is Histogram:
            self._observers.saw_histogram(value)
        elif self._observers is not None and type(value) is HParams:
            self._observers.saw_hparams(value)

    def _accept_scalars(self, value: Scalars) -> Scalars:
        """Encode scalars; return what was written."""
        if not PLAIN.issuperset(map(type, value.values)):
            value = self._fetched_numbers(value)
        numbers = tuple(map(float32, value.values))
        finite = math.isfinite(sum(numbers))  # False is only a suspicion: finite numbers may have an infinite sum
        value = value._replace(values=numbers) if finite else self._with_nonfinite_counts(value, numbers)
        if value.tags:
            self._session.saw(value.step)
            self._writer.begin(value.step)
            self._writer.add(lambda encoder: encoder.scalars(value))
        return value

    def accept_scalars(self, logged: Sequence[Logged]) -> None:
        """Encode the scalars of many calls: those with the same tags together, every tag in the order of its calls."""
        self._writer.begin(min(map(itemgetter(2), logged)))
        if Scalars not in map(type, logged):
            self._accept_calls(logged)
            return
        with transfers_allowed():
            for group in self._waits.groups(logged):
                self._accept_calls(group)

    def _accept_calls(self, logged: Sequence[Logged]) -> None:
        for key, records in batches(logged):
            self._accept_group(key, records)
        if self._observers is not None:
            self._observers.saw_calls(logged)

    def _accept_group(self, key: Key, records: list[Logged]) -> None:
        try:
            self._accept_batch(key, records)
        except Exception as error:  # noqa: BLE001  # what is wrong with these calls must not cost the others
            message = f"scalars {tags_of(key)} could not be written: {type(error).__name__}: {error}"
            self._reports.drop("scalar", len(records) * len(tags_of(key)), records[-1][2], message, cause=message)

    def _accept_batch(self, key: Key, records: list[Logged]) -> None:
        rest = records if type(records[0]) is Scalars else self._accept_together(key, records)
        for record in rest:
            self._accept_call(record)

    def _accept_call(self, record: Logged) -> None:
        written = self._accept_scalars(as_scalars(record))
        if self._observers is not None:
            self._observers.note(record, written)

    def _accept_together(self, key: Key, records: list[Logged]) -> list[Logged]:
        """Encode calls that share their tags together; return those for which that was not possible."""
        while records:
            template = self._writer.encoder.described_template(tags_of(key))
            if template is None:  # the metadata goes with the first event of a file
                self._accept_call(records[0])
                records = records[1:]
                continue
            part = records[: self._writer.table_rows(template.record_bytes)]
            framed = (fill_table if len(part) >= SMALLEST_TABLE else frame_each)(template, part)
            if framed is None:
                break
            if not self._writer.make_room(len(framed)):  # a new file describes its tags first
                self._session.saw(max(map(itemgetter(2), part)))
                self._writer.add_framed(framed, len(part))
                self._note(part)
                records = records[len(part) :]
        return records

    def _note(self, records: list[Logged]) -> None:
        """Tell the observers that calls were written as they were logged."""
        if self._observers is not None:
            for record in records:
                self._observers.note(record)

    def _fetched_numbers(self, value: Scalars) -> Scalars:
        """Bring all numbers to the host; what cannot be read is reported and counted, what did not come to be is left out."""
        if type(value.values) is Row:
            return self._fetched_row(value)
        numbers: dict[str, float] = {}
        for tag, number in zip(value.tags, value.values, strict=True):
            try:
                fetched = fetch_scalar(number)
                numbers |= {} if fetched is None else {tag: fetched}
            except Exception as error:  # noqa: BLE001  # any framework's error: a donated buffer, a failed kernel
                message = f"tag {tag!r} could not be read at step {value.step}: {error}"
                self._reports.drop("scalar", 1, value.step, message, cause=f"scalar {tag} unreadable")
        return value._replace(tags=tuple(numbers), values=tuple(numbers.values()))

    def _fetched_row(self, value: Scalars) -> Scalars:
        """Bring a row to the host; none of its numbers if it cannot be read."""
        try:
            return value._replace(values=tuple(fetch_numbers(value)))
        except Exception as error:  # noqa: BLE001  # as below
            message = f"tags {list(value.tags)} could not be read at step {value.step}: {error}"
            self._reports.drop("scalar", len(value.tags), value.step, message, cause=f"scalars {value.tags} unreadable")
            return value._replace(tags=(), values=())

    def _with_nonfinite_counts(self, value: Scalars, numbers: tuple[float, ...]) -> Scalars:
        """Add a running count for every metric that is not finite: charts hide such points, the count is seen.

        Args:
            value: as logged.
            numbers: the same numbers as float32.
        """
        bad = {
            tag: logged
            for tag, logged, number in zip(value.tags, value.values, numbers, strict=True)
            if not math.isfinite(number) and not tag.startswith(("norm/", "nonfinite/", tags.UPDATE_RATIO))
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

    def flush(self) -> bool:
        """Write all that was accepted; what the disk refuses stays in memory for the next attempt."""
        if self._observers is not None:
            self._observers.tick()
        return self._writer.flush()

    def rotate(self) -> bool:
        """Go on in a new file, if the live one holds anything; tell whether that was done."""
        return self._writer.rotate()

    def held_bytes(self) -> int:
        """Return the bytes that the disk has refused so far."""
        return self._writer.held_bytes

    def close(self) -> None:
        """Flush and close the file; says how many records the disk refused until the end."""
        try:
            self._writer.close()
        finally:
            if self._observers is not None:
                self._observers.close()

    def abandon(self) -> None:
        """Let go of the file without writing: in a forked child it belongs to the parent."""
        self._writer.abandon()


def _fetched(value: Value) -> Value:
    """Return a value whose arrays are on the host: it may be encoded twice, but can be fetched once."""
    if isinstance(value, Image):
        return value._replace(pixels=fetch_array(value.pixels))
    if isinstance(value, Histogram):
        from multiboard.buckets import Statistics, measure

        if not isinstance(value.values, Statistics):
            return value._replace(values=measure(fetch_array(value.values)))
    return value
