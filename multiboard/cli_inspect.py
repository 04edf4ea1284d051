"""The command that tells what is in event files: `multiboard inspect`."""

from __future__ import annotations

import json
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import click
from rich.markup import escape

from multiboard.cli_paths import LOG_DIR
from multiboard.cli_tables import console_of_tables, table
from multiboard.errors import MultiboardError
from multiboard.measures import shown_age, shown_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rich.table import Table

    from multiboard.overview import RunSummary
    from multiboard.records import Damage

_KINDS: Final = ("scalars", "histograms", "images", "audios", "texts", "pr_curves", "meshes", "tensors", "graphs")


@click.command()
@click.argument("path", type=LOG_DIR)
@click.option("--runs", "names", multiple=True, metavar="PATTERN", help="Only these runs, e.g. 'sweep/*'; may be repeated.")
@click.option("--tags", multiple=True, metavar="PATTERN", help="Show these tags, e.g. 'train/*' or '*'; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, tags included.")
def inspect(path: Path, names: tuple[str, ...], tags: tuple[str, ...], as_json: bool) -> None:
    """Show what the event files of runs hold: tags by kind, steps, bytes, whether somebody writes them, and damage.

    Many runs are a line each; the tags are shown of one run, or with --tags. Values are not looked at. The exit status is 0
    also if there is damage.
    """
    from multiboard.overview import overview

    try:
        runs = overview(path, lambda name: _matches(name, names))
    except (MultiboardError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if not runs:
        raise click.ClickException(f"no run below {path} matches {' or '.join(names)}.")
    if as_json:
        click.echo(json.dumps({name: _as_json(run) for name, run in runs.items()}, indent=1))
        return
    console = console_of_tables()
    detailed = tags or (("*",) if len(runs) == 1 else ())
    console.print(_tags_table(runs, detailed) if detailed else _runs_table(runs))
    console.print(_sum(runs), markup=False)
    for name, run in runs.items():
        for file, places in run.damage.items():
            console.print(f"{name}/{file}: {_damage(places)}", markup=False, soft_wrap=True)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _runs_table(runs: Mapping[str, RunSummary]) -> Table:
    """Return a line per run; kinds that no run has are no columns."""
    kinds = [kind for kind in _KINDS if any(kind in run.kinds() for run in runs.values())]
    found = table("run")
    for heading in ("files", "size", *kinds, "first step", "last step", "written"):
        found.add_column(heading, justify="right")
    found.add_column("state")
    now = time.time()
    for name, run in runs.items():
        tags, (first, last) = run.kinds(), run.steps or ("-", "-")
        numbers = (len(run.files), shown_bytes(run.size), *(tags.get(kind, "-") for kind in kinds), first, last)
        found.add_row(escape(name), *map(str, numbers), shown_age(now - run.written), _state(run))
    return found


def _state(run: RunSummary) -> str:
    damaged = sum(map(len, run.damage.values()))
    parts = ["[green]live[/green]"] if run.live else []
    if damaged and not (run.live and damaged == 1 and _torn(run)):  # the end of a file may be on its way
        parts.append(f"[red]{damaged} damaged[/red]")
    return ", ".join(parts)


def _torn(run: RunSummary) -> bool:
    return all(place.torn for places in run.damage.values() for place in places)


def _tags_table(runs: Mapping[str, RunSummary], patterns: tuple[str, ...]) -> Table:
    found = table("run", "kind", "tag")
    for heading in ("points", "first step", "last step", "size"):
        found.add_column(heading, justify="right")
    for name, run in runs.items():
        for row in _tag_rows(name, run, patterns):
            found.add_row(*row)
    return found


def _tag_rows(name: str, run: RunSummary, patterns: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    rows = sorted(run.tags.items(), key=lambda row: _KINDS.index(row[0][0]))
    shown = [row for row in rows if _matches(row[0][1], patterns)]
    for (kind, tag), found in shown:
        yield escape(name), kind, escape(tag), str(found.points), str(found.first), str(found.last), shown_bytes(found.size)
    if not shown:
        yield escape(name), "-", "-", "0", "-", "-", "-"


def _sum(runs: Mapping[str, RunSummary]) -> str:
    points = sum(tag.points for run in runs.values() for tag in run.tags.values())
    files, size = sum(len(run.files) for run in runs.values()), sum(run.size for run in runs.values())
    plural = "" if len(runs) == 1 else "s"
    return f"{len(runs):,} run{plural}, {files:,} event file{'' if files == 1 else 's'}, {shown_bytes(size)}, {points:,} points"


def _damage(places: list[Damage]) -> str:
    first = f"{len(places)} damaged places, the first at byte {places[0].offset}: {places[0].reason}"
    return first if len(places) > 1 else f"damaged at byte {places[0].offset}: {places[0].reason}"


def _as_json(run: RunSummary) -> dict[str, Any]:
    return {
        "path": str(run.path),
        "files": run.files,
        "size": run.size,
        "written": run.written,
        "live": run.live,
        "tags": [
            {"kind": kind, "tag": tag, "points": one.points, "first_step": one.first, "last_step": one.last, "size": one.size}
            for (kind, tag), one in run.tags.items()
        ],
        "damage": {file: [place._asdict() for place in places] for file, places in run.damage.items()},
    }
