"""The commands for profiles that exist: `multiboard profile convert` and `multiboard profile summary`."""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click
from rich.console import Console

from multiboard.cli_paths import LogDir
from multiboard.errors import MultiboardError

if TYPE_CHECKING:
    from multiboard.profile.summary import Summary

_PATH = click.Path(exists=True, path_type=Path)


@click.group()
def profile() -> None:
    """Make profiles readable for XProf, and show their numbers."""


@profile.command()
@click.argument("traces", nargs=-1, required=True, type=_PATH)
@click.option("--log-dir", type=click.Path(file_okay=False, path_type=Path), help="Directory that TensorBoard shows.")
@click.option("--run", "run_name", default="", help="Name of the run in it that gets the sessions.")
@click.option("--step", type=click.IntRange(min=0), help="First step of the sessions.  [default: that of the trace]")
@click.option("--summary", "log_summary", is_flag=True, help="Also log the numbers of each session to the run.")
def convert(traces: tuple[Path, ...], log_dir: Path | None, run_name: str, step: int | None, log_summary: bool) -> None:
    """Convert traces of torch.profiler (.json or .json.gz) to sessions that XProf shows.

    Ranks of one capture become hosts of one session, and the first one tells its numbers. An .xplane.pb file of JAX or TensorFlow
    is copied with its operations named by layer. Sessions whose traces a Profiler with convert='lazy' has left there are finished
    where they are: one, or all of a run.
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        for trace in traces:
            if trace.is_dir():
                _finish(trace, log_summary, console)
            elif log_dir is None:
                raise click.UsageError("--log-dir is missing: say where the sessions go.")
            else:
                _convert(trace, log_dir / run_name, step, log_summary, console)
    except (MultiboardError, OSError) as error:
        raise click.ClickException(str(error)) from error
    except ValueError as error:
        raise click.ClickException(f"{trace}: {error}") from error


def _convert(trace: Path, run_dir: Path, step: int | None, log_summary: bool, console: Console) -> None:
    from multiboard.graph import text
    from multiboard.profile.summary import summarize
    from multiboard.profile.trace_files import convert_trace, profiles_in
    from multiboard.profile.xspace import count_events

    begin = perf_counter()
    done = convert_trace(trace, run_dir, step)
    seconds = perf_counter() - begin
    events = text.integer(count_events(done.space))
    console.print(f"{done.path}: {events} events, {text.size(done.size)}, in {seconds:.1f} s", markup=False)
    for warning in done.space.warnings:
        console.print(f"  {warning}", markup=False)
    if log_summary and len(profiles_in(done.path.parent)) == 1:
        _log(summarize(done.space), run_dir, done.step, done.path.parent)


def _log(summary: Summary, run_dir: Path, step: int, session: Path) -> None:
    from multiboard.profile.sessions import listed_name
    from multiboard.run import Run

    with Run(run_dir, facts=False, resume="add", per_rank=None) as run:
        run.log(summary.scalars(), step)
        for tag, markdown in summary.texts(listed_name(session.absolute())).items():
            run.text(tag, markdown, step)


def _finish(path: Path, log_summary: bool, console: Console) -> None:
    from multiboard.errors import ProfileReadError
    from multiboard.profile.processing import finish_session
    from multiboard.profile.sessions import read_notes
    from multiboard.profile.trace_files import sessions_in

    sessions, begun = sessions_in(path), False
    if not sessions:
        raise ProfileReadError(str(path), "it holds no session")
    for session in sessions:
        notes, summaries = read_notes(session), finish_session(session)
        if not summaries:
            continue
        begun = True
        console.print(f"{session}: finished {', '.join(summaries)}", markup=False)
        host, numbers = next(iter(summaries.items()))
        if log_summary:
            _log(numbers, session.absolute().parents[2], notes[host].get("step", 0), session)
    if not begun:
        console.print(f"{path}: nothing is left to do", markup=False)


@profile.command()
@click.argument("path", type=LogDir(file_okay=True))
@click.option("--json", "as_json", is_flag=True, help="Print everything that is known as JSON, by host.")
@click.option("--rows", type=click.IntRange(min=1), default=30, show_default=True, help="Operations to show.")
def summary(path: Path, as_json: bool, rows: int) -> None:
    """Show the numbers of a session, of an .xplane.pb file, of a trace of torch.profiler, or of the last session of a run."""
    from multiboard.profile.summary import summarize
    from multiboard.profile.trace_files import live_buffers_beside, profiles_in, read_profile

    try:
        found = {file.name: summarize(read_profile(file), live_buffers=live_buffers_beside(file)) for file in profiles_in(path)}
    except (MultiboardError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps({name: json.loads(one.to_json()) for name, one in found.items()}))
        return
    console = Console(highlight=False)
    for name, one in found.items():
        console.print(name, style="bold", markup=False)
        console.print(one.table(most=rows))
