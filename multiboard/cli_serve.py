"""The command that opens the dashboard: `multiboard serve`."""

from __future__ import annotations

import signal
import sys
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from multiboard.cli_paths import LogDir, up_to_date
from multiboard.errors import MultiboardError
from multiboard.urls import is_url

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_OWN: Final = {
    "--logdir": "use LOG_DIR",
    "--logdir_spec": "use LOG_DIR",
    "--port": "use the --port of this command",
    "--path_prefix": "use --path-prefix",
    "--host": "the page is for this computer only; run tensorboard itself for others",
    "--bind_all": "the page is for this computer only; run tensorboard itself for others",
}
"""Options of TensorBoard that are set here, and what to do instead."""
_TAKEN: Final = "Port 6006 is taken, so this is another one."
_SEVERAL: Final = "Several event files of one run are being written: TensorBoard looks at all of them (--reload_multifile=true)."


@click.command()
@click.argument("log_dir", type=LogDir(copied=False))
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[-- TENSORBOARD OPTIONS]")
@click.option("--port", type=click.IntRange(1, 65535), help="Of 127.0.0.1.  [default: 6006, or a free one]")
@click.option("--path-prefix", default="", metavar="PATH", help="Serve below this path, for a proxy that passes it on.")
@click.option("--open", "browser", is_flag=True, help="Open the page in a browser.")
@click.option(
    "--refresh", type=click.FloatRange(0.1), default=15.0, show_default=True, help="Of a URL: seconds between two looks."
)
def serve(
    log_dir: Path | str, options: tuple[str, ...], port: int | None, path_prefix: str, browser: bool, refresh: float
) -> None:
    """Start TensorBoard over the runs below LOG_DIR, on this computer only, with all points of a curve.

    It says how to reach the page from elsewhere, and what the Profile tab needs. LOG_DIR may be a URL: what is there, and what
    comes later, is copied to this computer, and TensorBoard reads the copy. What stands behind -- goes to TensorBoard as it is,
    e.g. -- --reload_interval=1.
    """
    from multiboard import dashboard
    from multiboard.access import PORT, usual_port
    from multiboard.live_files import several_live_files

    _check(options)
    console = Console(highlight=False, soft_wrap=True)
    chosen = usual_port() if port is None else port
    prefix = f"/{path_prefix.strip('/')}" if path_prefix.strip("/") else ""
    try:
        with up_to_date(log_dir, partial(console.print, markup=False), refresh) as directory:
            several = several_live_files(directory)
            more = ["--reload_multifile=true", *options] if several or is_url(log_dir) else options  # more writers may come
            process, address = dashboard.start(directory, chosen, more, prefix)
            notes = [_TAKEN] if port is None and chosen != PORT else []
            notes += [_SEVERAL] if several else []
            wait_for_end(process, address, console, chain(_notes(directory, address, chosen, prefix, browser=browser), notes))
    except MultiboardError as error:
        raise click.ClickException(str(error)) from error


def _check(options: tuple[str, ...]) -> None:
    for option in options:
        name = option.partition("=")[0]
        own = next((own for own in _OWN if own.startswith(name) and name.startswith("--") and name != "--"), None)
        if own:  # TensorBoard takes shortened names, too
            raise click.UsageError(f"{name} cannot be passed on: {_OWN[own]}.")


def _notes(directory: Path, address: str, port: int, prefix: str, *, browser: bool) -> Iterator[str]:
    """Yield what a person has to know, and open the page if that is wanted."""
    from multiboard.access import access_notes, open_browser
    from multiboard.dashboard import profile_notes

    yield from profile_notes(directory, address)
    yield from access_notes(str(directory), port, prefix)
    if browser and not open_browser(address):
        yield "There is no browser here that could be opened."


def wait_for_end(process: subprocess.Popen[bytes], address: str, console: Console, notes: Iterable[str] = ()) -> None:
    """Say the address of a dashboard when it answers, and end it with Ctrl-C, or when this process is told to end.

    Raises:
        DashboardError: it ended by itself.
    """
    from multiboard import dashboard

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        dashboard.wait_until_ready(process, address)
        console.print(f"\nTensorBoard runs at [link={address}]{address}[/link] (Ctrl-C ends it).")
        for note in notes:
            console.print(note, markup=False, soft_wrap=True)
        sys.stdout.flush()
        process.wait()
        raise dashboard.has_ended(process)
    except KeyboardInterrupt:
        console.print("Ended.")
    finally:
        process.terminate()
        process.wait()
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
