"""Points of TensorBoard's data provider, and of the shorter ways to them, to columns as `multiboard.read` makes them."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from multiboard import Column
from multiboard.bucket_rows import BucketRows
from multiboard_tensorboard.columns import Blobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from multiboard_tensorboard._compat import Series

SIZES: Final = 2
"""Width and height, which come before the pictures."""
_FLOAT: Final = 1
_FORMATS: Final[dict[int, np.dtype[Any]]] = {_FLOAT: np.dtype("<f4"), 2: np.dtype("<f8")}
"""By DT_FLOAT and DT_DOUBLE of tensorflow/core/framework/types.proto."""
_DTYPE: Final = attrgetter("dtype")
_CONTENT: Final = attrgetter("tensor_content")
_NO_ROWS: Final = np.zeros((0, 3), np.float32)
"""Of a histogram, and of a tensor that is none though its tag says so."""


class Points(NamedTuple):
    """Steps int64 `[n]`, wall times float64 `[n]`, and n values."""

    step: npt.NDArray[np.int64]
    wall_time: npt.NDArray[np.float64]
    value: Any

    def column(self, description: str) -> Column:
        """Return them as a column."""
        return Column(self.step, self.wall_time, self.value, description)


def numbers(series: Sequence[Any]) -> Points:
    """Return the points of a scalar."""
    return _points(series, np.array([point.value for point in series], np.float64))


def _rows(series: Sequence[Any]) -> Points:
    parts = [point.numpy if point.numpy.shape[1:] == (3,) else _NO_ROWS for point in series]
    whole = np.concatenate([*parts, _NO_ROWS])
    return _points(series, BucketRows(whole, np.array([len(part) for part in parts], np.intp)))


def _texts(series: Sequence[Any]) -> Points:
    lines = [[line if isinstance(line, bytes) else str(line).encode() for line in point.numpy.reshape(-1)] for point in series]
    return _points(series, [b"\n".join(one).decode(errors="replace") for one in lines])


def _tensors(series: Sequence[Any]) -> Points:
    return _points(series, [point.numpy for point in series])


TENSORS: Final[dict[str, Callable[[Sequence[Any]], Points]]] = {"histograms": _rows, "texts": _texts, "tensors": _tensors}
"""By kind: what makes columns of TensorDatum objects."""


def files(series: Sequence[Any], read: Callable[[str], bytes], skip: int) -> Points:
    """Return the points of pictures or clips, whose files are read when they are asked for.

    Args:
        series: BlobSequenceDatum objects.
        read: returns a file by its key.
        skip: files at the beginning of each point that are none.
    """
    return _points(series, Blobs([[file.blob_key for file in point.values[skip:]] for point in series], read))


def _points(series: Sequence[Any], value: Any) -> Points:
    step = np.array([point.step for point in series], np.int64)
    return Points(step, np.array([point.wall_time for point in series], np.float64), value)


def _short_numbers(series: Series) -> Points | None:
    return _short(series, np.array(series.value, np.float64))


def _short_rows(series: Series) -> Points | None:
    """Return histograms of one type whose numbers are the bytes of their messages; None for others."""
    tensors = list(series.value)
    formats = set(map(_DTYPE, tensors)) or {_FLOAT}
    form = _FORMATS.get(formats.pop())
    if formats or form is None:
        return None
    contents = list(map(_CONTENT, tensors))
    sizes = np.fromiter(map(len, contents), np.intp, len(contents))
    odd = np.flatnonzero((sizes == 0) | (sizes % (3 * form.itemsize) != 0))
    if any(_sizes(tensors[at]) != [0, 3] for at in odd.tolist()):
        return None
    rows = np.frombuffer(b"".join(contents), form).reshape(-1, 3)
    return _short(series, BucketRows(rows, sizes // (3 * form.itemsize)))


def _sizes(tensor: Any) -> list[int]:
    return [dim.size for dim in tensor.tensor_shape.dim]


def _short(series: Series, value: Any) -> Points:
    step = np.fromiter(series.step, np.int64, len(series.step))
    return Points(step, np.fromiter(series.wall_time, np.float64, len(series.wall_time)), value)


SHORT: Final[dict[str, Callable[[Series], Points | None]]] = {"scalars": _short_numbers, "histograms": _short_rows}
"""By kind: what makes columns of what `_compat.shortcut` returns, or None if it looks otherwise."""
