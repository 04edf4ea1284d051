"""Values to the bytes of Event messages, in TensorBoard's TF2 tensor form.

Beside the messages of `wire`: SessionLog (event.proto) and HParamsPluginData (hparams plugin_data.proto) of
tensorflow/tensorboard. Metadata (plugin, description) goes with the first event of a tag in each file only.
"""

from __future__ import annotations

import functools
import math
import struct
from typing import TYPE_CHECKING, Any, Final

from multiboard import wire
from multiboard.arrays import fetch_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from multiboard.values import Histogram, HParams, Image, Scalars, SessionEnd, Summary, Text

_AROUND_NUMBERS: Final = 16 + 9 + 11 + 6
"""Bytes of an event beside its numbers: frame, wall time, step, and length of the summary."""
_FLOAT_EXACT: Final = 2**24
_FILE_VERSION: Final = b"brain.Event:2"
_SESSION_START: Final = 1
_STATUS_SUCCESS, _STATUS_FAILURE = 1, 2
_DOUBLE: Final = struct.Struct("<d")
SCALAR_METADATA: Final = wire.metadata("scalars", wire.SCALAR)
"""The metadata field of every scalar."""


def file_version(wall_time: float) -> bytes:
    """Return the first record of every file."""
    return wire.event(wall_time, 0, wire.message(3, _FILE_VERSION))


def session_start(wall_time: float, step: int, note: bytes = b"") -> bytes:
    """Return the second record of every file; the Python reader purges from `step` on when it sees another one.

    Args:
        wall_time: seconds since the epoch.
        step: from which on the file writes.
        note: a message in ASCII, which no reader shows.
    """
    said = wire.message(3, note) if note else b""
    return wire.event(wall_time, step, wire.message(7, wire.integer(1, _SESSION_START), said))


class ScalarsTemplate:
    """The bytes of one set of tags, ready but for the numbers: one `struct` call packs a whole event.

    Args:
        tags: in the order of the numbers.
        new: those of them that come with metadata.

    Attributes:
        tags, new: the same.
        record_bytes: of one framed record, at most.
        layouts: where `scalar_events` keeps what it derives, by bytes of the step.
    """

    def __init__(self, tags: tuple[str, ...], new: Sequence[str]) -> None:
        zero = wire.message(8, wire.integer(1, wire.DT_FLOAT), wire.message(5, bytes(4)))
        fixed = [
            wire.summary_value(tag, SCALAR_METADATA if tag in new else b"", zero)[:-4]  # the four bytes of the number follow
            for tag in tags
        ]
        self._pack = struct.Struct("<" + "".join(f"{len(part)}sf" for part in fixed)).pack
        self.tags, self.new = tags, new
        self.layouts: dict[int, Any] = {}
        self._fixed = fixed
        self._arguments: list[bytes | float] = [b""] * (2 * len(tags))
        self._arguments[::2] = fixed
        size = sum(len(part) + 4 for part in fixed)
        self._summary = wire.tagged(5, wire.BYTES, wire.varint(size))
        self.record_bytes = size + _AROUND_NUMBERS

    def fixed_width_event(self, step_width: int) -> tuple[bytes, list[int]]:
        """Return an event of zeros whose step takes `step_width` bytes, and the offsets of its numbers."""
        parts = [b"\x09", bytes(8), b"\x10", bytes(step_width), self._summary]
        offsets = []
        for fixed in self._fixed:
            parts.append(fixed)
            offsets.append(sum(map(len, parts)))
            parts.append(bytes(4))
        return b"".join(parts), offsets

    def event(self, values: Sequence[float], step: int, wall_time: float) -> bytes:
        """Return the event of one step.

        Raises:
            OverflowError: a number is beyond float32.
        """
        self._arguments[1::2] = values
        return b"".join(
            (b"\x09", _DOUBLE.pack(wall_time), b"\x10", wire.varint(step), self._summary, self._pack(*self._arguments))
        )


_FLOAT32_LIMIT: Final = 2.0**128 - 2.0**103
"""The first magnitude that rounds to infinity in float32."""


def float32(value: float) -> float:
    """Return a number that float32 can hold: beyond its range infinity, as NumPy does (struct would raise)."""
    try:
        number = float(value)  # a number of NumPy would be compared in its own type, where the limit overflows
    except OverflowError:  # of an integer
        return math.inf if value > 0 else -math.inf
    if abs(number) < _FLOAT32_LIMIT or math.isnan(number):
        return number
    return math.copysign(math.inf, number)


def histogram_tensor(rows: npt.NDArray[np.float64]) -> bytes:
    """Return the tensor of rows left, right, count `[k, 3]`: DT_FLOAT while every count is exact in it, else DT_DOUBLE."""
    exact = not len(rows) or rows[:, 2].max() < _FLOAT_EXACT
    dtype, letter = (wire.DT_FLOAT, "<f4") if exact else (wire.DT_DOUBLE, "<f8")
    return wire.numbers(dtype, (len(rows), 3), rows.astype(letter).tobytes())


class Encoder:
    """Encodes values for one file and remembers which tags have their metadata in it.

    Attributes:
        metadata: of these tags: the encoded field of a Summary.Value.
    """

    def __init__(self) -> None:
        self.metadata: dict[str, bytes] = {}
        self._templates: dict[tuple[str, ...], ScalarsTemplate] = {}

    def scalars(self, value: Scalars) -> bytes:
        """Encode numbers of one step as one event: wire.DT_FLOAT tensors of rank 0, all that TensorBoard's data server reads.

        Args:
            value: all values are Python numbers.

        Raises:
            OverflowError: a number is beyond float32; nothing was remembered of the call.
        """
        template = self._templates.get(value.tags) or self._new_template(value.tags)
        event = template.event(value.values, value.step, value.wall_time)
        for tag in template.new:
            self.metadata[tag] = SCALAR_METADATA
        return event

    def described_template(self, tags: tuple[str, ...]) -> ScalarsTemplate | None:
        """Return the template of tags whose metadata is in the file already, else None."""
        return self._templates.get(tags) or (self._new_template(tags) if self.metadata.keys() >= set(tags) else None)

    def _new_template(self, tags: tuple[str, ...]) -> ScalarsTemplate:
        new = [tag for tag in tags if tag not in self.metadata]
        if new:
            return ScalarsTemplate(tags, new)
        if len(self._templates) >= _TEMPLATES:
            self._templates.clear()
        template = self._templates[tags] = ScalarsTemplate(tags, ())
        return template

    def histogram(self, value: Histogram) -> bytes:
        """Encode the occupied buckets as rows left, right, count; float64 as soon as one count needs it."""
        from multiboard.buckets import Statistics, measure

        statistics = value.values if isinstance(value.values, Statistics) else measure(fetch_array(value.values))
        return self._one(value, histogram_tensor(statistics.rows()), "histograms", wire.TENSOR)

    def image(self, value: Image) -> bytes:
        """Encode pictures as PNG behind their width and height."""
        from multiboard import media

        pictures = media.to_nhwc(fetch_array(value.pixels), value.dataformats)
        size = (str(pictures.shape[2]).encode(), str(pictures.shape[1]).encode())
        return self._one(value, wire.strings(*size, *map(media.png, pictures), rank=1), "images", wire.BLOB_SEQUENCE)

    def text(self, value: Text) -> bytes:
        """Encode one markdown text."""
        return self._one(value, wire.strings(value.text.encode(), rank=0), "text", wire.TENSOR)

    def hparams(self, value: HParams) -> bytes:
        """Encode the start of an hparams session. The group name stays empty, so that equal runs keep a row each."""
        entries = [
            wire.message(1, wire.message(1, key.encode()), wire.message(2, hparam_value(v))) for key, v in value.values.items()
        ]
        content = wire.message(3, *entries, wire.double(5, value.wall_time))
        return self._session("_hparams_/session_start_info", content, value.wall_time)

    def session_end(self, value: SessionEnd) -> bytes:
        """Encode the end of the hparams session."""
        status = _STATUS_SUCCESS if value.success else _STATUS_FAILURE
        content = wire.message(4, wire.integer(1, status), wire.double(2, value.wall_time))
        return self._session("_hparams_/session_end_info", content, value.wall_time)

    def _session(self, tag: str, content: bytes, wall_time: float) -> bytes:
        # The empty tensor is needed: with a data class and no tensor the whole HParams tab answers 500.
        tensor = wire.message(8, wire.integer(1, wire.DT_FLOAT), wire.shape(0))
        return wire.event(
            wall_time, 0, wire.message(5, wire.summary_value(tag, wire.metadata("hparams", wire.TENSOR, "", content), tensor))
        )

    def summary(self, value: Summary) -> bytes:
        """Encode one finished tensor of any plugin."""
        return self._one(value, value.tensor, value.plugin, value.data_class, value.content)

    def _one(
        self, value: Histogram | Image | Text | Summary, tensor: bytes, plugin: str, data_class: int, content: bytes = b""
    ) -> bytes:
        metadata = b""
        if value.tag not in self.metadata:
            metadata = self.metadata[value.tag] = wire.metadata(plugin, data_class, value.description, content)
        return wire.event(value.wall_time, value.step, wire.message(5, wire.summary_value(value.tag, metadata, tensor)))


_TEMPLATES: Final = 4096


@functools.singledispatch
def hparam_value(value: object) -> bytes:
    """Encode a google.protobuf.Value: what is no bool, number or string is written as its string."""
    return wire.message(3, str(value).encode())


@hparam_value.register
def _(value: bool) -> bytes:
    return wire.integer(4, value)


@hparam_value.register(int)
@hparam_value.register(float)
def _(value: float) -> bytes:
    exact = abs(value) <= 2**53  # False for NaN and Inf too: as numbers they would vanish from the table
    return wire.double(2, value) if exact else wire.message(3, str(value).encode())
