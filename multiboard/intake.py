"""What a run accepts and what it refuses: steps, kinds of tags, closed runs, and what happens to mistakes.

Mistakes in a call raise on the caller's line as long as the run is in its first step, where a person is watching. Later they are
counted and said once, and the training goes on: a wrong tag in an evaluation after nine hours must not end it.
"""

from __future__ import annotations

import operator
from time import time
from typing import TYPE_CHECKING, Final

from multiboard.arrays import framework_of
from multiboard.errors import ArgumentError, CallError, ClosedRunError, MultiboardError, StepError, cause_of
from multiboard.tags import TagKinds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multiboard.reports import Reports

STEP_MIN: Final = -(2**63)
STEP_END: Final = 2**63
"""Steps are 64-bit integers: from STEP_MIN to before STEP_END."""


class Intake:
    """Accepts or refuses the calls of one run.

    Args:
        log_dir: named in errors.
        reports: receives the mistakes that are counted instead of raised.

    Attributes:
        closed: whether everything is refused.
        in_first_step: whether no second step was accepted yet.
    """

    def __init__(self, log_dir: str, reports: Reports) -> None:
        self.closed = False
        self.in_first_step = True
        self._log_dir = log_dir
        self._reports = reports
        self._kinds = TagKinds()
        self._first_step: int | None = None

    def check_open(self) -> None:
        """Raise ClosedRunError if the run is closed."""
        if self.closed:
            raise ClosedRunError(self._log_dir)

    def step(self, step: object) -> int:
        """Return the step as an integer.

        Raises:
            ClosedRunError: the run is closed.
            StepError: it is no 64-bit integer.
        """
        self.check_open()
        number = step if type(step) is int else self._convert(step)
        if not STEP_MIN <= number < STEP_END:
            raise StepError(step)
        return number

    def _convert(self, step: object) -> int:
        if isinstance(step, bool) or not hasattr(type(step), "__index__"):
            raise StepError(step)
        if framework_of(type(step)) in {"jax", "tensorflow"} or getattr(step, "is_cuda", False):
            message = "step is a device array, and reading it waits for the device; count steps with a Python integer."
            self._reports.add("step on a device", message)
        try:
            return operator.index(step)  # type: ignore[arg-type]
        except Exception as error:
            raise StepError(step) from error

    def moment(self, wall_time: object) -> float:
        """Return a stated wall time in seconds since the epoch; one that is no number is refused, and now is used instead."""
        try:
            return float(wall_time)  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001  # whatever a foreign object raises
            self.refuse(ArgumentError("wall_time", wall_time, "pass seconds since the epoch, e.g. time.time()"), None)
            return time()

    def claim(self, tag: object, kind: str) -> None:
        """Register the kind of a tag.

        Raises:
            TagError: it is no tag, or has another kind.
        """
        self._kinds.claim(tag, kind)

    @property
    def kinds(self) -> Mapping[str, str]:
        """The kind of each tag so far; grows with them."""
        return self._kinds.known

    def accepted(self, step: int) -> None:
        """Remember that a value of this step was taken."""
        if self._first_step is None:
            self._first_step = step
        elif step != self._first_step:
            self.in_first_step = False

    def attempt(self, action: Callable[[], None], step: object) -> None:
        """Do what a call asks for; a mistake is raised in the first step, and counted and said once later.

        Raises:
            MultiboardError: the mistake, in the first step of the run.
        """
        try:
            action()
        except MultiboardError as error:
            self.refuse(error, step)
        except Exception as error:  # noqa: BLE001  # what a foreign object does when it is asked for its value
            self.refuse(CallError(error), step)

    def refuse(self, error: MultiboardError, step: object) -> None:
        """Raise the error in the first step of the run; afterwards count it and say it once."""
        here = step if type(step) is int and STEP_MIN <= step < STEP_END else self._first_step
        if self.in_first_step and self._first_step in {None, here}:
            try:
                raise error
            finally:
                del error  # the traceback holds this frame: with the name it would be a cycle, and keep refused tensors alive
        self._reports.add(cause_of(error, "call"), str(error))
