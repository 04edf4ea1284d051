"""What a wrapped step asks of values from outside: the number of a step, and arrays that may be donated."""

from __future__ import annotations

import operator
from typing import Any

import jax

from multiboard.arrays import transfers_allowed
from multiboard.errors import ArgumentError


def check_step_number(number: Any) -> int:
    """Return the number of a step; a device array is waited for.

    Raises:
        ArgumentError: it is no integer, or below 0.
    """
    try:
        with transfers_allowed():
            step = operator.index(number)
    except Exception:  # noqa: BLE001  # whatever a foreign array raises
        step = -1
    if isinstance(number, bool) or step < 0:
        raise ArgumentError("step", number, "pass the number of updates taken before, an integer of at least 0")
    return step


def any_deleted(arguments: Any) -> bool:
    """Return whether there is an array in a tree that was donated."""
    arrays = [leaf for leaf in jax.tree.leaves(arguments) if isinstance(leaf, jax.Array)]
    return any(not isinstance(array, jax.core.Tracer) and array.is_deleted() for array in arrays)
