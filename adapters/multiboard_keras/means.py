"""Means that Keras' own metrics have computed: totals and counts, divided all at once.

On PyTorch the `result` of one mean takes Keras 31 µs on a CPU, and what is done here 2 µs.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import keras

from multiboard.torch_values import on_host
from multiboard_keras.metric_parts import inside, parts
from multiboard_keras.sight import replaced

if TYPE_CHECKING:
    from collections.abc import Mapping

    Tensor = Any
    Means = Mapping[str, tuple[int, int]]

_DTYPES: Final = frozenset({"float32", "float64"})
"""Of totals and counts whose quotient, as Python computes it, is the same once it is written in float32."""


def means_in(metric: Any) -> Means | None:
    """Return where a metric keeps its means.

    Args:
        metric: of any kind; may consist of others, as the container of compiled metrics does.

    Returns:
        By name, as in its result, the places of total and count among its variables; None if it holds something else.
    """
    leaves = {id(part): part for part in parts(metric) if not inside(part)}
    if not all(map(_is_mean, leaves.values())):
        return None
    with contextlib.ExitStack() as stack:
        for leaf in leaves.values():
            stack.enter_context(replaced(leaf, "result", lambda leaf=leaf: leaf))
        try:
            result = metric.result()
        except Exception:  # noqa: BLE001  # it computes with the results of those inside
            return None
    named = result if isinstance(result, dict) else {metric.name: result}
    if not all(id(leaf) in leaves for leaf in named.values()):
        return None
    places = {id(variable): place for place, variable in enumerate(metric.variables)}
    return {name: (places[id(leaf.total)], places[id(leaf.count)]) for name, leaf in named.items()}


def divide(means: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, float] | dict[str, Tensor]:
    """Return means by name, as numbers if they are in the memory of the host.

    Args:
        means: total and count of each.
    """
    totals, counts = zip(*means.values(), strict=True)
    if (numbers := on_host([*totals, *counts])) is not None:
        quotients = [total / count if count else 0.0 for total, count in zip(numbers, numbers[len(totals) :], strict=False)]
    else:
        quotients = keras.ops.unstack(keras.ops.divide_no_nan(keras.ops.stack(totals), keras.ops.stack(counts)))
    return dict(zip(means, quotients, strict=True))


def _is_mean(metric: Any) -> bool:
    """Whether the result of a metric is its total divided by its count."""
    own = "result" not in vars(metric) and getattr(type(metric), "result", None) is keras.metrics.Mean.result
    return own and metric.dtype in _DTYPES
