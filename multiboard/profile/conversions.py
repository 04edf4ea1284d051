"""Finishes windows behind the training, in processes of low priority, and logs what came out of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from multiboard.arguments import check_choice, check_flag, check_positive
from multiboard.profile.processing import Done, Job, finish, finish_later
from multiboard.profile.sessions import claim_session, host_name, leave, profiles_of, prune

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.profile.place import Place
    from multiboard.profile.tracer import Raw

MODES: Final = ("background", "lazy", "now")
THREAD: Final = "multiboard-profile"


class Captured(NamedTuple):
    """A window that was captured.

    Attributes:
        raws: what the tracers have left behind.
        folder: of these files, to be deleted.
        first: the first step of the window.
        last: its last step.
        steps: number of steps that were marked in it.
        host: what its file is called; '' for the rank or the name of the host.
    """

    raws: Sequence[Raw]
    folder: str
    first: int
    last: int
    steps: int
    host: str = ""

    @property
    def name(self) -> str:
        """What a user calls it."""
        return captured_name(self.first, self.last)


def check_conversions(convert: object, max_events: object, keep: object, *, keep_raw: object) -> Conversions:
    """Return what finishes the windows of a profiler, which describes the arguments.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """
    events = None if max_events is None else check_positive("max_events", max_events)
    kept = None if keep is None else check_positive("keep", keep)
    return Conversions(check_choice("convert", convert, MODES), events, kept, keep_raw=check_flag("keep_raw", keep_raw))


def captured_name(first: int, last: int) -> str:
    """Return what a user calls a window.

    >>> captured_name(500, 506), captured_name(3, 3)
    ('the profile of steps 500 to 506', 'the profile of step 3')
    """
    return f"the profile of steps {first} to {last}" if last > first else f"the profile of step {first}"


class Conversions:
    """Makes a session of each window, one after the other.

    Args:
        mode: 'background' in a process of its own, 'now' before `submit` returns, 'lazy' only puts the raw files there.
        max_events: see `Job`.
        keep: how many sessions of this run stay; None keeps all.
        keep_raw: see `Job`.

    Attributes:
        max_events: see the argument.
        events_per_step: of the last window that is done; None before.
    """

    def __init__(self, mode: str, max_events: int | None, keep: int | None, *, keep_raw: bool) -> None:
        self.events_per_step: float | None = None
        self._mode, self.max_events, self._keep, self._keep_raw = mode, max_events, keep, keep_raw
        self._threads: list[threading.Thread] = []
        self._one_at_a_time = threading.Lock()

    def submit(self, captured: Captured, place: Place) -> None:
        """Finish a window; raises nothing, and waits for nothing but in mode 'now'."""
        if self._mode != "now":
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            thread = threading.Thread(target=self._finish, args=(captured, place), name=THREAD, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending
                pass
            else:
                self._threads.append(thread)
                return
        self._finish(captured, place)

    def wait(self, timeout: float) -> bool:
        """Wait until all is finished, `timeout` seconds at most; return whether it is."""
        due = monotonic() + timeout
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, due - monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _finish(self, captured: Captured, place: Place) -> None:
        with self._one_at_a_time:
            try:
                self._make_session(captured, place)
            except Exception as error:  # noqa: BLE001  # this thread has nobody else to tell
                kind = type(error).__name__
                place.report(f"profile {kind}", f"{captured.name} is lost: {kind}: {error}")
            finally:
                shutil.rmtree(captured.folder, ignore_errors=True)

    def _make_session(self, captured: Captured, place: Place) -> None:
        host, profiles = captured.host or host_name(captured.raws), profiles_of(place.log_dir)
        note = {"step": captured.first, "steps": captured.steps, "process": os.getpid()}
        session = claim_session(profiles, captured.first, host, note)
        job = Job(tuple(captured.raws), os.fspath(session), host, self.max_events, self._keep_raw, captured.folder)
        try:
            done = None if self._mode == "lazy" else self._convert(job, captured, place)
            if done is None:
                finish_later(session, host, captured.raws, max_events=self.max_events, keep_raw=self._keep_raw)
        except BaseException:
            leave(session, host)
            raise
        prune(session, host, self._keep)
        if done is not None:
            self.events_per_step = done.events / captured.steps
            if place.log is not None:
                place.log(done, captured.first)

    def _convert(self, job: Job, captured: Captured, place: Place) -> Done | None:
        """Return what came out of it; None if the conversion failed, but may succeed another time."""
        try:
            return finish(job) if self._mode == "now" else _in_a_process(job)
        except OSError:  # the disk: what it refuses now it would refuse again
            raise
        except Exception as error:  # noqa: BLE001
            remedy = f"the raw files are kept; try 'multiboard profile convert {job.session}'"
            place.report("profile not converted", f"{captured.name} is not converted, {type(error).__name__}: {error}: {remedy}")
            return None


def _paths() -> list[str]:
    """Return where the other process finds what it imports: of the paths of a training only those that are needed."""
    paths = dict.fromkeys(filter(os.path.isabs, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
    for name in ("multiboard", "numpy", "google.protobuf"):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            paths[os.fspath(Path(spec.origin).parents[name.count(".") + 1])] = None
    return list(paths)


def _in_a_process(job: Job) -> Done:
    """Do a job in another process, or here if none can be started.

    Raises:
        OSError: the session cannot be written.
        RuntimeError: the process has failed otherwise.
    """
    if not sys.executable or getattr(sys, "frozen", False):  # no Python of its own: a frozen program would train once more
        return finish(job)
    path = Path(job.folder or job.session, "job.json")
    path.write_text(job.to_json())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_paths()), "OMP_NUM_THREADS": "1"}
    # -P: the working directory may hold a random.py. A process group of its own: Ctrl-C ends the training, which waits for this
    command = [sys.executable, "-P", "-m", "multiboard.profile.processing", os.fspath(path)]
    try:
        process = subprocess.Popen(  # noqa: S603  # our own module
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
    except (OSError, ValueError, RuntimeError):
        return finish(job)
    output, errors = process.communicate()
    try:
        answer = json.loads(output.rpartition("\n")[0].rpartition("\n")[2])
    except ValueError:
        last = errors.strip().rpartition("\n")[2]
        raise RuntimeError(f"its process ended with status {process.returncode} ({last or 'no message'})") from None
    if "error" in answer:
        raise (OSError if answer["disk"] else RuntimeError)(answer["error"])
    return Done(**answer)
