"""The tracers of one window: that of the main framework, and those of others, which see only the host and may fail alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard.arguments import check_choice, check_flag
from multiboard.profile.frameworks import make_tracer
from multiboard.profile.tracer import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from multiboard.profile.tracer import Raw, Tracer


LEVELS: Final = ("light", "default", "deep")


class Options(NamedTuple):
    """What is captured; see `Request`."""

    level: str
    memory: bool
    layers: bool
    python: bool
    snapshot: bool


def check_options(level: object, **flags: object) -> Options:
    """Return what is captured.

    Args:
        level: one of LEVELS.
        flags: the others, by name.

    Raises:
        ArgumentError: one is something else.
    """
    return Options(check_choice("level", level, LEVELS), **{name: check_flag(name, value) for name, value in flags.items()})


class Capture:
    """The tracers of one window, on the thread that makes it.

    Args:
        frameworks: whose tracers run, the main one first.
        options: what they capture.
        names: the layer path of a module of the main framework; None if the tracer is to find out.
        report: called with a cause and a message when one of the other tracers fails, which ends only that one.

    Attributes:
        thread: that all methods have to be called on.
        folder: of the raw files; deleted by `abort`, and by whoever takes them from `stop`.

    Raises:
        Exception: whatever stands in the way of a tracer of the main framework.
    """

    def __init__(
        self,
        frameworks: tuple[str, ...],
        options: Options,
        names: Callable[[object], str | None] | None,
        report: Callable[[str, str], None],
    ) -> None:
        self.thread, self._process = get_ident(), os.getpid()
        self.folder = tempfile.mkdtemp(prefix="multiboard-profile-")
        self._report = report
        self._others: dict[str, Tracer] = {}
        main, *others = frameworks
        try:
            self._main = make_tracer(main, self._request(main, options, names, host_only=False))
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        for other in others:
            with self._alone(other):
                self._others[other] = make_tracer(other, self._request(other, options, None, host_only=True))

    def _request(
        self, framework: str, options: Options, names: Callable[[object], str | None] | None, *, host_only: bool
    ) -> Request:
        folder = Path(self.folder, framework)
        folder.mkdir()
        return Request(str(folder), *options[:4], names=names, host_only=host_only, snapshot=options.snapshot)

    def prepare(self) -> None:
        """Begin to warm up."""
        self._main.prepare()
        self._each_other(lambda tracer: tracer.prepare())

    def start(self) -> None:
        """Wait for the devices, then record."""
        self._main.start()
        self._each_other(lambda tracer: tracer.start())

    def step(self, number: int) -> None:
        """Mark what follows as that of a step."""
        self._main.step(number)

    def pause(self) -> None:
        """Mark what follows as that of no step."""
        self._main.pause()

    def input(self) -> AbstractContextManager[Any]:
        """Return what marks the work inside as waiting for input."""
        return self._main.input()

    def stop(self, facts: Mapping[str, Any]) -> list[Raw]:
        """Stop, and return the files in `folder`, those of the main framework first.

        Args:
            facts: go to those of the main framework.
        """
        raws = [raw._replace(facts={**raw.facts, **facts}) for raw in self._main.stop()]
        self._each_other(lambda tracer: raws.extend(tracer.stop()))
        return raws

    def abort(self) -> None:
        """Stop and throw away what there is; raises nothing, and does nothing in a forked child."""
        if os.getpid() != self._process:
            return
        for tracer in (self._main, *self._others.values()):
            with contextlib.suppress(Exception):
                tracer.abort()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _each_other(self, action: Callable[[Tracer], None]) -> None:
        for name, tracer in tuple(self._others.items()):
            with self._alone(name):
                action(tracer)

    @contextlib.contextmanager
    def _alone(self, framework: str) -> Any:
        """Let a framework that is not the main one fail without the others."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # of a foreign profiler
            tracer = self._others.pop(framework, None)
            if tracer is not None:
                with contextlib.suppress(Exception):
                    tracer.abort()
            message = f"the profile goes on without {framework}: {type(error).__name__}: {error}"
            self._report(f"profile of {framework}", message)
