"""Raw tensors as they are, for `mb.read`: no tab of TensorBoard shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard import wire
from multiboard.arrays import fetch_array, take_array
from multiboard.errors import ValueKindError
from multiboard.values import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.values import Foreign

PLUGIN: Final = "multiboard"
VERSION: Final = b"\x01"
"""Content of the metadata: version of this form."""
DTYPES: Final = {
    "f4": 1, "f8": 2, "i4": 3, "u1": 4, "i2": 5, "i1": 6, "c8": 8, "i8": 9, "b1": 10, "u2": 17, "c16": 18, "f2": 19, "u4": 22,
    "u8": 23,
}  # fmt: skip
"""TensorProto.dtype by kind and width of a NumPy dtype (tensorflow/core/framework/types.proto)."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of numbers of any shape."""

    tag: str
    values: Foreign
    step: int
    wall_time: float
    description: str

    def expand(self) -> Iterator[Summary]:
        """Return the tensor in its own dtype; bfloat16 and float8 are widened to float32, which is exact."""
        array = fetch_array(self.values)
        if array.dtype.kind == "V":
            array = array.astype(np.float32)
        dtype = DTYPES.get(array.dtype.str[1:])
        if dtype is None:
            raise ValueKindError(self.tag, array.dtype, "a tensor holds bools, integers, floats or complex numbers.")
        content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        tensor = wire.numbers(dtype, array.shape, content)
        yield Summary(self.tag, PLUGIN, wire.TENSOR, tensor, self.step, self.wall_time, VERSION, self.description)


def take(tag: str, values: Foreign, step: int, wall_time: float, description: str) -> Tensor:
    """Return the tensor of one call."""
    return Tensor(tag, take_array(tag, values), step, wall_time, description)
