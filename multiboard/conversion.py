"""Old logs as multiboard would have written them: `multiboard.convert` and `multiboard convert`.

Every run below a directory becomes one under the same path elsewhere, with the same event files in multiboard's form, and the
other files that TensorBoard reads. Nothing of the original is touched.
"""

from __future__ import annotations

import mmap
import os
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from multiboard.beside_events import copy_beside
from multiboard.converted_file import FileConverter
from multiboard.errors import ArgumentError
from multiboard.files import event_files, is_event_file
from multiboard.legacy import Normaliser
from multiboard.reader import local_directory, run_directories
from multiboard.sub_runs import refusal, sub_runs
from multiboard.urls import is_url, shown
from multiboard.whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.records import Damage
    from multiboard.sub_runs import SubRun


@dataclass(slots=True)
class RunConversion:
    """What became of one run.

    Attributes:
        path: the new run directory; of a sub-run that was merged that of the run which took it.
        merged: whether it was merged into another run.
        files: names of the event files.
        events: records that were written.
        values: how many by kind.
        notes: what could not stay as it was: how often by sentence.
        damage: by file name, the places that could not be read; they are left out.
        copied: other files that TensorBoard reads, relative to the run.
        left: how many other files were not copied.
    """

    path: Path
    merged: bool = False
    files: list[str] = field(default_factory=list)
    events: int = 0
    values: dict[str, int] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    damage: dict[str, list[Damage]] = field(default_factory=dict)
    copied: list[str] = field(default_factory=list)
    left: int = 0


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """What `convert` did.

    Attributes:
        path: what was read.
        out: where the new runs are.
        runs: by path relative to `path`; '.' is the directory itself.
    """

    path: Path
    out: Path
    runs: dict[str, RunConversion] = field(default_factory=dict)


def convert(path: str | os.PathLike[str], out: str | os.PathLike[str], *, merge_sub_runs: bool = False) -> ConversionReport:
    """Write the runs of tensorboardX, torch.utils.tensorboard, TensorFlow, Keras and clu in multiboard's form.

    Steps, wall times, texts, pictures and clips stay as they are, and every point. What the form cannot hold is counted in the
    report, such as doubles, which are rounded to float32. A histogram has no sum and no sum of squares then; no tab shows them.

    Args:
        path: a run directory, or a directory above runs, also a URL; it is only read.
        out: directory of the new runs, under the same relative paths.
        merge_sub_runs: the runs that `add_hparams` and `add_scalars` of the peers open beside the run of their writer go into
            that run: the hyper-parameters with their metrics, and each series as the tag '<main tag>/<name>'. What would not be
            unambiguous stays a run, which the report says.

    Returns:
        What was written by run, and what was left out.

    Raises:
        ReadError: there is no event file.
        ArgumentError: `out` holds event files already, is a file or a URL, or lies within `path`.
    """
    if is_url(out):
        raise ArgumentError("out", shown(os.fspath(out)), "pass a local directory; it can be uploaded afterwards")
    root, target = local_directory(path), Path(out)
    directories = run_directories(root)
    _check_target(root, target)
    subordinate = sub_runs(directories) if merge_sub_runs else {}
    report = ConversionReport(root, target)
    tags: dict[str, set[str]] = {}
    for place, (name, directory) in enumerate(directories.items()):  # a run comes before those below it
        sub_run = subordinate.get(name)
        reason = refusal(sub_run, subordinate.values(), tags[sub_run.run]) if sub_run else ""
        merged = sub_run if sub_run and not reason else None
        into = merged.run if merged else name
        named = partial(_name_beside, report.runs[into].files[0], place) if merged else str
        conversion = _Conversion(target / into, merged, named)
        report.runs[name] = conversion.convert(directory)
        tags.setdefault(into, set()).update(conversion.tags)
        if reason:
            report.runs[name].notes[reason] += 1
    return report


def _check_target(root: Path, target: Path) -> None:
    if target.resolve().is_relative_to(root.resolve()):
        raise ArgumentError("out", os.fspath(target), f"it lies within {root}, which is only read; choose another directory")
    if target.exists() and not target.is_dir():
        raise ArgumentError("out", os.fspath(target), "it is no directory; choose another name")
    if any(map(is_event_file, target.rglob("*"))):
        raise ArgumentError("out", os.fspath(target), "it holds event files already; choose another directory")


def _name_beside(first: str, place: int, name: str) -> str:
    """Return the name of a file of a sub-run among those of its run, behind the first one, in which the run starts.

    Args:
        first: file of the run.
        place: a number that no other run of the conversion has.
        name: of the file.
    """
    name = f"{name}.{place:04d}"
    return name if name > first else f"{first}.{name}"


class _Conversion:
    """Converts one run.

    Args:
        path: the new run directory.
        sub_run: what is merged into it; None is a run of its own.
        named: returns the new name of an event file.
    """

    def __init__(self, path: Path, sub_run: SubRun | None, named: Callable[[str], str]) -> None:
        self._run = RunConversion(path, merged=sub_run is not None)
        self._normaliser = Normaliser(self._say, renamed=sub_run.renamed if sub_run else None)
        self._converter = FileConverter(self._normaliser, self._say, starts=sub_run is None)
        self._named = named

    def _say(self, cause: str, message: str, count: int = 1) -> None:  # noqa: ARG002  # of the protocol
        self._run.notes[message] += count

    @property
    def tags(self) -> set[str]:
        """All tags of the run."""
        return set(self._normaliser.tags)

    def convert(self, directory: Path) -> RunConversion:
        """Write the run of a directory."""
        run = self._run
        run.path.mkdir(parents=True, exist_ok=True)
        for path in event_files(directory):
            file_name = self._named(path.name)
            begins = not (run.files or run.merged)
            if damage := _convert_file(path, run.path / file_name, self._converter, first=begins):
                run.damage[file_name] = damage
            run.files.append(file_name)
        run.events, run.values = self._converter.events, dict(self._normaliser.counts)
        if not run.merged:
            run.copied, run.left = copy_beside(directory, run.path)
        return run


def _convert_file(path: Path, target: Path, converter: FileConverter, *, first: bool) -> list[Damage]:
    damage: list[Damage] = []
    with path.open("rb") as source, whole_file(target) as file:
        for part in converter.records(_mapped(source.fileno()), damage, first=first):
            file.write(part)
    return sorted(damage, key=lambda place: place.offset)


def _mapped(descriptor: int) -> bytes:
    """Return the content of a file, which need not fit into memory."""
    empty = not os.fstat(descriptor).st_size  # which cannot be mapped
    return b"" if empty else cast("bytes", mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
