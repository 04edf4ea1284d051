"""The content of one Summary.Value as the tensor field of its kind, one function per kind.

Input are the older fields (simple_value, histo, image, audio) and tensors in the ways that TensorFlow, torch, tensorboardX, Keras
and clu write them. What is in the right form already keeps its bytes. Messages: summary.proto and tensor.proto of
tensorflow/tensorboard.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from multiboard import proto, wire
from multiboard.decode import legacy_rows, tensor_array
from multiboard.fields import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

SIMPLE_VALUE, IMAGE, HISTO, AUDIO, TENSOR = 2, 4, 5, 6, 8
"""Fields of Summary.Value, one of which holds the content."""
_NUMBERS: Final = frozenset({1, 2, 3, 4, 5, 6, 9, 10, 14, 17, 19, 22, 23})
"""TensorProto dtypes of real numbers (tensorflow/core/framework/types.proto) that are known here."""
_FLOAT_EXACT: Final = 2**24
_WAV: Final = b"RIFF"
_WAV_DATA: Final = wire.integer(2, 11)


class Content(NamedTuple):
    """What a Summary.Value holds.

    Attributes:
        form: which field it is, one of the constants of this module; 0 if there is none.
        data: the content of the field.
    """

    form: int
    data: bytes

    @property
    def field(self) -> bytes:
        """The field as it was; protobuf's DecodeError if it holds no tensor."""
        if self.form == TENSOR:
            self.tensor()
        return wire.message(self.form, self.data) if self.form else b""

    def tensor(self) -> Any:
        """Return the message in a tensor field."""
        return proto.Tensor.FromString(self.data)


class Formed(NamedTuple):
    """A tensor field in the form of its kind, and what was lost on the way.

    Attributes:
        field: of a Summary.Value; empty if there is nothing to write.
        lost: by cause half a sentence that goes on 'tag ...'.
        alien: it is nothing that its kind can hold, in a field as it was.
    """

    field: bytes
    lost: tuple[tuple[str, str], ...] = ()
    alien: bool = False


_BEYOND: Final = ("beyond float32", "has numbers that float32 cannot hold; they are written as infinite.")
_ROUNDED: Final = ("rounded to float32", "has numbers of higher precision than float32, to which they are rounded.")
_VECTOR: Final = ("several numbers", "has not one number where a scalar belongs; it becomes a tensor, which mb.read returns.")
_EDGES: Final = ("edges not finite", "has buckets whose edges are not finite; they are left out.")
_LABELS: Final = ("labels of audio", "has labels of clips, which TensorBoard does not show; they are left out.")
_UNKNOWN: Final = ("unknown content", "has content that is not of its kind; it becomes a tensor, which mb.read returns.")


def float32_losses(before: npt.NDArray[Any], after: npt.NDArray[np.float32]) -> tuple[tuple[tuple[str, str], int], ...]:
    """Return what float32 has lost, and of how many numbers.

    Args:
        before: numbers of any dtype.
        after: the same as float32.
    """
    if before.dtype == after.dtype:
        return ()
    finite = np.isfinite(before)
    beyond = int((finite & ~np.isfinite(after)).sum())
    rounded = int((finite & (after.astype(before.dtype) != before)).sum()) - beyond
    return tuple((cause, count) for cause, count in ((_BEYOND, beyond), (_ROUNDED, rounded)) if count > 0)


def scalar(content: Content) -> Formed:
    """Return one number as DT_FLOAT of rank 0, the only form that TensorBoard's data server reads."""
    if content.form == SIMPLE_VALUE:
        return Formed(_number(content.data))
    tensor = content.tensor()
    array = tensor_array(tensor)
    if tensor.dtype not in _NUMBERS:
        return Formed(content.field, (_UNKNOWN,), alien=True)
    if array.size != 1:
        return Formed(content.field, (_VECTOR,), alien=True)
    number = array.reshape(1).astype("<f4")
    lost = tuple(cause for cause, _ in float32_losses(array.reshape(1), number))
    return Formed(_number(number.tobytes()), lost)


def _number(data: bytes) -> bytes:
    return wire.message(TENSOR, wire.integer(1, wire.DT_FLOAT), wire.message(5, data))


def histogram(content: Content) -> Formed:
    """Return rows left, right, count `[k, 3]`; DT_DOUBLE as soon as an edge or a count needs it."""
    if content.form == HISTO:
        found = _older_histogram(content.data)
        rows = legacy_rows(found)
        gone = len(rows) < np.count_nonzero(np.asarray(found.bucket) > 0)
        return Formed(rows_field(rows), (_EDGES,) if gone else ())
    tensor = content.tensor()
    rows = tensor_array(tensor)
    if tensor.dtype not in _NUMBERS or rows.ndim != 2 or rows.shape[1] != 3:  # noqa: PLR2004
        return Formed(content.field, (_UNKNOWN,), alien=True)
    sound = np.isfinite(rows).all(axis=1)
    if sound.all() and tensor.dtype in {wire.DT_FLOAT, wire.DT_DOUBLE}:
        return Formed(content.field)
    counted = rows[:, 2] > 0
    return Formed(rows_field(rows[sound].astype(np.float64)), (_EDGES,) if (counted & ~sound).any() else ())


def _older_histogram(data: bytes) -> Any:
    """Return a HistogramProto, or what has the same attributes: its numbers taken as they lie there cost a third."""
    numbers: dict[str, Any] = {"min": 0.0, "max": 0.0, "bucket_limit": (), "bucket": ()}
    for number, kind, begin, end in fields(data, 0, len(data)):
        name = _HISTOGRAM.get((number, kind), "")
        if number in {6, 7} and (not name or len(numbers[name])):
            return proto.Histogram.FromString(data)  # listed one by one, or in several pieces
        if name:
            values = np.frombuffer(data[begin:end], "<f8")
            numbers[name] = values if kind == _BYTES else float(values[0])
    return SimpleNamespace(**numbers)


_FIXED64, _BYTES = 1, 2
_HISTOGRAM: Final = {(1, _FIXED64): "min", (2, _FIXED64): "max", (6, _BYTES): "bucket_limit", (7, _BYTES): "bucket"}
"""Fields of HistogramProto (summary.proto)."""


def rows_field(rows: npt.NDArray[np.float64]) -> bytes:
    """Return the tensor field of rows `[k, 3]`, exactly."""
    with np.errstate(over="ignore"):
        short = rows.astype("<f4")
    exact = not len(rows) or ((short == rows).all() and rows[:, 2].max() < _FLOAT_EXACT)
    dtype, data = (wire.DT_FLOAT, short) if exact else (wire.DT_DOUBLE, rows.astype("<f8"))
    return wire.numbers(dtype, rows.shape, data.tobytes())


def images(contents: Sequence[Content]) -> Formed:
    """Return pictures behind the width and height of the first; several are those of one step."""
    first = contents[0]
    if first.form != IMAGE:
        return Formed(first.field)
    pictures = [proto.Image.FromString(content.data) for content in contents]
    size = (str(pictures[0].width).encode(), str(pictures[0].height).encode())
    return Formed(wire.strings(*size, *(picture.encoded for picture in pictures), rank=1))


def audio(contents: Sequence[Content]) -> Formed:
    """Return clips; of pairs of clip and label, as tf.summary writes them, the clips."""
    first = contents[0]
    if first.form == AUDIO:
        return Formed(wire.strings(*(proto.Audio.FromString(content.data).encoded for content in contents), rank=1))
    tensor = first.tensor()
    axes = [dim.size for dim in tensor.tensor_shape.dim]
    stride = math.prod(axes[1:])
    if len(axes) <= 1 or stride < 1:
        return Formed(first.field)
    labels = [text for place, text in enumerate(tensor.string_val) if place % stride]
    return Formed(wire.strings(*tensor.string_val[::stride], rank=1), (_LABELS,) if any(labels) else ())


def wav_content(contents: Sequence[Content]) -> bytes:
    """Return the metadata of older clips: AudioPluginData{encoding: WAV} if they are WAV files, else none."""
    clips = (proto.Audio.FromString(content.data).encoded for content in contents if content.form == AUDIO)
    return _WAV_DATA if all(clip.startswith(_WAV) for clip in clips) else b""


def text(content: Content) -> Formed:
    """Return one text as rank 0: as rank 1 TensorBoard shows it as a table of one cell."""
    tensor = content.tensor()
    alone = len(tensor.string_val) == 1 and [dim.size for dim in tensor.tensor_shape.dim] == [1]
    return Formed(wire.strings(tensor.string_val[0], rank=0) if alone else content.field)


def hparams(content: Content) -> Formed:
    """Return the tensor, or the empty one that TensorBoard's HParams tab needs beside the metadata."""
    return Formed(content.field or wire.numbers(wire.DT_FLOAT, (0,), b""))


ONE: Final[dict[str, Callable[[Content], Formed]]] = {
    "scalars": scalar,
    "histograms": histogram,
    "text": text,
    "hparams": hparams,
}
"""By plugin; pictures and clips may come several at once, see `images` and `audio`."""
