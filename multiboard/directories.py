"""Directories of runs and sessions: readable names, and one that nobody else has."""

from __future__ import annotations

import os
import re
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from multiboard.errors import MultiboardError
from multiboard.urls import is_url, join

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard.remote import RemoteOptions

_NAME_LENGTH: Final = 120
"""Characters, all ASCII: file systems take 255 bytes, and a suffix may follow."""


def trial_name(hparams: Mapping[str, Any]) -> str:
    """Return hyper-parameters as the name of a directory; two sets may have the same one.

    >>> trial_name({"lr": 0.001, "optimizer/name": "adam w"})
    'lr=0.001,optimizer_name=adam_w'
    """
    name = ",".join(f"{key}={value}" for key, value in hparams.items())
    return re.sub(r"[^\w.,=+-]", "_", name, flags=re.ASCII)[:_NAME_LENGTH] or "trial"


def claim_directory(parent: str | os.PathLike[str], name: str, remote: RemoteOptions | Mapping[str, Any] | None = None) -> str:
    """Make a directory that did not exist and return it: of this name, or with '_1', '_2' and so on behind it.

    If none can be made, the first one is returned, for its user to say why. Below a URL nothing is made, and the name is one that
    this process was not given before, and that has no files there, as far as the place can be asked.

    Args:
        parent: of the directory, or its URL.
        name: of the directory.
        remote: as in `Run`, of a URL.
    """
    if is_url(parent):
        return _claim_url(os.fspath(parent), name, remote)
    for number in count():
        directory = Path(parent, f"{name}_{number}" if number else name)
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            if Path(parent).is_dir():
                continue
        except OSError:
            pass  # whoever writes there says why
        return os.fspath(directory)
    raise AssertionError  # count() has no end


def _claim_url(parent: str, name: str, remote: RemoteOptions | Mapping[str, Any] | None) -> str:
    for number in count():
        url = join(parent, f"{name}_{number}" if number else name)
        if url not in _claimed:
            _claimed.add(url)
            if not _has_files(url, remote):
                return url
    raise AssertionError  # count() has no end


def _has_files(url: str, remote: RemoteOptions | Mapping[str, Any] | None) -> bool:
    try:
        from multiboard.remote.options import remote_options
        from multiboard.remote.store_process import open_store

        return bool(open_store(url, remote_options(remote).storage_options).list())
    except (OSError, MultiboardError):  # the run that is opened there says why
        return False


_claimed: Final[set[str]] = set()
"""URLs that this process was given."""
