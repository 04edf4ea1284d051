"""Checks of arguments that several kinds share."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from multiboard.arrays import shape_of
from multiboard.errors import ArgumentError, MissingFrameworkError, ValueShapeError

if TYPE_CHECKING:
    from multiboard.values import Foreign


def positive_integer(name: str, value: object) -> int:
    """Return an integer of at least 1; floats without a fraction count as integers.

    Raises:
        ArgumentError: it is something else.
    """
    try:
        number = operator.index(int(value) if isinstance(value, float) and value.is_integer() else value)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ArgumentError(name, value, "pass an integer of at least 1")
    return number


def positive_number(name: str, value: object) -> float:
    """Return a finite number above 0.

    Raises:
        ArgumentError: it is something else.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise ArgumentError(name, value, "pass a number above 0")
    return number


def shape_before_fetch(value: Foreign, taken: Foreign) -> tuple[int, ...]:
    """Return the shape of an array by what the caller passed or by what was taken of it, without fetching it."""
    shape = shape_of(taken)
    return (shape_of(value) or ()) if shape is None else shape


def same_shape(tag: str, name: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Raise ValueShapeError if two arrays of one call do not fit."""
    if shape != expected:
        raise ValueShapeError(tag, shape, f"{name} needs the shape {list(expected)}.")


def need_pillow(method: str) -> None:
    """Raise MissingFrameworkError if Pillow is not installed."""
    import importlib.util

    if importlib.util.find_spec("PIL") is None:
        raise MissingFrameworkError(method, "Pillow", "media")
