"""Directories of captures as XProf reads them: `<log_dir>/plugins/profile/<session>/<host>.xplane.pb`.

A session is never written twice, because XProf keeps in it what it has computed. Beside each file of ours is a note, which says
that it is ours, so that no session of anybody else is ever deleted.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from multiboard.profile.tracer import Raw

SPACE: Final = ".xplane.pb"
NOTE: Final = ".multiboard.json"
_SESSIONS: Final = 10_000


def profiles_of(log_dir: str | os.PathLike[str]) -> Path:
    """Return the directory of the sessions of a run."""
    return Path(log_dir, "plugins", "profile")


def session_name(step: int, number: int = 1) -> str:
    """Return the name of a session.

    >>> session_name(500), session_name(500, 2)
    ('step_000500', 'step_000500_r2')
    """
    return f"step_{step:06d}" + (f"_r{number}" if number > 1 else "")


def listed_name(session: Path) -> str:
    """Return how XProf lists a session in TensorBoard over the directory of the run's directory.

    >>> listed_name(Path("runs/torch/plugins/profile/step_000500"))
    'torch/step_000500'
    """
    name = "/".join(part for part in (*(run.name for run in session.parents[2:3]), session.name) if part)
    return os.fsencode(name).decode("utf-8", errors="replace")  # a directory may be named by any bytes


def host_name(raws: Iterable[Raw] = ()) -> str:
    """Return what the file of this process is called: `rank<i>` if there are several processes, else the name of the host.

    Args:
        raws: whose facts tell `rank`, and `world`, the number of processes, if they are known.
    """
    for raw in raws:
        rank = raw.facts.get("rank")
        if isinstance(rank, int) and raw.facts.get("world") != 1:
            return f"rank{rank}"
    return os.uname().nodename or "localhost"


def claim_session(profiles: Path, step: int, host: str, note: Mapping[str, Any]) -> Path:
    """Make a session for one host, with its note, and return it.

    Several ranks share a session, as long as nobody has looked at it; all others get one of their own.

    Args:
        profiles: the directory of sessions, made if missing.
        step: the first one of the window.
        host: the name of the file to be written.
        note: is kept beside it, as JSON.

    Raises:
        OSError: it cannot be made.
    """
    for number in range(1, _SESSIONS):
        session = profiles / session_name(step, number)
        try:
            _make(session, host)
            write_note(session, host, note, new=True)
        except FileExistsError:
            continue
        except OSError:
            leave(session, host)
            raise
        return session
    raise FileExistsError(f"no session of {profiles} is free for step {step}")


def _make(session: Path, host: str) -> None:
    """Make a session or join it; raises FileExistsError if it is not free for this host."""
    of_rank = host.startswith("rank")
    session.mkdir(parents=True, exist_ok=of_rank)  # another rank may be making it at the same time
    if of_rank and not all(_is_of_a_rank(path.name, host) for path in session.iterdir()):
        raise FileExistsError(session)


def _is_of_a_rank(name: str, host: str) -> bool:
    owner = name.lstrip(".").partition(".")[0]
    return owner.startswith("rank") and owner != host


def write_note(session: Path, host: str, note: Mapping[str, Any], *, new: bool = False) -> None:
    """Write the note of a host; with `new` raises FileExistsError if it has one."""
    with (session / f"{host}{NOTE}").open("x" if new else "w") as file:
        json.dump(note, file)


def read_notes(session: Path) -> dict[str, dict[str, Any]]:
    """Return the notes of a session by host; those that cannot be read are empty."""
    notes: dict[str, dict[str, Any]] = {}
    for path in sorted(session.glob(f"*{NOTE}")):
        notes[path.name.removesuffix(NOTE)] = {}
        with contextlib.suppress(OSError, ValueError):
            note = json.loads(path.read_text())
            notes[path.name.removesuffix(NOTE)] = note if isinstance(note, dict) else {}
    return notes


def move_beside(session: Path, host: str, raws: Sequence[Raw]) -> list[Raw]:
    """Move files into a session, named by the host and so that XProf takes none for a session's own; return where they are.

    Raises:
        OSError: one cannot be moved.
    """
    moved = []
    for raw in raws:
        name = Path(raw.path).name.removeprefix(f"{host}.")
        target = session / (f"{host}.{raw.framework}.xspace" if name.endswith(SPACE) else f"{host}.{name}")
        if Path(raw.path) != target:
            shutil.move(raw.path, target)
        moved.append(raw._replace(path=str(target)))
    return moved


def leave(session: Path, host: str) -> None:
    """Delete what a host has in a session, and the session if nobody else has anything in it; raises nothing."""
    with contextlib.suppress(OSError):
        for path in [*session.glob(f"{escape(host)}.*"), *session.glob(f".{escape(host)}.*")]:
            path.unlink(missing_ok=True)
        if not any(session.glob(f"*{SPACE}")) and not any(session.glob(f"*{NOTE}")):
            shutil.rmtree(session, ignore_errors=True)


def prune(newest: Path, host: str, keep: int | None) -> None:
    """Delete all but the newest sessions of a run that this host has noted; raises nothing.

    Args:
        newest: a session, which stays whatever the clock says of the others.
        host: of the files that are deleted.
        keep: how many stay, at least 1; None keeps all.
    """
    if keep is None:
        return
    with contextlib.suppress(OSError):
        notes = (note for note in newest.parent.glob(f"*/{escape(host)}{NOTE}") if note.parent != newest)
        others = sorted(notes, key=lambda path: (path.stat().st_mtime_ns, path.parent.name), reverse=True)
        for note in others[keep - 1 :]:
            leave(note.parent, host)
