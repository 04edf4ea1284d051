"""The metrics in what a training step returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import jax
import numpy as np

from multiboard.errors import ArgumentError

_RULE: Final = (
    "return a dict of scalars (it may be nested), a scalar loss, or a tuple that ends with one of them, and reduce arrays, e.g."
    " x.mean(); pass metrics=False to log nothing of it"
)
_NUMBERS: Final = (jax.Array, np.ndarray, np.generic, bool, int, float)


def metrics_of(result: Any) -> dict[str, Any]:
    """Return the metrics in a step's result by name; those in nested dicts are 'a/b'."""
    last = result[-1] if type(result) is tuple and result else result
    fields = _fields(last)
    return {"loss": last} if fields is None else _flat(fields, "")


def check_metrics(result: Any) -> None:
    """Raise ArgumentError if a step does not return metrics.

    To be called once: a metric that goes wrong later is counted by the run.
    """
    for name, value in metrics_of(result).items():
        shape = np.shape(value) if isinstance(value, _NUMBERS) else None
        if not name or shape not in {(), (1,)}:
            received = value if shape is None else f"{name} of shape {list(shape)}"
            raise ArgumentError(f"train_step -> {name}", received, _RULE)


def _flat(fields: Mapping[Any, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in fields.items():
        if not isinstance(key, str):
            raise ArgumentError(f"train_step -> {prefix}{key!r}", key, "name metrics with strings")
        inner = _fields(value)
        flat |= {f"{prefix}{key}": value} if inner is None else _flat(inner, f"{prefix}{key}/")
    return flat


def _fields(node: Any) -> Mapping[Any, Any] | None:
    """Return the entries of a mapping, named tuple or dataclass; None for anything else."""
    if isinstance(node, Mapping):
        return node
    if isinstance(node, tuple) and hasattr(node, "_asdict"):
        fields: dict[str, Any] = node._asdict()
        return fields
    if dataclasses.is_dataclass(node) and not isinstance(node, (type, *_NUMBERS)) and not hasattr(node, "opt_state"):
        return {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
    return None
