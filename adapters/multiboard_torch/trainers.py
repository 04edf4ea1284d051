"""What the adapters of trainers share: they log what others have collected, and hand arguments on to `watch`."""

from __future__ import annotations

import contextlib
import inspect
import logging
from typing import TYPE_CHECKING, Any

from multiboard.errors import ArgumentError, MultiboardError, did_you_mean
from multiboard_torch.attach import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from multiboard.run import Run


@contextlib.contextmanager
def reporting(what: str, find_run: Callable[[], Run | None]) -> Iterator[None]:
    """Let nothing that happens inside end a training.

    Args:
        what: is left out if it fails.
        find_run: returns the run that counts the failure; without one it goes to the log.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001
        message = f"the {what} was left out: {type(error).__name__}: {error}"
        run = find_run()
        if run is None:
            logging.getLogger("multiboard").warning("%s", message)
        else:
            run.report(f"{what} {type(error).__name__}", message)


def check_watch_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the further arguments of `watch`, or raise ArgumentError if it has no such argument."""
    known = [name for name in inspect.signature(watch).parameters if name not in {"model", "optimizer", "run", "start_step"}]
    for name, value in options.items():
        if name not in known:
            hint = did_you_mean(name, known)
            raise ArgumentError(name, value, f"multiboard.torch.watch takes {', '.join(known)}.{hint}".removesuffix("."))
    return options


def log_each(run: Run, numbers: dict[str, Any], step: int) -> None:
    """Log the numbers of one step; one that is none does not cost the others."""
    try:
        run.log(numbers, step)
    except MultiboardError:
        for tag, number in numbers.items():
            try:
                run.scalar(tag, number, step)
            except MultiboardError as error:
                run.report(f"{type(error).__name__} {tag}", str(error))
