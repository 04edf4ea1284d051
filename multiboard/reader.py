"""Event files to columns, at full resolution: nothing is sampled, nothing is purged, damage is reported.

Reads the tensor form that multiboard, TensorFlow 2 and tf.summary write, and the older simple_value, histo and image fields of
tensorboardX and torch.utils.tensorboard.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiboard import tags
from multiboard.contents import Contents
from multiboard.errors import ArgumentError, ReadError
from multiboard.files import event_files, is_event_file, read_again
from multiboard.listing import long_form, wide_form
from multiboard.urls import is_url, shown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from multiboard.listing import Listing
    from multiboard.records import Damage


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """All points of one tag, in the order of the files.

    Attributes:
        step: int64 `[n]`.
        wall_time: float64 `[n]`, seconds since the epoch.
        value: scalars: float64 `[n]`; histograms: n arrays `[k, 3]` of left, right, count; images and audios: n lists of files;
            texts: n strings; pr_curves: n arrays `[6, k]`; meshes and tensors: n arrays in their dtype; graphs: n serialised
            GraphDef.
        description: markdown of the tag.
    """

    step: npt.NDArray[np.int64]
    wall_time: npt.NDArray[np.float64]
    value: Any
    description: str = ""

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True, slots=True, eq=False)
class RunData:
    """What the event files of one directory hold, by kind and tag.

    Attributes:
        path: the directory.
        scalars: columns of numbers.
        histograms: columns of bucket rows.
        images: columns of pictures and videos, as encoded bytes.
        texts: columns of strings; tables are texts.
        audios: columns of clips, as encoded bytes.
        pr_curves: columns of curves; rows TP, FP, TN, FN, precision, recall by threshold.
        meshes: columns of parts, `<tag>_VERTEX`, `<tag>_FACE` and `<tag>_COLOR`.
        tensors: columns of raw tensors.
        graphs: columns of serialised graphs; the run's own one has the tag 'Default'.
        hparams: the hyper-parameters, empty if there are none.
        facts: the run facts, e.g. 'git/commit', empty if there are none; the dashboard shows them as hyper-parameters 'run/...'.
        status: 'success', 'failure' or '' while the hparams session has no end.
        damage: by file name, the places that could not be read.
    """

    path: Path
    scalars: dict[str, Column] = field(default_factory=dict)
    histograms: dict[str, Column] = field(default_factory=dict)
    images: dict[str, Column] = field(default_factory=dict)
    texts: dict[str, Column] = field(default_factory=dict)
    audios: dict[str, Column] = field(default_factory=dict)
    pr_curves: dict[str, Column] = field(default_factory=dict)
    meshes: dict[str, Column] = field(default_factory=dict)
    tensors: dict[str, Column] = field(default_factory=dict)
    graphs: dict[str, Column] = field(default_factory=dict)
    hparams: dict[str, bool | float | str] = field(default_factory=dict)
    facts: dict[str, bool | float | str] = field(default_factory=dict)
    status: str = ""
    damage: dict[str, list[Damage]] = field(default_factory=dict)


class Runs(Mapping[str, RunData]):
    """The runs below a directory by relative path; '.' is the directory itself."""

    def __init__(self, runs: dict[str, RunData]) -> None:
        self._runs = runs

    def __getitem__(self, name: str) -> RunData:
        return self._runs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def __repr__(self) -> str:
        return f"Runs({', '.join(self._runs)})"

    def to_pandas(self, kind: str = "scalars") -> pd.DataFrame:
        """Return all points of a kind in long form, at full resolution. Needs pandas.

        Args:
            kind: 'scalars' with the columns run, tag, step, wall_time, value; 'histograms' with left, right and count in place of
                value, a row per bucket; 'texts' with text; 'all' with a column kind and all of these.

        Returns:
            A data frame; steps are int64, wall times (seconds since the epoch) and numbers float64.

        Raises:
            ArgumentError: it is another kind.
            MissingFrameworkError: pandas is not installed.
        """
        return long_form(self, kind).to_pandas()

    def to_polars(self, kind: str = "scalars") -> Any:
        """Return what `to_pandas` does as a `polars.DataFrame`; empty cells are null. Needs polars."""
        return long_form(self, kind).to_polars()

    def wide(self) -> Listing:
        """Return all scalars with the columns run, step and one per tag, to be made a data frame of pandas or polars.

        Steps ascend within a run. The later one of two points of a tag at one step counts, in the order of the files. Steps at
        which a tag has no point are NaN in pandas and null in polars.

        Example:
            >>> import tempfile, multiboard as mb
            >>> directory = tempfile.mkdtemp()
            >>> with mb.Run(directory) as run:
            ...     run.log({"train/loss": 0.5, "train/accuracy": 0.25}, step=0)
            >>> list(mb.read(directory).wide().columns)
            ['run', 'step', 'train/loss', 'train/accuracy']
        """
        return wide_form(self)


def read(path: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> Runs:
    """Read all event files in a directory and below.

    Args:
        path: a run directory, or a directory above runs, also a URL: what is new there is copied first, see
            `multiboard.remote.mirror`.
        storage_options: of a URL, what its fsspec file system takes; None leaves it to the environment.

    Returns:
        The runs by path relative to `path`; a run directory itself is '.'.

    Raises:
        ReadError: there is no event file.
        StoreError: a URL cannot be read; an OSError.

    Example:
        >>> import tempfile, multiboard as mb
        >>> directory = tempfile.mkdtemp()
        >>> with mb.Run(directory) as run:
        ...     run.log({"train/loss": 0.5}, step=0)
        >>> mb.read(directory)["."].scalars["train/loss"].value
        array([0.5])
    """
    root = local_directory(path, storage_options)
    return Runs({name: read_run(directory) for name, directory in run_directories(root).items()})


def read_one(path: str | os.PathLike[str]) -> RunData:
    """Read the run in a directory: that of the directory itself, or the only one below it.

    Raises:
        ReadError: there is no event file.
        ArgumentError: there are several runs below it.
    """
    directories = run_directories(path)
    if "." not in directories and len(directories) > 1:
        named = ", ".join(os.fspath(directory) for directory in list(directories.values())[:3])
        raise ArgumentError("run", shown(os.fspath(path)), f"it holds {len(directories)} runs; name one, e.g. {named}")
    return read_run(directories.get(".") or next(iter(directories.values())))


def local_directory(path: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> Path:
    """Return a directory; that of a URL is a local copy, into which what is new has been copied.

    Raises:
        ReadError: the URL holds no event file.
        StoreError: it cannot be read.
    """
    if not is_url(path):
        return Path(path)
    from multiboard.remote.mirror import mirror

    return mirror(os.fspath(path), options=storage_options)


def run_directories(path: str | os.PathLike[str]) -> dict[str, Path]:
    """Return the directories that hold event files by path relative to `path`, sorted; raise ReadError if there is none."""
    root = local_directory(path)
    directories = sorted({file.parent for file in root.rglob("*") if is_event_file(file)})
    if not directories:
        raise ReadError(shown(os.fspath(path)))
    return {directory.relative_to(root).as_posix(): directory for directory in directories}


def read_run(directory: Path) -> RunData:
    """Read the event files of one directory, and of none below it."""
    return read_again(lambda: _read_run(directory))


def _read_run(directory: Path) -> RunData:
    contents = Contents()
    damage: dict[str, list[Damage]] = {}
    for file in event_files(directory):
        damage[file.name] = contents.add_file(file.read_bytes())
    hparams, facts = _split(contents.hparams)
    damage = {name: places for name, places in damage.items() if places}
    run = RunData(directory, hparams=hparams, facts=facts, status=contents.status, damage=damage)
    for kind, tag, points, description in contents.columns():
        getattr(run, kind)[tag] = Column(points.step, points.wall_time, points.value, description)
    return run


def _split(written: dict[str, bool | float | str]) -> tuple[dict[str, bool | float | str], dict[str, bool | float | str]]:
    """Return the user's hyper-parameters, and the run facts without their prefix."""
    facts = {name.removeprefix(tags.FACTS): value for name, value in written.items() if name.startswith(tags.FACTS)}
    return {name: value for name, value in written.items() if not name.startswith(tags.FACTS)}, facts
