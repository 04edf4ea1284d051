"""The commands that make run directories smaller: `multiboard compact` and `multiboard prune`."""

from __future__ import annotations

import contextlib
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from multiboard.errors import MultiboardError
from multiboard.measures import seconds_of, shown_age, shown_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from multiboard.retention.deletion import Deletion
    from multiboard.retention.policy import Limits
    from multiboard.retention.rewriting import Rewrite

_RUNS = click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="RUNS...",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
_MATCH = click.option("--match", "patterns", multiple=True, metavar="PATTERN", help="Only runs of these names; may be repeated.")


def _length(_: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Return a length of time such as 30d in seconds."""
    try:
        return None if value is None else seconds_of(value, param.opts[0])
    except MultiboardError as error:
        raise click.BadParameter(str(error)) from error


_IDLE = click.option(
    "--idle",
    callback=_length,
    default="1h",
    show_default=True,
    metavar="TIME",
    help="How long nobody may have written a run, e.g. 0s, 10m or 2d.",
)
_LIMIT: Final = click.IntRange(2)


@click.command()
@_RUNS
@_MATCH
@_IDLE
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def compact(paths: tuple[Path, ...], patterns: tuple[str, ...], idle: float, dry_run: bool) -> None:
    """Bring the event files of each run into one, at or below each of RUNS; every point stays.

    A run that is being written, was written a moment ago, waits for its upload or is damaged is left alone.
    """
    from multiboard.retention.policy import NO_LIMITS

    with _one_sentence():
        done = _rewritten(_directories(paths, patterns), NO_LIMITS, idle, act=not dry_run)
    _print_sum(done, act=not dry_run)


@click.command()
@_RUNS
@_MATCH
@click.option(
    "--media", type=_LIMIT, metavar="N", help="Images, videos, audios, meshes and PR curves of a tag that stay at most."
)
@click.option("--histograms", type=_LIMIT, metavar="N", help="Histograms of a tag that stay at most.")
@click.option(
    "--texts", type=_LIMIT, metavar="N", help="Texts of a tag that stay at most; alerts and what tells of the run stay."
)
@click.option("--keep-last", type=click.IntRange(0), metavar="N", help="Delete runs, but not the N that were written last.")
@click.option("--older-than", callback=_length, metavar="TIME", help="Delete runs that nobody has written for so long, e.g. 30d.")
@_IDLE
@click.option("--yes", is_flag=True, help="Do it. Without this, only what would be done is said.")
def prune(
    paths: tuple[Path, ...],
    patterns: tuple[str, ...],
    media: int | None,
    histograms: int | None,
    texts: int | None,
    keep_last: int | None,
    older_than: float | None,
    idle: float,
    yes: bool,
) -> None:
    """Thin out media and histograms of runs, or delete old runs, at or below each of RUNS.

    The first and the last point of a tag stay, and others at even distances; scalars, tensors, graphs and hyper-parameters stay
    all. With --keep-last and --older-than a run goes if both say so: its event files, profiles and projector files. A run that is
    being written, was written a moment ago, waits for its upload or is damaged is left alone.
    """
    from multiboard.retention.policy import NO_LIMITS, Limits

    limits = Limits(media, histograms, texts)
    if limits == NO_LIMITS and keep_last is None and older_than is None:
        raise click.UsageError("Say what goes: --media, --histograms, --texts, --keep-last or --older-than.")
    with _one_sentence():
        directories = _directories(paths, patterns)
        deleted = _deleted(directories, keep_last, older_than, idle, act=yes)
        gone = {one.path for one in deleted if not one.left_alone}
        rest = [directory for directory in directories if directory not in gone]
        thinned = [] if limits == NO_LIMITS else _rewritten(rest, limits, idle, act=yes)
    _print_sum([*deleted, *thinned], act=yes)
    if not yes:
        click.echo("Nothing was changed; --yes does it.")


@contextlib.contextmanager
def _one_sentence() -> Iterator[None]:
    """Turn what goes wrong with files into the command's error."""
    try:
        yield
    except (MultiboardError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _directories(paths: Sequence[Path], patterns: Sequence[str]) -> list[Path]:
    from multiboard.reader import run_directories

    found = {
        directory.resolve(): directory
        for path in paths
        for name, directory in run_directories(path).items()
        if not patterns or any(fnmatchcase(path.resolve().name if name == "." else name, pattern) for pattern in patterns)
    }
    return list(found.values())


def _rewritten(directories: Iterable[Path], limits: Limits, idle: float, *, act: bool) -> list[Rewrite]:
    from multiboard.retention.lives import opened_for_writing
    from multiboard.retention.rewriting import Rewrite, rewrite

    console, done, opened = Console(highlight=False, soft_wrap=True), [], opened_for_writing()
    for directory in directories:
        try:
            one = rewrite(directory, limits, idle=idle, opened=opened, act=act)
        except OSError as error:  # the others can still be done
            one = Rewrite(directory, 0, 0, 0, left_alone=str(error))
        if text := _said(one):
            console.print(f"{directory}: {text}", markup=False)
        done.append(one)
    return done


def _said(one: Rewrite) -> str:
    if one.left_alone:
        return f"left alone: {one.left_alone}"
    if not one.changed:
        return ""
    files = f"{one.files} files, " if one.files > 1 else ""
    points = f", {one.thinned} points less" if one.thinned else ""
    return f"{files}{shown_bytes(one.before)} to one of {shown_bytes(one.after)}{points}"


def _deleted(
    directories: Sequence[Path], keep_last: int | None, older_than: float | None, idle: float, *, act: bool
) -> list[Deletion]:
    from multiboard.retention.deletion import Deletion, chosen, delete
    from multiboard.retention.lives import opened_for_writing

    console, done, opened = Console(highlight=False, soft_wrap=True), [], opened_for_writing()
    for directory in chosen(directories, keep_last, older_than):
        try:
            one = delete(directory, idle=idle, opened=opened, act=act)
        except OSError as error:  # the others can still be deleted
            one = Deletion(directory, time.time(), 0, 0, left_alone=str(error))
        gone = "deleted" if act else "would be deleted"
        others = f"; {one.others} other files stay" if one.others else ""
        what = f"left alone: {one.left_alone}" if one.left_alone else f"{gone}, {shown_bytes(one.size)}{others}"
        console.print(f"{directory} (written {shown_age(time.time() - one.written)}): {what}", markup=False)
        done.append(one)
    return done


def _print_sum(done: Sequence[Rewrite | Deletion], *, act: bool) -> None:
    freed, changed = sum(one.freed for one in done), sum(one.changed for one in done)
    alone = sum(bool(one.left_alone) for one in done)
    left = f", {alone} left alone" if alone else ""
    would, freed_or = ("changed", "freed") if act else ("would change", "to free")
    click.echo(f"{changed} of {len(done)} runs {would}{left}: {shown_bytes(freed)} {freed_or}")
