"""What runs hold to one file of rows: CSV, JSON lines or Parquet.

A file appears under its name when it is whole. CSV and JSON lines are written block by block, and so is Parquet if pyarrow is
installed. Only scalars, histograms and texts have rows.
"""

from __future__ import annotations

import gzip
import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from multiboard.errors import ArgumentError, did_you_mean
from multiboard.listing import COLUMNS, long_form, wide_form
from multiboard.parquet import check_parquet, write_parquet
from multiboard.reader import RunData, Runs, read_run, run_directories
from multiboard.text_rows import ENCODERS
from multiboard.whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from multiboard.listing import Listing
    from multiboard.records import Damage

FORMATS: Final = ("csv", "jsonl", "parquet")
"""Suffixes, and names, of what can be written."""
_LISTED: Final = 8
"""Names that are given as examples."""


class Exported(NamedTuple):
    """What was written.

    Attributes:
        rows: their number.
        damage: by 'run/file' the places of event files that could not be read.
    """

    rows: int
    damage: dict[str, list[Damage]]


def export(
    path: str | os.PathLike[str] | Runs,
    out: str | os.PathLike[str] | BinaryIO,
    *,
    kind: str = "scalars",
    tags: Sequence[str] = (),
    runs: Sequence[str] = (),
    wide: bool = False,
    form: str | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write what runs hold to one file, at full resolution.

    Args:
        path: a run directory, a directory above runs, or what `mb.read` has returned.
        out: a file that ends in .csv, .jsonl or .parquet; .gz behind the first two compresses. Or an open binary file, which
            stays open and gets CSV unless `form` says otherwise.
        kind: 'scalars', 'histograms' (a row per bucket), 'texts', or 'all' for these three with a column that says which.
        tags: patterns like 'train/*'; only tags that match one are written.
        runs: the same for the names of runs.
        wide: scalars with a column per tag.
        form: 'csv', 'jsonl' or 'parquet', if the name does not tell.
        overwrite: replace a file that exists.

    Returns:
        The number of rows, and what could not be read.

    Raises:
        ReadError: there is no event file.
        ArgumentError: an argument is none of the possible ones, a pattern matches nothing, or the file exists.
        MissingFrameworkError: nothing is installed that writes Parquet.
        OSError: the file cannot be written.
    """
    form = _form(out, form)
    _check(out, kind, wide, overwrite)
    if form == "parquet":
        check_parquet()
    chosen = _load(path, kind, tags, runs)
    listing = wide_form(chosen) if wide else long_form(chosen, kind)
    rows = _write_to(out, listing, form)
    return Exported(rows, {f"{name}/{file}": places for name, run in chosen.items() for file, places in run.damage.items()})


def _write_to(out: str | os.PathLike[str] | BinaryIO, listing: Listing, form: str) -> int:
    if not isinstance(out, (str, os.PathLike)):
        return _write(listing, out, form)
    with whole_file(Path(out)) as file:
        return _write_zipped(listing, file, form) if Path(out).suffix.lower() == ".gz" else _write(listing, file, form)


def _form(out: Any, form: str | None) -> str:
    if form is not None and form not in FORMATS:
        raise ArgumentError("form", form, f"pass one of {', '.join(map(repr, FORMATS))}")
    if not isinstance(out, (str, os.PathLike)):
        return form or "csv"
    name = Path(out).name.lower()
    known = Path(name.removesuffix(".gz")).suffix.removeprefix(".")
    form = form or {"ndjson": "jsonl"}.get(known, known)
    if form not in FORMATS:
        raise ArgumentError("out", os.fspath(out), "let the name end in .csv, .jsonl or .parquet (.csv.gz, .jsonl.gz)")
    if form == "parquet" and name.endswith(".gz"):
        raise ArgumentError("out", os.fspath(out), "Parquet is compressed in itself; leave .gz out")
    return form


def _check(out: Any, kind: str, wide: bool, overwrite: bool) -> None:
    if kind not in COLUMNS and kind != "all":
        raise ArgumentError("kind", kind, f"pass one of {', '.join(map(repr, COLUMNS))} or 'all'")
    if wide and kind != "scalars":
        raise ArgumentError("wide", wide, f"only scalars have one number per tag and step, and kind is {kind!r}")
    if isinstance(out, (str, os.PathLike)) and not overwrite and Path(out).is_file():
        raise ArgumentError("out", os.fspath(out), "the file exists; choose another name, or pass overwrite=True (--force)")


def _load(path: str | os.PathLike[str] | Runs, kind: str, tags: Sequence[str], runs: Sequence[str]) -> Runs:
    """Read runs one by one and keep what is to be written."""
    kinds = tuple(COLUMNS) if kind == "all" else (kind,)
    directories = {} if isinstance(path, Runs) else run_directories(path)
    names = list(path) if isinstance(path, Runs) else list(directories)
    _check_patterns("runs", runs, names)
    kept = {
        name: _only(kinds, path[name] if isinstance(path, Runs) else read_run(directories[name]))
        for name in names
        if not runs or _matches(name, runs)
    }
    known = dict.fromkeys(tag for run in kept.values() for one in kinds for tag in getattr(run, one))
    if not known:
        what = "scalars, histograms or texts" if kind == "all" else kind
        raise ArgumentError("kind", kind, f"the runs hold no {what}; `multiboard inspect` lists what they hold")
    _check_patterns("tags", tags, known)
    return Runs({name: _only(kinds, run, tags) for name, run in kept.items()})


def _only(kinds: Iterable[str], run: RunData, tags: Sequence[str] = ()) -> RunData:
    """Return a run with the tags of some kinds that match a pattern, all if there is no pattern."""
    columns: dict[str, Any] = {
        kind: {tag: column for tag, column in getattr(run, kind).items() if not tags or _matches(tag, tags)} for kind in kinds
    }
    return RunData(run.path, damage=run.damage, **columns)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def _check_patterns(argument: str, patterns: Sequence[str], names: Iterable[str]) -> None:
    names = list(names)
    for pattern in patterns:
        if not any(_matches(name, [pattern]) for name in names):
            some = f"{', '.join(names[:_LISTED])}{', ...' if len(names) > _LISTED else ''}"
            raise ArgumentError(argument, pattern, f"it matches nothing.{did_you_mean(pattern, names)} There are {some}")


def _write_zipped(listing: Listing, file: BinaryIO, form: str) -> int:
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as zipped:
        return _write(listing, zipped, form)  # type: ignore[arg-type]  # typeshed does not call a GzipFile a BinaryIO


def _write(listing: Listing, file: BinaryIO, form: str) -> int:
    if form == "parquet":
        return write_parquet(listing, file)
    encoder = ENCODERS[form](list(listing.columns))
    file.write(encoder.head())
    rows = 0
    for block in listing.blocks():
        file.write(encoder.encode(block))
        rows += block.size
    return rows
