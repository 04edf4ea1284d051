"""Sessions of JAX's profiler, of which there is one at a time in a process: the private class that keeps its trace in memory.

The public functions write files of their own, and stay stuck when they cannot; they are the fallback.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jax

if TYPE_CHECKING:
    from collections.abc import Iterator

_profiler: Any = None
with contextlib.suppress(ImportError):
    from jax._src import lib

    _profiler = getattr(lib, "_profiler", None) or getattr(getattr(lib, "xla_client", None), "profiler", None)  # before JAX 0.7

_SESSION: Final = "ProfilerSession"
_TAKEN: Final = ("already_exists", "another profil", "only one profile", "already been started")
"""What messages say, in lower case, when somebody else's profile is running."""
_lock: Final = threading.Lock()


class TakenError(RuntimeError):
    """Another profile of JAX is running."""


def profile_options(**values: Any) -> Any:
    """Return options of the profiler; those that the installed version does not know are left out, None if it knows none."""
    kind = getattr(jax.profiler, "ProfileOptions", None) or getattr(_profiler, "ProfileOptions", None)
    if kind is None:
        return None
    options = kind()
    for name, value in values.items():
        if hasattr(options, name):
            setattr(options, name, value)
    return options


class Session:
    """The profiler, from the construction on until `stop`. It gives way: when others start a profile, it has ended before.

    Args:
        options: of `profile_options`.
        folder: where the fallback may write.

    Attributes:
        gave_way: somebody else has started a profile.

    Raises:
        TakenError: another profile is running, which goes on undisturbed.
    """

    def __init__(self, options: Any, folder: str) -> None:
        self.gave_way = False
        self._folder, self._kept = Path(folder), b""
        self._private: Any = None
        self._process = os.getpid()
        make = getattr(_profiler, _SESSION, None)
        if make is None or options is None:
            with _told():
                jax.profiler.start_trace(folder, **({} if options is None else {"profiler_options": options}))
            return
        if _is_public_one_running():
            raise TakenError("a profile was started through jax.profiler")
        jax.devices()  # on TPUs the devices have to be there first
        self._make, self._private = make, make(options)
        with contextlib.suppress(AttributeError, TypeError):
            setattr(_profiler, _SESSION, self._of_others)

    def stop(self) -> bytes:
        """Return the trace as a serialised XSpace; of what was before somebody else has started a profile.

        Raises:
            TakenError: another profile has been running all the time.
        """
        if self._private is None and not self.gave_way:
            return self._stop_public()
        with _told():
            self._end()
        return self._kept

    def _end(self) -> None:
        with _lock:
            private, self._private = self._private, None
            if getattr(_profiler, _SESSION, None) == self._of_others:
                setattr(_profiler, _SESSION, self._make)
            if private is not None:
                self._kept = private.stop()

    def _of_others(self, *args: Any, **kwargs: Any) -> Any:
        """Be the class of sessions for everybody else as long as this one runs: a second session would fail when it stops."""
        if os.getpid() == self._process:
            self.gave_way = True
            with contextlib.suppress(Exception):
                self._end()
        return self._make(*args, **kwargs)

    def _stop_public(self) -> bytes:
        try:
            jax.profiler.stop_trace()
        except Exception:
            _reset()
            raise
        files = sorted(self._folder.glob("plugins/profile/*/*.xplane.pb"))
        return files[-1].read_bytes()


def probe(options: Any) -> None:
    """Start and stop the profiler: a session says only when it stops that another one was running.

    Args:
        options: of `profile_options`.

    Raises:
        TakenError: another profile is running, which goes on undisturbed.
    """
    if _is_public_one_running():
        raise TakenError("a profile was started through jax.profiler")
    make = getattr(_profiler, _SESSION, None)
    if make is not None and options is not None:
        jax.devices()
        with _told():
            make(options).stop()


def _is_public_one_running() -> bool:
    with contextlib.suppress(ImportError, AttributeError):
        from jax._src.profiler import _profile_state

        return _profile_state.profile_session is not None
    return False


def _reset() -> None:
    """Let JAX forget a profile that it could not write: every later one would be refused."""
    with contextlib.suppress(ImportError, AttributeError):
        from jax._src.profiler import _profile_state

        _profile_state.reset()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if any(words in str(error).lower() for words in _TAKEN):
            raise TakenError(str(error)) from error
        raise
