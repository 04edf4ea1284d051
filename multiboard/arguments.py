"""Checks of arguments that all adapters share, so that the same mistake gets the same sentence everywhere."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Integral

from multiboard.errors import ArgumentError, did_you_mean
from multiboard.run import Run


def check_run(run: object) -> Run:
    """Return the run, or raise ArgumentError if it is something else."""
    if not isinstance(run, Run):
        raise ArgumentError("run", run, "pass a multiboard.Run, e.g. mb.Run('runs/first')")
    return run


def check_given(run: object, config: object) -> Run | None:
    """Return the open run that is to be written to, if there is one, or raise ArgumentError: it has its configuration already."""
    given = None if run is None else check_run(run)
    if given is not None and config is not None:
        raise ArgumentError("config", config, "the run is open already: give it to mb.Run(log_dir, config=...)")
    return given


def check_log_dir(log_dir: object) -> str | os.PathLike[str]:
    """Return a directory, or raise ArgumentError if it is something else."""
    if not isinstance(log_dir, (str, os.PathLike)):
        raise ArgumentError("log_dir", log_dir, "pass a directory, e.g. 'runs/first'; an open run is given as run=")
    return log_dir


def check_positive(name: str, value: object) -> int:
    """Return an integer of at least 1, or raise ArgumentError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(name, value, "pass an integer of at least 1")
    return value


def check_start_step(value: object) -> int:
    """Return the number of optimizer steps taken before, an integer of at least 0, or raise ArgumentError."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise ArgumentError("start_step", value, "pass the number of optimizer steps taken before, an integer of at least 0")
    return int(value)


def check_flag(name: str, value: object) -> bool:
    """Return a bool, or raise ArgumentError."""
    if not isinstance(value, bool):
        raise ArgumentError(name, value, "pass True or False")
    return value


def check_written(*, histograms: object, norms: object) -> None:
    """Raise ArgumentError if neither histograms nor norms are to be written."""
    if not (histograms or norms):
        raise ArgumentError("histograms", histograms, "with norms=False too nothing would be written; leave one of them on")


def check_choice(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return a value that is allowed, or raise ArgumentError that offers the nearest one."""
    known = tuple(allowed)
    if not isinstance(value, str):
        raise ArgumentError(name, value, f"use one of {', '.join(map(repr, known))}")
    return check_choices(name, value, known)[0]


def check_choices(name: str, values: object, allowed: Iterable[str]) -> tuple[str, ...]:
    """Return the values as a tuple if each is allowed, or raise ArgumentError that offers the nearest one."""
    known = tuple(allowed)
    if not isinstance(values, Iterable):
        raise ArgumentError(name, values, f"pass any of {', '.join(map(repr, known))}")
    chosen = (values,) if isinstance(values, str) else tuple(values)
    for value in chosen:
        if value not in known:
            hint = did_you_mean(str(value), known)
            raise ArgumentError(name, value, f"use any of {', '.join(map(repr, known))}.{hint}".removesuffix("."))
    return chosen
