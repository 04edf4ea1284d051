"""Which steps are to be profiled, and the two other ways in which people are used to say it."""

from __future__ import annotations

import contextlib
from numbers import Integral
from typing import Final, NamedTuple

from multiboard.errors import ArgumentError

_RULE: Final = (
    "pass 0 for no profile, the number of a batch, counted from 1, or the first and the last one, e.g. (10, 20) or '10,20'"
)


class Schedule(NamedTuple):
    """The windows of a training; steps are global ones, from 0.

    Attributes:
        start: the first step of the first window; None has no window of its own, only those that a trigger opens.
        steps: of a window, at least 1.
        warmup: steps before a window that the profiler is on already, or at least as many since a compilation.
        every: steps from the beginning of one window to that of the next; None is one window.
        repeat: number of windows; 0 has no end.
    """

    start: int | None
    steps: int
    warmup: int
    every: int | None
    repeat: int


def check_schedule(start: object, steps: object, warmup: object, every: object, repeat: object) -> Schedule:
    """Return what a profiler was asked for.

    Args:
        start: as the attribute of `Schedule`, like the others.
        steps: at least 1.
        warmup: at least 0.
        every: at least `steps`, or None.
        repeat: at least 0; None is one window, or windows without end with `every`.

    Raises:
        ArgumentError: an argument is something else.

    >>> check_schedule(500, 7, 2, None, None)
    Schedule(start=500, steps=7, warmup=2, every=None, repeat=1)
    """
    first = None if start is None else _integer("start", start, 0, "a global step, counted from 0, or None")
    length = _integer("steps", steps, 1, "the number of steps of a window")
    distance = None if every is None else _integer("every", every, length, "at least the steps of a window, or None")
    if repeat is None:
        repeat = 0 if every is not None else 1
    elif distance is None and repeat != 1:
        raise ArgumentError("repeat", repeat, "pass every= too, the steps from one window to the next")
    windows = _integer("repeat", repeat, 0, "the number of windows; 0 has no end")
    return Schedule(first, length, _integer("warmup", warmup, 0, "the number of steps before a window"), distance, windows)


def from_torch_schedule(wait: object, warmup: object, active: object, repeat: object, skip_first: object) -> Schedule:
    """Return the windows of `torch.profiler.schedule`, whose arguments these are.

    Raises:
        ArgumentError: an argument is not one of the possible ones.

    >>> from_torch_schedule(1, 1, 3, 2, 10)
    Schedule(start=12, steps=3, warmup=1, every=5, repeat=2)
    """
    waited = _integer("wait", wait, 0, "a number of steps")
    warm = _integer("warmup", warmup, 0, "a number of steps")
    length = _integer("active", active, 1, "a number of steps of at least 1")
    windows = _integer("repeat", repeat, 0, "the number of windows; 0 has no end")
    skipped = _integer("skip_first", skip_first, 0, "a number of steps")
    return Schedule(skipped + waited + warm, length, warm, waited + warm + length, windows)


def check_profile_batch(value: object) -> tuple[int, int] | None:
    """Return the first and the last batch to profile, counted from 1 at the beginning of the fit; None for no profile.

    Args:
        value: 0, a batch, a pair as tuple or list, or the same as text, as `keras.callbacks.TensorBoard` takes it.

    Raises:
        ArgumentError: it is something else, or the last batch is before the first one.

    >>> check_profile_batch("500,520"), check_profile_batch(3), check_profile_batch(0)
    ((500, 520), (3, 3), None)
    """
    numbers = _numbers(value)
    if numbers in {(0,), (0, 0)}:
        return None
    if not numbers or len(numbers) > 2 or not 1 <= numbers[0] <= numbers[-1]:  # noqa: PLR2004  # a pair
        raise ArgumentError("profile_batch", value, _RULE)
    return numbers[0], numbers[-1]


def from_profile_batch(value: object) -> Schedule:
    """Return the window of Keras' `profile_batch`; the batches are exact, so nothing warms up.

    Raises:
        ArgumentError: see `check_profile_batch`.

    >>> from_profile_batch("500,520")
    Schedule(start=499, steps=21, warmup=0, every=None, repeat=1)
    """
    batches = check_profile_batch(value)
    if batches is None:
        return Schedule(None, 1, 0, None, 1)
    first, last = batches
    return Schedule(first - 1, last - first + 1, 0, None, 1)


def _integer(name: str, value: object, least: int, rule: str) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ArgumentError(name, value, f"pass {rule}" + (f", an integer of at least {least}" if name != "every" else ""))
    return int(value)


def _numbers(value: object) -> tuple[int, ...]:
    """Return the integers of an argument, none if there is something else in it."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return tuple(int(part) for part in value.split(","))
        return ()
    if not isinstance(value, (tuple, list)):
        return _numbers((value,))
    if any(isinstance(number, bool) or not isinstance(number, Integral) for number in value):
        return ()
    return tuple(map(int, value))
