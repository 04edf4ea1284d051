"""What a `with` statement of a profiler enters: a step, a wait for input, or nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from multiboard.profile.profiler import Profiler


class Outside:
    """Does nothing. Its methods are functions in C that return what is false: written in Python they cost twice as much."""

    __slots__ = ()
    __enter__ = "".isspace
    __exit__ = "".format


OUTSIDE: Final[Any] = Outside()


class Step:
    """A step near or in a window."""

    __slots__ = ("_number", "_profiler")

    def __init__(self, profiler: Profiler, number: int) -> None:
        self._profiler, self._number = profiler, number

    def __enter__(self) -> None:
        self._profiler.enter_step(self._number)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._profiler.leave_step(self._number, kind)


class Wait:
    """A wait for input in a window; what the loader raises passes."""

    __slots__ = ("_mark", "_profiler")

    def __init__(self, profiler: Profiler) -> None:
        self._profiler = profiler
        self._mark: Any = None

    def __enter__(self) -> None:
        profiler = self._profiler
        profiler.waits += 1
        capture = profiler.driver.capture
        if capture is not None:
            self._mark = profiler.driver.guard(lambda: _entered(capture.input()))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        profiler, mark = self._profiler, self._mark
        profiler.waits -= 1
        if mark is not None and profiler.open:
            profiler.driver.guard(lambda: mark.__exit__(None, None, None))
            profiler.follow()


def _entered(mark: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
    mark.__enter__()
    return mark
