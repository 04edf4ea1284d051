"""The command that opens the dashboard: `multiboard serve`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from multiboard.errors import MultiboardError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable


@click.command()
@click.argument("log_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--port", type=click.IntRange(1, 65535), help="Of 127.0.0.1.  [default: a free one]")
def serve(log_dir: Path, port: int | None) -> None:
    """Start TensorBoard over the runs below LOG_DIR, on this computer only, and say what its Profile tab needs."""
    from multiboard import dashboard

    console = Console(highlight=False)
    try:
        process, address = dashboard.start(log_dir, port)
        wait_for_end(process, address, console, dashboard.profile_notes(log_dir, address))
    except MultiboardError as error:
        raise click.ClickException(str(error)) from error


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
