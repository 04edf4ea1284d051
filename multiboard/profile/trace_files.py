"""Files of profiles: what kind each is, what is in it, and where those of a run are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from multiboard.errors import ProfileReadError
from multiboard.profile.sessions import SPACE, claim_session, host_name, leave, profiles_of, read_notes
from multiboard.profile.spans import Spans
from multiboard.profile.xspace import HOST_PLANE, TASK_PLANE, find_plane, read_space, stats_of, write_space

if TYPE_CHECKING:
    from pathlib import Path

    from multiboard.profile.messages import XSpace

_BUFFERS: Final = ".memory.pprof"
_TENSORFLOW: Final = re.compile(r"TFE_|EagerExecute|ExecutorState::Process")
_UNSAFE: Final = re.compile(r"[^\w.-]")


class Converted(NamedTuple):
    """A trace that has become a file of a session.

    Attributes:
        path: the file.
        space: what is in it.
        step: the first of the session.
        size: bytes of the file.
    """

    path: Path
    space: XSpace
    step: int
    size: int


def convert_trace(trace: Path, run_dir: Path, step: int | None = None) -> Converted:
    """Make a session of a trace, or join one: ranks of one capture are hosts of one session.

    Args:
        trace: a Kineto trace, or an `.xplane.pb` file of JAX or TensorFlow, whose operations are named by layer then.
        run_dir: of the run that gets the session.
        step: the first of the session; by default that of the trace, 0 if it marks none.

    Raises:
        ProfileReadError: the file is neither.
        OSError: a file cannot be read or written.
    """
    space = named_profile(trace)
    steps = Spans(space).steps
    first = step if step is not None else steps[0].number if steps else 0
    host = _host(space)
    session = claim_session(profiles_of(run_dir), first, host, {"step": first, "steps": len(steps), "source": trace.name})
    path = session / f"{host}{SPACE}"
    try:
        return Converted(path, space, first, write_space(space, path))
    except OSError:
        leave(session, host)
        raise


def read_profile(path: Path) -> XSpace:
    """Read a profile, as it is, from an `.xplane.pb` file or from a Kineto trace.

    Raises:
        ProfileReadError: the file is neither.
        OSError: it cannot be opened.
    """
    if path.suffix == ".pb":
        space = read_space(path)
        if not space.planes:
            raise ProfileReadError(str(path), "it is empty")
        return space
    from multiboard.profile.kineto import convert

    return convert(path)


def named_profile(path: Path) -> XSpace:
    """Read a profile and name its operations by layer, as far as the file tells their layers.

    Raises:
        ProfileReadError: the file is none.
        OSError: it cannot be opened.
    """
    space = read_profile(path)
    if path.suffix != ".pb":
        return space
    plane = find_plane(space, HOST_PLANE)
    names = [metadata.name for metadata in plane.event_metadata.values()] if plane else []
    if any(_TENSORFLOW.match(name) for name in names):
        from multiboard.profile.enrich_tensorflow import enrich
    else:
        from multiboard.profile.enrich_jax import enrich
    enrich(space, {})
    return space


def live_buffers_beside(path: Path) -> bytes | None:
    """Return the profile of live buffers that was kept beside the file of a host, or None."""
    beside = path.with_name(path.name.removesuffix(SPACE) + _BUFFERS)
    return beside.read_bytes() if beside.is_file() else None


def profiles_in(path: Path) -> list[Path]:
    """Return the files of a session, one per host.

    Args:
        path: a file, a session, or a run, which means its last session.

    Raises:
        ProfileReadError: there is none.
    """
    if path.is_file():
        return [path]
    session = last_session(path)
    found = [] if session is None else sorted(session.glob(f"*{SPACE}"))
    if not found:
        waiting = session is not None and any("raws" in note for note in read_notes(session).values())
        raise ProfileReadError(
            str(path), f"its traces wait for `multiboard profile convert {session}`" if waiting else "it holds no session"
        )
    return found


def last_session(path: Path) -> Path | None:
    """Return a session, or the one of a run that was written last; None if there is none."""
    return next(reversed(sessions_in(path)), None)


def sessions_in(path: Path) -> list[Path]:
    """Return a session by itself, or those of a run in the order in which they were written."""
    if _is_session(path):
        return [path]
    found = [one for one in profiles_of(path).glob("*") if _is_session(one)]
    return sorted(found, key=lambda one: (one.stat().st_mtime_ns, one.name))


def _is_session(path: Path) -> bool:
    return any(path.glob(f"*{SPACE}")) or bool(read_notes(path))


def _host(space: XSpace) -> str:
    task = find_plane(space, TASK_PLANE)
    rank = stats_of(task, task).get("rank") if task else None
    if isinstance(rank, int):
        return f"rank{rank}"
    return _UNSAFE.sub("_", space.hostnames[0]) if space.hostnames and space.hostnames[0] else host_name()
