"""Steps that TensorBoard's HParams tab cannot take: with one of 2**31 or more it answers 500 for all runs of the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multiboard.tags import FACTS
from multiboard.values import HParams, SessionEnd

if TYPE_CHECKING:
    from multiboard.reports import Reports
    from multiboard.values import Value

_STEP_END: Final = 2**31
"""trainingStep of hparams/api.proto is an int32."""


class SessionGuard:
    """Keeps the session of one run out of the file where it would break the tab and nobody has asked for it.

    Args:
        log_dir: named in the report.
        reports: receives a session that somebody has asked for.
    """

    def __init__(self, log_dir: str, reports: Reports) -> None:
        self._log_dir, self._reports = log_dir, reports
        self._large_step = False
        self._asked_for = False
        self._left_out = False

    def saw(self, step: int) -> None:
        """Take notice of the step of a scalar."""
        if step >= _STEP_END and not self._large_step:
            self._large_step = True
            self._report()

    def admits(self, value: Value) -> bool:
        """Tell whether a value may be written: run facts alone, and the end of their session, not beside large steps."""
        if type(value) is HParams:
            self._asked_for = not all(name.startswith(FACTS) for name in value.values)
            self._left_out = self._large_step and not self._asked_for
            self._report()
        return not (self._left_out and type(value) in {HParams, SessionEnd})

    def _report(self) -> None:
        if self._large_step and self._asked_for:
            self._reports.add(
                "large step beside hyper-parameters",
                f"run {self._log_dir!r} has hyper-parameters and steps of 2**31 or more: the HParams tab of TensorBoard will "
                "fail. Count steps in larger units, e.g. thousands of tokens, or give the run no config.",
            )
