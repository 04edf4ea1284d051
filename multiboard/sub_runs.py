"""Sub-runs that the peers open without being asked, and which of them can go into the run that they belong to.

`add_hparams` of torch.utils.tensorboard and tensorboardX writes into a directory named by the time, `add_scalars` into one per
series, '<main tag with _ for />_<name>' in torch and '<main tag>/<name>' in tensorboardX, in which all points have the main tag.
Directories that a person has named stay runs.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard.events import read_event, read_value
from multiboard.files import event_files
from multiboard.reader import read_run
from multiboard.records import payload_at, walk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from multiboard.reader import RunData

_TIME: Final = re.compile(r"\d{9,}\.\d+")
"""A directory named `str(time.time())`."""
_CLEANED: Final = re.compile(r"[^-/\w.]")
"""Characters that tensorboardX replaces by '_' in tags, and not in the names of directories."""
_SESSION: Final = "_hparams_/session_start_info"
_KINDS: Final = ("histograms", "images", "texts", "audios", "pr_curves", "meshes", "tensors", "graphs")


class SubRun(NamedTuple):
    """A sub-run that may go into its run.

    Attributes:
        name: relative to the root.
        run: the one that it belongs to.
        renamed: tags in the run by tags in the sub-run.
        tags: all of them, as they are to be in the run.
        session: whether it holds hyper-parameters.
    """

    name: str
    run: str
    renamed: Mapping[str, str]
    tags: frozenset[str]
    session: bool


def sub_runs(directories: Mapping[str, Path]) -> dict[str, SubRun]:
    """Return the sub-runs that look like those of `add_hparams` and `add_scalars`, by name.

    Args:
        directories: of all runs by name relative to a root.
    """
    found: dict[str, SubRun] = {}
    for name, directory in directories.items():  # a run comes before those below it
        above = (str(parent) for parent in PurePosixPath(name).parents if name != ".")
        run = next((parent for parent in above if parent in directories and parent not in found), None)
        if run is not None and (sub_run := _sub_run(name, run, directory)):
            found[name] = sub_run
    return found


def refusal(sub_run: SubRun, others: Collection[SubRun], taken: Collection[str]) -> str:
    """Return why a sub-run has to stay a run, '' if it can be merged.

    Args:
        sub_run: the one.
        others: all sub-runs.
        taken: tags that its run has already.
    """
    if sub_run.session and sum(other.session and other.run == sub_run.run for other in others) > 1:
        return "it stays a run: there are several with hyper-parameters, and a run has one set."
    if sub_run.session and _SESSION in taken:
        return "it stays a run: the run that it belongs to has hyper-parameters itself."
    if both := sorted(sub_run.tags & set(taken)):
        return f"it stays a run: {both[0]!r} is a tag of the run that it belongs to, too."
    return ""


def _sub_run(name: str, run: str, directory: Path) -> SubRun | None:
    inside = PurePosixPath(name).relative_to(run)
    if _TIME.fullmatch(str(inside)):
        data = read_run(directory)
        return SubRun(name, run, {}, _tags(data), session=True) if data.hparams else None
    main = next(_first_tags(directory), "")
    spelled = str(inside), _CLEANED.sub("_", str(inside))  # of equal length
    prefix = next((p for p in (f"{main.replace('/', '_')}_", f"{main}/") if any(name.startswith(p) for name in spelled)), "")
    if not main or not prefix or str(inside)[len(prefix) :] == "":
        return None
    data = read_run(directory)
    if data.hparams or _tags(data) != {main}:
        return None
    tag = f"{main}/{str(inside)[len(prefix) :]}"
    return SubRun(name, run, {main: tag}, frozenset({tag}), session=False)


def _tags(data: RunData) -> frozenset[str]:
    columns: list[Mapping[str, Any]] = [data.scalars, *(getattr(data, kind) for kind in _KINDS)]
    return frozenset(tag for column in columns for tag in column)


def _first_tags(directory: Path) -> Iterator[str]:
    """Yield tags of a run from the first on; a run with pictures is not read whole to know that it is no series."""
    for path in event_files(directory):
        with path.open("rb") as file:
            data = file.read(_PEEK)
        for offset in walk(data, []).tolist():
            try:
                payload = payload_at(data, offset) or b""
                for begin, end in read_event(payload).values:
                    yield read_value(payload, begin, end).tag
            except ValueError:  # no Event
                continue


_PEEK: Final = 1 << 16
