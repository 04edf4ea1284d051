"""The command that finishes uploads: `multiboard upload`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Table

from multiboard.errors import MultiboardError
from multiboard.remote.options import spool_root
from multiboard.urls import is_url, shown

if TYPE_CHECKING:
    from multiboard.remote.spools import Waiting

_DELAYS: Final = (1.0, 4.0, 15.0)
"""Seconds between the attempts for one run."""


@click.command()
@click.argument("url", required=False)
@click.option("--all", "everything", is_flag=True, help="Finish the runs on all URLs.")
@click.option("--spool", type=click.Path(file_okay=False), help="Directory of the spools.  [default: that of the runs]")
def upload(url: str | None, everything: bool, spool: str | None) -> None:
    """Finish the uploads of runs on URL, and below, whose processes have ended; without URL, list what waits."""
    from multiboard.remote.spools import waiting

    console = Console(highlight=False, soft_wrap=True)
    if url is not None and not is_url(url):
        raise click.BadParameter(f"{url!r} is no URL; pass one like s3://bucket/runs", param_hint="URL")
    found = waiting(spool_root(spool))
    if url is None and not everything:
        _list(console, found)
        return
    chosen = [one for one in found if everything or _rest(url, one) is not None]
    if not chosen:
        console.print("nothing waits for its upload")
    failed = [one for one in chosen if not _finish(console, one, url)]
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(chosen)} runs still wait for their upload")


def _list(console: Console, found: list[Waiting]) -> None:
    if not found:
        console.print("nothing waits for its upload")
        return
    table = Table("URL", "files", "bytes", "of")
    for one in found:
        owner = f"process {one.about.pid}, which writes" if one.busy else "a process that has ended"
        table.add_row(one.about.url, str(one.files), f"{one.size:,}", f"{owner}, on {one.about.host}")
    console.print(table)
    console.print("finish them with: multiboard upload URL, or multiboard upload --all")


def _rest(url: str | None, one: Waiting) -> str | None:
    """Return where the URL of a spool lies below another one, '' if it is the same; None if it does not."""
    top = shown(url or "").rstrip("/")
    own = one.about.url.rstrip("/")
    return own[len(top) :] if url and (own == top or own.startswith(f"{top}/")) else None


def _finish(console: Console, one: Waiting, url: str | None) -> bool:
    from multiboard.remote.sending import Sender
    from multiboard.remote.spool import Spool
    from multiboard.remote.store import Store

    name = one.about.url
    rest = _rest(url, one)
    if rest is None and not one.about.complete:
        console.print(f"{name}: pass the URL with its user and password, which are not kept: multiboard upload URL", markup=False)
        return False
    try:
        spool = Spool.adopt(one.path)
    except OSError as error:
        console.print(f"{name}: {error}", markup=False)
        return False
    if spool is None:
        console.print(f"{name}: process {one.about.pid} still writes or uploads it", markup=False)
        return False
    try:
        store = Store(name if rest is None or url is None else f"{url.rstrip('/')}{rest}")
        for delay in (*_DELAYS, None):
            try:
                Sender(store).send_spool(spool)
                break
            except OSError as error:
                if delay is None or getattr(error, "lasting", False):
                    raise
                time.sleep(delay)
    except (MultiboardError, OSError) as error:
        spool.let_go()
        console.print(f"{name}: {error}", markup=False)
        return False
    console.print(f"{name}: {one.files} files, {one.size:,} bytes uploaded", markup=False)
    return True
