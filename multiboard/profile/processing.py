"""What becomes of the raw files of a window: one XSpace in the session, and its summary.

It takes tens of microseconds per event, so a process of its own does it, `python -m multiboard.profile.processing <job>`, and the
interpreter of the training is not held up. The job is a file with the JSON of a `Job`; the answer is one line of JSON.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import sys
from importlib import import_module
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard.profile.sessions import SPACE, listed_name, move_beside, read_notes, write_note
from multiboard.profile.tracer import Raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.profile.summary import Summary

_ENRICHED: Final = ("jax", "tensorflow")
_NICE: Final = 10
"""How much less than the training a process that converts gets of a core that both want."""


class Job(NamedTuple):
    """One window to be finished.

    Attributes:
        raws: the files, those of the main framework first.
        session: the directory to write to.
        host: what the files of this process are called there.
        max_events: of a trace; the rest of it is left out.
        keep_raw: whether the raw traces are kept beside.
        folder: a directory that is deleted at the end; None deletes nothing.
    """

    raws: tuple[Raw, ...]
    session: str
    host: str
    max_events: int | None
    keep_raw: bool
    folder: str | None = None

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps({**self._asdict(), "raws": [raw._asdict() for raw in self.raws]})

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Return what `to_json` was called of."""
        fields = json.loads(text)
        return cls(**{**fields, "raws": tuple(Raw(**raw) for raw in fields["raws"])})


class Done(NamedTuple):
    """What came out of a job.

    Attributes:
        scalars: of the summary, by tag.
        texts: of the summary, markdown by tag.
        events: in the XSpace.
    """

    scalars: dict[str, float]
    texts: dict[str, str]
    events: int


def process(raws: Sequence[Raw], session: Path, host: str, *, max_events: int | None = None, keep_raw: bool = False) -> Summary:
    """Make one XSpace of the raw files of a process, write it into a session, and return its summary.

    Args:
        raws: the files, those of the main framework first; those of other frameworks are merged into it.
        session: an existing directory.
        host: the name of the file there, without its ending.
        max_events: of each trace.
        keep_raw: keep the raw traces beside it, those of torch as `<host>.pt.trace.json.gz`.

    Returns:
        The summary, which may say that there is nothing.

    Raises:
        OSError: the session cannot be written; nothing half-written is left in it.
        ValueError: a raw file is none.
    """
    return _process(Job(tuple(raws), os.fspath(session), host, max_events, keep_raw))[0]


def finish(job: Job) -> Done:
    """Do a job; see `process`."""
    summary, events = _process(job)
    return Done(summary.scalars(), summary.texts(listed_name(Path(job.session))), events)


def _process(job: Job) -> tuple[Summary, int]:
    """Return the summary, and the number of events."""
    from multiboard.profile.summary import summarize
    from multiboard.profile.xspace import count_events, write_space

    session = Path(job.session)
    space = _space(job)
    write_space(space, session / f"{job.host}{SPACE}")
    buffers = [Path(raw.path).read_bytes() for raw in job.raws if raw.kind == "pprof"]
    summary = summarize(space, live_buffers=buffers[0] if buffers else None)
    if job.keep_raw:
        _keep(job)
    move_beside(session, job.host, [raw for raw in job.raws if raw.kind == "artefact"])  # last: whoever tries again needs them
    return summary, count_events(space)


def finish_later(session: Path, host: str, raws: Sequence[Raw], *, max_events: int | None, keep_raw: bool) -> None:
    """Move the raw files of a host into its session, with a note of what is still to be done: see `finish_session`.

    Raises:
        OSError: they cannot be moved.
    """
    moved = move_beside(session, host, raws)
    files = [{**raw._asdict(), "path": Path(raw.path).name} for raw in moved]  # a session may be copied elsewhere
    note = read_notes(session).get(host, {})
    write_note(session, host, {**note, "raws": files, "max_events": max_events, "keep_raw": keep_raw})


def finish_session(session: Path) -> dict[str, Summary]:
    """Do what `finish_later` has left to do in a session.

    Returns:
        The summaries of the hosts that were not finished.

    Raises:
        OSError: see `process`; the raw files are still there then.
        ValueError: likewise.
    """
    summaries = {}
    for host, note in read_notes(session).items():
        if "raws" in note:
            raws = [Raw(**{**raw, "path": str(session / raw["path"])}) for raw in note.pop("raws")]
            keep_raw = bool(note.pop("keep_raw", False))
            summaries[host] = process(raws, session, host, max_events=note.pop("max_events", None), keep_raw=keep_raw)
            write_note(session, host, note)
            for raw in raws if not keep_raw else [raw for raw in raws if raw.kind == "kineto"]:
                if raw.kind != "artefact":
                    Path(raw.path).unlink(missing_ok=True)
    return summaries


def _space(job: Job) -> Any:
    """Return the XSpace of all frameworks."""
    from multiboard.profile.merge import merge

    spaces = {}
    for raw in job.raws:
        if raw.kind in {"kineto", "xspace"} and raw.framework not in spaces:
            spaces[raw.framework] = _read(raw, job.max_events)
    if not spaces:
        raise ValueError("there is no trace among the files of this window")
    (_, main), *others = spaces.items()
    for step in job.raws[0].facts.get("unfinished", ()):
        _unmark(main, step)
    for name, other in others:
        merge(main, other, name)
    return main


def _read(raw: Raw, max_events: int | None) -> Any:
    if raw.kind == "kineto":
        from multiboard.profile.kineto import convert

        return convert(raw.path, facts=raw.facts, max_events=max_events)
    from multiboard.profile.xspace import read_space

    space = read_space(raw.path)
    if raw.framework in _ENRICHED:
        import_module(f"multiboard.profile.enrich_{raw.framework}").enrich(space, raw.facts)
    return space


def _unmark(space: Any, step: int) -> None:
    """Take away the first marker of a step that has not come to its end, because its time says nothing."""
    from multiboard.profile.step_marks import marked
    from multiboard.profile.xspace import stats_of

    found = [
        (line.timestamp_ns * 1000 + line.events[place].offset_ps, place, line)
        for plane in space.planes
        for line, place in marked(plane)
        if stats_of(line.events[place], plane)["step_num"] == step
    ]
    if found:
        _, place, line = min(found, key=itemgetter(0))
        del line.events[place]


def _keep(job: Job) -> None:
    """Keep the raw traces beside the session, compressed."""
    suffixes = {"kineto": ".pt.trace.json.gz", "xspace": ".{}.xspace", "pprof": ".memory.pprof"}
    for raw in job.raws:
        if raw.kind not in suffixes:
            continue
        target = Path(job.session, job.host + suffixes[raw.kind].format(raw.framework))
        if raw.kind == "kineto" and not raw.path.endswith(".gz"):
            with Path(raw.path).open("rb") as source, gzip.open(target, "wb", compresslevel=3) as kept:
                shutil.copyfileobj(source, kept)
        elif Path(raw.path) != target:
            shutil.copyfile(raw.path, target)


def main(path: str) -> int:
    """Do the job of a file in a process of its own, and print what came out of it; return the exit status."""
    job = Job.from_json(Path(path).read_text())
    try:
        answer: dict[str, Any] = finish(job)._asdict()
    except Exception as error:  # noqa: BLE001  # the other process says it
        answer = {"error": f"{type(error).__name__}: {error}", "disk": isinstance(error, OSError)}
    else:
        if job.folder is not None:  # also when the training has ended and nobody else would
            shutil.rmtree(job.folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        print(json.dumps(answer), flush=True)  # noqa: T201  # the answer
    return 0 if "error" not in answer else 1


if __name__ == "__main__":
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    sys.exit(main(sys.argv[1]))
