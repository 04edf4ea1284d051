"""The device kernel of the bucket scheme in TensorFlow: runs eagerly, in a graph and under XLA.

Only shapes decide the program, never the data, and no operation of it is refused by XLA or in deterministic mode.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import tensorflow as tf

from multiboard import buckets
from multiboard.values import MeasuredBatch
from multiboard_keras.rows import Rows, apart

if TYPE_CHECKING:
    from collections.abc import Sequence

    Tensor = Any

_NONFINITE_FIELD: Final = 255
_REORDERED: Final = {"Mul", "Add", "AddV2", "AddN", "Sub", "Neg", "RealDiv"}
_OURS: Final = "_multiboard"


def measure(tensors: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Count the values of each tensor as `multiboard.buckets.measure` does, on the tensors' device.

    Args:
        tensors: any shapes; bool, integer, float or complex; an IndexedSlices counts as the dense tensor that it stands for.

    Returns:
        Bucket counts int32 `[T, 1024]`, special counts int32 `[T, 4]` and moments float32 `[T, 4]`.
    """
    if not tensors:
        return tf.zeros((0, buckets.BUCKETS), tf.int32), tf.zeros((0, buckets.SPECIALS), tf.int32), tf.zeros((0, buckets.MOMENTS))
    flat = [_to_float32(tf.reshape(tf.convert_to_tensor(tensor), [-1])) for tensor in tensors]
    counts, specials = _fold(tf.stack([_count_keys(values) for values in flat]))
    return counts, specials, _moments(flat)


begin = measure


class Draft(Rows):
    """The rows of one capture, measured together at the end of the train step.

    Args:
        fused: whether XLA compiles the train step.
    """

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self._fused = fused

    def read(self, tensor: Tensor) -> Tensor:
        """Return the values of this moment, of a variable those before the next update."""
        tensor = tf.convert_to_tensor(tensor)
        return tensor if tf.executing_eagerly() else _computed_again(tensor)

    def finished(self) -> Any:
        """Measure all rows and return what `pending` takes."""
        return begin([apart(row) for row in self.rows] if self._fused else self.rows)


def draft(model: Any) -> Draft:
    """Return an empty draft for a train step of a compiled model."""
    everywhere = tf.config.optimizer.get_jit() or os.environ.get("TF_XLA_FLAGS") or tf.config.list_physical_devices("TPU")
    return Draft(fused=bool(model.jit_compile or everywhere))


def pending(measured: tuple[Tensor, Tensor, Tensor]) -> _Pending:
    """Return what brings the three arrays of `measure` to the host in the writer thread."""
    return _Pending(measured)


class _Pending:
    """Eager tensors never change, so a reference to them is enough."""

    def __init__(self, measured: tuple[Tensor, Tensor, Tensor]) -> None:
        self._measured = measured

    def fetch(self) -> MeasuredBatch:
        return MeasuredBatch(*(array.numpy() for array in self._measured))


def _computed_again(tensor: Tensor) -> Tensor:
    """Return the same values from products and sums of our own.

    Grappler multiplies (x * y) * rate in another order, and rounds differently, as long as nothing else reads x * y.
    """
    operation = tensor.op
    if operation.type not in _REORDERED:
        return tensor
    inputs = [_computed_again(one) if len(one.consumers()) == 1 else one for one in operation.inputs]
    attributes = {**operation.node_def.attr, _OURS: tf.compat.v1.AttrValue(b=True)}  # else the two are found to be equal
    types = [output.dtype for output in operation.outputs]
    return tensor.graph.create_op(operation.type, inputs, types, attrs=attributes).outputs[0]


def _to_float32(values: Tensor) -> Tensor:
    if values.dtype.is_complex:
        values = tf.abs(values)
    if values.dtype == tf.float64:
        too_large = tf.abs(values) > buckets.FLOAT32_MAX
        clamped = tf.sign(values) * buckets.FLOAT32_MAX
        values = tf.where(too_large & tf.math.is_finite(values), clamped, values)
    return tf.cast(values, tf.float32)


def _count_keys(values: Tensor) -> Tensor:
    keys = tf.bitcast(tf.bitwise.right_shift(tf.bitcast(values, tf.uint32), buckets.KEY_SHIFT), tf.int32)  # a logical shift
    if tf.config.list_physical_devices("GPU"):  # DenseBincount on a GPU raises in deterministic mode
        return tf.math.unsorted_segment_sum(tf.ones_like(keys), keys, buckets.KEYS)
    return tf.raw_ops.DenseBincount(input=keys, size=buckets.KEYS, weights=tf.zeros([0], tf.int32))  # 16 times faster on a CPU


def _fold(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Fold key counts `[T, 4096]` as `multiboard.buckets.fold_keys` does."""
    cube = tf.reshape(keys, [-1, 2, 256, buckets.MANTISSAS])
    first, end = buckets.FIRST_FIELD, buckets.END_FIELD
    body = tf.reshape(cube[:, :, first:end], [-1, 2, buckets.SIDE])
    below = tf.reduce_sum(cube[:, :, 1:first], axis=[2, 3])[..., None]
    above = tf.reduce_sum(cube[:, :, end:_NONFINITE_FIELD], axis=[2, 3])[..., None]
    body = tf.concat([body[..., :1] + below, body[..., 1:-1], body[..., -1:] + above], axis=-1)
    zeros = tf.reduce_sum(cube[:, :, 0], axis=[1, 2])
    nans = tf.reduce_sum(cube[:, :, _NONFINITE_FIELD, 1:], axis=[1, 2])
    specials = [zeros, nans, cube[:, 0, _NONFINITE_FIELD, 0], cube[:, 1, _NONFINITE_FIELD, 0]]
    return tf.reshape(body, [-1, buckets.BUCKETS]), tf.stack(specials, axis=1)


def _moments(flat: Sequence[Tensor]) -> Tensor:
    """Return the moments of each tensor.

    What sorts out values that are not finite takes most of the time, so a graph does it only if there are such.
    """
    if tf.executing_eagerly():  # a condition would wait for the device
        return _finite_moments(flat)
    squares = [2 * tf.nn.l2_loss(values) for values in flat]
    return tf.cond(
        tf.reduce_all(tf.math.is_finite(tf.stack(squares))),
        lambda: tf.stack(
            [
                [tf.reduce_sum(values), square, tf.reduce_min(values), tf.reduce_max(values)]
                for values, square in zip(flat, squares, strict=True)
            ]
        ),
        lambda: _finite_moments(flat),
    )


def _finite_moments(flat: Sequence[Tensor]) -> Tensor:
    rows = []
    for values in flat:
        finite = tf.math.is_finite(values)
        filled = tf.where(finite, values, 0.0)
        smallest = tf.reduce_min(tf.where(finite, values, float("inf")))
        largest = tf.reduce_max(tf.where(finite, values, float("-inf")))
        rows.append([tf.reduce_sum(filled), tf.reduce_sum(tf.square(filled)), smallest, largest])
    return tf.stack(rows)
