"""Summaries that are finished but for their bytes: tensors with the metadata of any plugin, and texts with axes.

Both tf.summary and clu take them. What cannot be written is handed to the method of `Run` that refuses it, so that a mistake here
is treated as any other. Messages: Summary.Value and SummaryMetadata (summary.proto), TensorProto (tensor.proto) of
tensorflow/tensorboard.
"""

from __future__ import annotations

import contextlib
import operator
from time import time
from typing import TYPE_CHECKING, Any

import numpy as np

from multiboard import wire
from multiboard.arrays import fetch_array, framework_of, take_array
from multiboard.kinds.tensor import DTYPES
from multiboard.writer.files import as_step, serialised

if TYPE_CHECKING:
    import numpy.typing as npt

    from multiboard.run import Run
    from multiboard.values import Foreign

_TEXT_METADATA = wire.metadata("text", wire.TENSOR)
_SUMMARY, _METADATA, _TENSOR = 5, 9, 8
"""Fields of Event and of Summary.Value."""


def step_of(step: object, run: Run) -> Any:
    """Return a step as an integer where TensorFlow accepts it; anything else as it is, for `Run` to refuse.

    A tensor in the memory of the host is read here: reading it does not wait, so there is nothing to warn of.
    """
    if framework_of(type(step)) == "tensorflow" and "CPU" in str(getattr(step, "device", "")) and hasattr(step, "__index__"):
        return operator.index(step)
    return as_step(step, run.report)


def write_text(run: Run, tag: str, text: Any, step: Any, description: str = "") -> None:
    """Log a text, or texts of rank 1 or more, which TensorBoard shows as a table.

    Args:
        run: takes it.
        tag: of the text.
        text: str or bytes in UTF-8; nested lists, NumPy arrays or TensorFlow tensors of them.
        step: as `step_of` returns it.
        description: markdown, shown with the card; the first one of a tag counts.
    """
    array = _strings(text)
    if array is None or not array.ndim:
        run.text(tag, text if array is None else _decoded(array.item()), step, description=description)
        return
    metadata = wire.metadata("text", wire.TENSOR, description) if description else _TEXT_METADATA
    write_summary(run, wire.summary_value(tag, metadata, string_tensor(array)), step)


def write_tensor(run: Run, tag: str, tensor: Any, step: Any, metadata: Any = None) -> None:
    """Log a tensor with the metadata that names its plugin.

    Args:
        run: takes it.
        tag: of the tensor.
        tensor: numbers or strings of any shape. With metadata, a tensor on a device is waited for.
        step: as `step_of` returns it.
        metadata: a SummaryMetadata message or its bytes. None logs numbers for `multiboard.read`, see `Run.tensor`.

    Raises:
        ArgumentError: `metadata` is neither.
    """
    described = b"" if metadata is None else wire.message(_METADATA, serialised("metadata", metadata))
    strings = _strings(tensor)
    if strings is not None:
        field = string_tensor(strings)
    elif described and (numbers := _numbers(tag, tensor)) is not None:
        field = numbers
    else:
        run.tensor(tag, tensor, step)
        return
    write_summary(run, wire.summary_value(tag, described, field), step)


def write_summary(run: Run, summary: bytes, step: Any) -> None:
    """Write the bytes of a Summary as an event of now.

    Args:
        run: takes it.
        summary: serialised.
        step: as `step_of` returns it; what is no step is refused by the run.
    """
    number = 0
    with contextlib.suppress(Exception):
        number = operator.index(step)
    run.raw(wire.event(time(), number, wire.message(_SUMMARY, summary)), step)


def string_tensor(array: npt.NDArray[np.object_]) -> bytes:
    """Return the tensor field of a Summary.Value that holds strings of any shape."""
    encoded = (item if isinstance(item, bytes) else item.encode() for item in array.reshape(-1))
    values = (wire.message(8, item) for item in encoded)
    return wire.message(_TENSOR, wire.integer(1, wire.DT_STRING), wire.shape(*array.shape), *values)


def _strings(value: Any) -> npt.NDArray[np.object_] | None:
    """Return strings as an array of str or bytes; None for what holds anything else."""
    dtype = getattr(getattr(value, "dtype", None), "name", "object")  # NumPy: str32, bytes8, object; TensorFlow: string
    if framework_of(type(value)) not in {"", "numpy", "tensorflow"} or not dtype.startswith(("str", "bytes", "object")):
        return None
    try:
        array = np.array(value.numpy() if hasattr(value, "numpy") else value, dtype=object)
    except Exception:  # noqa: BLE001  # ragged lists, symbolic tensors
        return None
    return array if all(isinstance(item, (str, bytes)) for item in array.reshape(-1)) and array.size else None


def _decoded(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode(errors="replace")


def _numbers(tag: str, tensor: Foreign) -> bytes | None:
    """Return the tensor field of numbers, None for what `Run.tensor` refuses; bfloat16 and float8 are widened, which is exact."""
    try:
        array = fetch_array(take_array(tag, tensor))
    except Exception:  # noqa: BLE001  # of any framework; refused where the tensor is handed on
        return None
    if array.dtype.kind == "V":
        array = array.astype(np.float32)
    dtype = DTYPES.get(array.dtype.str[1:])
    content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return None if dtype is None else wire.numbers(dtype, array.shape, content)
