"""FLOPs of equations of a jaxpr."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from multiboard.graph import flops

if TYPE_CHECKING:
    from collections.abc import Callable

    from jax.extend.core import JaxprEqn


def flops_of(eqn: JaxprEqn) -> int:
    """Return the FLOPs of an equation, 0 if it is neither a matrix product nor a convolution."""
    rule = _RULES.get(eqn.primitive.name)
    return 0 if rule is None else rule(eqn)


def _dot(eqn: JaxprEqn) -> int:
    (left_contracted, right_contracted), (batched, _) = eqn.params["dimension_numbers"]
    left, right = _shape(eqn.invars[0]), _shape(eqn.invars[1])
    batch = math.prod(left[i] for i in batched)
    k = math.prod(left[i] for i in left_contracted)
    k_right = math.prod(right[i] for i in right_contracted)
    return 0 if not batch * k else flops.dot(batch, math.prod(left) // (batch * k), k, math.prod(right) // (batch * k_right))


def _ragged_dot(eqn: JaxprEqn) -> int:
    """Return the FLOPs of a product in which every row meets the matrix of its group."""
    rows, groups = _shape(eqn.invars[0]), _shape(eqn.invars[1])
    return flops.dot(1, rows[0], rows[1], groups[-1])


def _convolution(eqn: JaxprEqn) -> int:
    numbers = eqn.params["dimension_numbers"]
    image, kernel, result = _shape(eqn.invars[0]), _shape(eqn.invars[1]), _shape(eqn.outvars[0])
    outputs, inputs, *places = (kernel[i] for i in numbers.rhs_spec)
    _, channels, *positions = numbers.out_spec
    reached = result[numbers.out_spec[0]] * math.prod(result[i] for i in positions)
    example, features, *positions = numbers.lhs_spec
    given = image[example] * math.prod(image[i] for i in positions)
    is_larger = example < features and given < reached  # in the gradient of a kernel these two have changed places
    if max(eqn.params["lhs_dilation"], default=1) == 1 and not is_larger:
        return flops.convolution(reached, math.prod(places), inputs, result[channels])
    # A transposed one: zeros around and between the elements of its input are no work, so that each counts with all places.
    return flops.convolution(given, math.prod(places), inputs, outputs)


def _attention(eqn: JaxprEqn) -> int:
    """Return the FLOPs of a fused attention: query `[B, T, N, H]`, key and value `[B, S, N, H]`."""
    (batch, queries, heads, size), (_, keys, *_) = _shape(eqn.invars[0]), _shape(eqn.invars[1])
    return flops.attention(batch * heads, queries, keys, size)


def _shape(atom: Any) -> tuple[int, ...]:
    shape: tuple[int, ...] = atom.aval.shape
    return shape


_RULES: dict[str, Callable[[JaxprEqn], int]] = {
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
    "ragged_dot": _ragged_dot,
    "ragged_dot_general": _ragged_dot,
    "dot_product_attention_fwd": _attention,
    "dot_product_attention_fwd_wrapper": _attention,
}
