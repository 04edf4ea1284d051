"""A session of XProf from a `torch.profiler.profile` that a program has already: what `tensorboard_trace_handler` was for."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
import time
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from torch.profiler import ProfilerAction

from multiboard.arguments import check_flag
from multiboard.errors import ArgumentError, cause_of
from multiboard.profile.conversions import Captured, Conversions
from multiboard.profile.place import place_of
from multiboard.profile.tracer import Raw
from multiboard.run import Run
from multiboard_torch import distributed
from multiboard_torch.profile_devices import properties
from multiboard_torch.profile_export import export

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.profiler import profile

    from multiboard.profile.place import Place

_PATIENCE: Final = 60.0
"""Seconds that the end of the program waits for sessions that are still being made."""
_STEPS_LOOKED_AT: Final = 100_000


def trace_handler(
    log_dir: Run | str | os.PathLike[str],
    worker_name: str | None = None,
    use_gzip: bool = False,  # as torch.profiler.tensorboard_trace_handler takes it
    *,
    keep_json: bool = False,
) -> Callable[[profile], None]:
    """Return an `on_trace_ready` of `torch.profiler.profile` that makes a session of XProf of each trace.

    Takes the place of `torch.profiler.tensorboard_trace_handler`, whose files TensorBoard no longer shows. The session
    is `<log_dir>/plugins/profile/step_<first step>/<worker_name>.xplane.pb`, made in another process while the training goes on,
    which only waits until PyTorch has saved its trace. What goes wrong raises nothing, and is said once. Steps are those that the
    profiler counts from its start; `multiboard.Profiler` has global ones, layers, and a summary without any of this.

    Args:
        log_dir: the directory for TensorBoard. A `multiboard.Run` also gets the summary, as scalars `profile/...`.
        worker_name: of the file, different in each process. None is 'rank<i>' in a job of several processes, which share the
            session then, else the name of the host.
        use_gzip: compress the trace that `keep_json` keeps.
        keep_json: also keep the trace of PyTorch, `<log_dir>/<worker_name>.<ns>.pt.trace.json`, for Perfetto or Chrome.

    Raises:
        ArgumentError: an argument is not one of the possible ones.

    Example:
        >>> import tempfile, torch
        >>> cpu = [torch.profiler.ProfilerActivity.CPU]
        >>> with torch.profiler.profile(activities=cpu, on_trace_ready=trace_handler(tempfile.mkdtemp())):
        ...     total = torch.ones(2) + 1
    """
    place = place_of(log_dir)
    if place is None:
        raise ArgumentError("log_dir", log_dir, "pass the directory that TensorBoard shows, or a multiboard.Run")
    if worker_name is not None and (not worker_name or Path(worker_name).name != worker_name or worker_name.startswith(".")):
        raise ArgumentError("worker_name", worker_name, "pass a name for a file, e.g. 'worker0', or None")
    handler = _Handler(place, worker_name, zipped=check_flag("use_gzip", use_gzip), keeps=check_flag("keep_json", keep_json))
    if isinstance(log_dir, Run):
        log_dir.before_close(handler.wait)
    return handler


class _Handler:
    """Hands on what a profiler has recorded."""

    def __init__(self, place: Place, worker: str | None, *, zipped: bool, keeps: bool) -> None:
        self._place, self._worker = place, worker
        self._zipped, self._keeps = zipped, keeps
        self._begin()
        atexit.register(self.wait)

    def __call__(self, profiler: profile) -> None:
        """Be the `on_trace_ready` of a profiler."""
        if self._process != os.getpid():
            self._begin()
        folder = ""
        try:
            folder = tempfile.mkdtemp(prefix="multiboard-profile-")
            first, last = steps_of(profiler)
            raw = Raw("kineto", export(profiler, self._target(folder)), "torch", _facts())
            self._conversions.submit(Captured([raw], folder, first, last, last - first + 1, self._worker or ""), self._place)
        except Exception as error:  # noqa: BLE001  # a profile may not end a training
            if folder:
                shutil.rmtree(folder, ignore_errors=True)
            self._place.report(cause_of(error, "trace handler"), f"a trace is lost: {type(error).__name__}: {error}")

    def wait(self) -> None:
        """Wait until all sessions are there, but not for ever."""
        if not self._conversions.wait(_PATIENCE):
            self._place.report("trace handler", f"a trace was not converted within {_PATIENCE:g} s.")

    def _begin(self) -> None:
        """Belong to this process: what a parent has begun to convert is no business of its child."""
        self._process = os.getpid()
        self._conversions = Conversions("background", None, None, keep_raw=False)
        Finalize(None, self.wait, exitpriority=0)  # a process that multiprocessing has forked ends without atexit

    def _target(self, folder: str) -> str:
        if not self._keeps:
            return str(Path(folder, "torch.json"))
        worker = self._worker or f"{socket.gethostname()}_{os.getpid()}"
        Path(self._place.log_dir).mkdir(parents=True, exist_ok=True)
        suffix = ".json.gz" if self._zipped else ".json"
        return str(Path(self._place.log_dir, f"{worker}.{time.time_ns()}.pt.trace{suffix}"))


def steps_of(profiler: Any) -> tuple[int, int]:
    """Return the first and the last step of the trace that a profiler hands over now."""
    number: int = profiler.step_num
    action: Callable[[int], ProfilerAction] = profiler.schedule
    last = number - 1 if number and action(number - 1) == ProfilerAction.RECORD_AND_SAVE else number
    first = last
    while first > max(0, last - _STEPS_LOOKED_AT) and action(first - 1) == ProfilerAction.RECORD:
        first -= 1
    return first, last


def _facts() -> dict[str, Any]:
    return {"rank": distributed.rank(), "world": distributed.processes(), "device": properties()}
