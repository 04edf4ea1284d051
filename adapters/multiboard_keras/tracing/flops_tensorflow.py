"""FLOPs of the operations of TensorFlow that count, from the shapes of their tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from multiboard.graph.flops import convolution, dot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Operation = Any


def flops(operation: Operation) -> int:
    """Return the FLOPs of one run of an operation; 0 of one that does not count, and where a size is not known."""
    rule = _RULES.get(operation.type)
    tensors = (*operation.inputs, *operation.outputs)
    if rule is None or not all(tensor.shape.is_fully_defined() for tensor in tensors):
        return 0
    return rule(operation)


def _product(operation: Operation) -> int:
    transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
    *batch, rows, columns = operation.outputs[0].shape
    return dot(math.prod(batch), rows, operation.inputs[0].shape[-2 if transposed else -1], columns)


def _sums_of_products(operation: Operation) -> int:
    labels, _, _ = operation.get_attr("equation").decode().partition("->")
    parts = labels.replace(" ", "").split(",")
    if len(parts) != 2:  # noqa: PLR2004  # of one operand it is a sum
        return 0
    sizes: dict[str, int] = {}
    for part, operand in zip(parts, operation.inputs, strict=True):
        sizes |= _sizes(part, operand.shape)
    return dot(1, math.prod(sizes.values()), 1, 1)


def _sizes(labels: str, shape: Any) -> dict[str, int]:
    """Return sizes by label; those of an ellipsis are counted from the right."""
    before, dots, after = labels.partition("...")
    hidden = len(shape) - len(before) - len(after)
    names = [*before, *(f"...{hidden - i}" for i in range(hidden if dots else 0)), *after]
    return dict(zip(names, shape, strict=True))


def _convolution(operation: Operation) -> int:
    *window, inputs, outputs = operation.inputs[1].shape
    if operation.type == "DepthwiseConv2dNative":
        inputs, outputs = 1, inputs * outputs
    positions = math.prod(operation.outputs[0].shape) // outputs
    return convolution(positions, math.prod(window), inputs, outputs)


def _transposed_convolution(operation: Operation) -> int:
    *window, outputs, inputs = operation.inputs[1].shape
    positions = math.prod(operation.inputs[2].shape) // inputs
    return convolution(positions, math.prod(window), inputs, outputs)


_RULES: Final[Mapping[str, Callable[[Operation], int]]] = {
    "MatMul": _product,
    "BatchMatMul": _product,
    "BatchMatMulV2": _product,
    "BatchMatMulV3": _product,
    "Einsum": _sums_of_products,
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "Conv2DBackpropInput": _transposed_convolution,
    "Conv3DBackpropInputV2": _transposed_convolution,
}
