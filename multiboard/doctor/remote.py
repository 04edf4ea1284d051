"""Runs on URLs: the packages that they need, and what still waits for its upload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multiboard.doctor.findings import Finding, State
from multiboard.errors import MultiboardError
from multiboard.measures import shown_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.doctor.installed import Installed

_AREA: Final = "remote"
_STORES: Final = {"s3://": ("s3fs", "s3"), "gs://": ("gcsfs", "gcs"), "az://": ("adlfs", "azure")}
"""Distribution and extra by scheme."""


def examine(installed: Installed) -> Iterator[Finding]:
    """Yield what is found."""
    if not installed.version("fsspec"):
        yield Finding(_AREA, "runs on URLs", State.ABSENT, "fsspec not installed", "pip install 'multiboard[remote]'")
    else:
        for scheme, (name, extra) in _STORES.items():
            version = installed.version(name)
            if version:
                yield Finding(_AREA, scheme, State.GOOD, f"{name} {version}")
            else:
                yield Finding(_AREA, scheme, State.ABSENT, f"{name} not installed", f"pip install 'multiboard[{extra}]'")
    yield from _spools()


def reached(url: str) -> Finding:
    """Return whether the place behind a URL answers to this user."""
    from multiboard.remote.store import Store
    from multiboard.urls import shown

    try:
        Store(url).stat("multiboard-doctor")
    except (MultiboardError, OSError) as error:
        return Finding(
            _AREA, "URL", State.WRONG, str(error), "credentials and addresses come from the environment, see docs/remote.md"
        )
    return Finding(_AREA, "URL", State.GOOD, f"{shown(url)} can be reached")


def _spools() -> Iterator[Finding]:
    from multiboard.remote.options import spool_root
    from multiboard.remote.spools import waiting

    left = [spool for spool in waiting(spool_root()) if not spool.busy]
    for spool in left:
        text = f"{spool.files} files ({shown_bytes(spool.size)}) for {spool.about.url} were not uploaded: {spool.path}"
        yield Finding(_AREA, "spool", State.CARE, text, f"multiboard upload {spool.about.url}")
    if not left:
        yield Finding(_AREA, "spools", State.GOOD, "nothing waits for its upload")
