"""What the adapters of trainers share: they log what others have collected, and nothing of theirs ends a training."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from multiboard.errors import MultiboardError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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


class StepCounts:
    """The step of values that are logged without one: of each tag the one after its last, of tags logged together the largest.

    So a loop that logs its loss and its accuracy in two calls has both at the same steps.

    Args:
        start: of the first value of a tag.
    """

    def __init__(self, start: int = 0) -> None:
        self._start = start
        self._next: dict[str, int] = {}

    def step(self, tags: Iterable[str], given: int | None) -> int:
        """Return the step of values that are logged together.

        Args:
            tags: of the values.
            given: the step that the caller states, which is returned and counted from; None states none.
        """
        together = tuple(tags)
        step = max((self._next.get(tag, self._start) for tag in together), default=self._start) if given is None else given
        self._next |= dict.fromkeys(together, step + 1)
        return step
