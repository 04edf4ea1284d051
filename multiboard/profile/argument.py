"""The argument `profiler` of adapters and loops; most trainings have none, for which nothing of profiles is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from multiboard.profile.profiler import Profiler


def check_profiler(profiler: Any) -> Profiler | None:
    """Return a profiler, or None.

    Raises:
        ArgumentError: it is something else.
    """
    if profiler is None:
        return None
    from multiboard.profile.profiler import Profiler

    if not isinstance(profiler, Profiler):
        raise ArgumentError("profiler", profiler, "pass a multiboard.Profiler, e.g. mb.Profiler(run, start=500), or None")
    return profiler
