"""Numbers and texts as one block of bytes that a browser opens without a library.

    b"MBP1" · length of the JSON, uint32, little endian · JSON and spaces, to a multiple of 8 · numbers

An array in the object is {"$": [form, offset, count]} in the JSON; its numbers begin `offset` bytes behind it, at a multiple of
8, all little endian; equal arrays have one place. The forms:

    f4s   float32, all first bytes, then all second bytes, …: so they shrink better
    i4d   int32, each less the one before it, then by bytes as f4s
    i4    int32
    f8    float64
    u1    bytes

In the JSON NaN is null, and infinite numbers are the texts "inf" and "-inf".
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_MAGIC: Final = b"MBP1"
_ALIGNED: Final = 8
_INT32: Final = np.iinfo(np.int32)


def pack(content: Any) -> bytes:
    """Return an object as bytes; the same object makes the same bytes.

    Args:
        content: dicts with texts as keys, lists, tuples, texts, numbers, bools, None, bytes and arrays of one dimension. float32
            and float64 keep their type; whole numbers become int32, or float64 if they do not fit.

    Example:
        >>> unpack(pack({"step": np.arange(3), "loss": float("nan")}))
        {'loss': None, 'step': array([0, 1, 2], dtype=int32)}
    """
    blob = _Blob()
    text = json.dumps(blob.plain(content), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-(len(_MAGIC) + 4 + len(text)) % _ALIGNED)
    return b"".join([_MAGIC, len(text).to_bytes(4, "little"), text, *blob.pieces])


def unpack(data: bytes) -> Any:
    """Return what was packed, as the page gets it: tuples as lists, bytes as uint8 `[n]`."""
    size = int.from_bytes(data[4:8], "little")
    if data[:4] != _MAGIC or len(data) < 8 + size:
        raise ValueError("these are no packed bytes")
    numbers = data[8 + size :]
    return _opened(json.loads(data[8 : 8 + size]), numbers)


class _Blob:
    """The numbers of an object, while it is made plain."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._size = 0
        self._known: dict[tuple[str, bytes], int] = {}  # many curves have the same steps

    def plain(self, value: Any) -> Any:
        """Return a value as JSON has it."""
        if isinstance(value, dict):
            return {str(key): self.plain(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(one) for one in value]
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, bytes):
            return self._add("u1", value, len(value))
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            return None if math.isnan(value) else str(value)
        return value

    def _array(self, values: npt.NDArray[Any]) -> dict[str, Any]:
        form, data = _encoded(values.reshape(-1))
        return self._add(form, data, values.size)

    def _add(self, form: str, data: bytes, count: int) -> dict[str, Any]:
        offset = self._known.setdefault((form, data), self._size)
        if offset == self._size:
            padding = -len(data) % _ALIGNED
            self.pieces += [data, bytes(padding)]
            self._size += len(data) + padding
        return {"$": [form, offset, count]}


def _encoded(values: npt.NDArray[Any]) -> tuple[str, bytes]:
    """Return the form and the bytes of an array of one dimension."""
    if values.dtype == np.float32:
        return "f4s", _shuffled(values.astype("<f4"))
    if values.dtype.kind == "b" or values.dtype == np.uint8:
        return "u1", values.astype("u1").tobytes()
    if values.dtype.kind in "iu" and (not len(values) or (values.min() >= _INT32.min and values.max() <= _INT32.max)):
        steps = np.diff(values.astype(np.int64), prepend=0)
        if not len(values) or (steps[1:].min(initial=0) >= 0 and steps.max() <= _INT32.max):
            return "i4d", _shuffled(steps.astype("<i4"))
        return "i4", values.astype("<i4").tobytes()
    return "f8", values.astype("<f8").tobytes()


def _shuffled(values: npt.NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values.view("u1").reshape(-1, 4).T).tobytes()


def _opened(value: Any, numbers: bytes) -> Any:
    if isinstance(value, list):
        return [_opened(one, numbers) for one in value]
    if not isinstance(value, dict):
        return value
    where = value.get("$")
    if isinstance(where, list) and len(value) == 1:
        return _array(numbers, *where)
    return {key: _opened(one, numbers) for key, one in value.items()}


def _array(numbers: bytes, form: str, offset: int, count: int) -> npt.NDArray[Any]:
    if form in {"f4s", "i4d"}:
        columns = np.frombuffer(numbers, "u1", 4 * count, offset).reshape(4, -1) if count else np.zeros((4, 0), "u1")
        values = np.ascontiguousarray(columns.T).reshape(-1).view("<f4" if form == "f4s" else "<i4")
        return values if form == "f4s" else np.cumsum(values, dtype=np.int32)
    return np.frombuffer(numbers, f"<{form}" if form != "u1" else form, count, offset)
