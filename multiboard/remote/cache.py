"""Where local copies of remote directories are kept if nobody says it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from multiboard import urls
from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPTIONS: Final = ("endpoint_url", "account_name", "account_host", "host", "port")
_VARIABLES: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AZURE_STORAGE_ACCOUNT_NAME", "STORAGE_EMULATOR_HOST")
"""What says whose server it is: there, two places may have one URL."""


def cache_directory(url: str, options: Mapping[str, Any] | None = None) -> Path:
    """Return the directory for the copy of a URL, whose last part is that of the URL.

    Args:
        url: as it may be shown.
        options: storage options; servers and accounts in them, or in environment variables, tell places with one URL apart.

    Raises:
        ArgumentError: the user has no home directory, and no other place is named.
    """
    url = url.rstrip("/")
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        top = Path(cache).expanduser()
    except RuntimeError:
        rule = "this user has no home directory; name a directory for local copies by this environment variable"
        raise ArgumentError("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME"), rule) from None
    last = re.sub(r"[^\w.@=+,-]", "_", url.rpartition("/")[2].rpartition(":")[2])
    servers = [*_servers(options or {}), *(f"{name}={os.environ.get(name, '')}" for name in _VARIABLES)]
    place = "\n".join([url, *map(urls.shown, servers)])
    digest = hashlib.blake2b(place.encode(errors="surrogateescape"), digest_size=10).hexdigest()
    return top / "multiboard" / "mirror" / digest / (last.strip(".") or "runs")


def _servers(options: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(map(str, options)):
        value = options.get(name)
        if isinstance(value, Mapping):
            yield from _servers(value)
        elif name in _OPTIONS:
            yield f"{name}={value}"
