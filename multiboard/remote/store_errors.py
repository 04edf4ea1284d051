"""What goes wrong in a remote place, said without credentials."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from multiboard import urls
from multiboard.errors import MissingFrameworkError, MultiboardError

_HIDDEN: Final = "***"
_SHORTEST: Final = 4
"""Shorter values are words of the language more often than passwords."""
_OPEN_OPTIONS: Final = frozenset(
    {"anon", "connect_timeout", "endpoint_url", "host", "location", "mode", "name", "port", "profile", "project", "protocol"}
    | {
        "read_timeout",
        "region_name",
        "retries",
        "max_attempts",
        "service_name",
        "signature_version",
        "addressing_style",
        "use_ssl",
    }
)
"""Options that a message may show; any other text may be a secret."""
_SECRET_VARIABLES: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY")
_MORE_SECRET_VARIABLES: Final = ("AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CONNECTION_STRING")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://[^\s'\"<>]+")
_EXPIRED: Final = re.compile(r"expired|skew", re.IGNORECASE)
_NEVER: Final = frozenset({400, 401, 403, 404, 405, 501})
"""Answers of a web server that stay the same."""
_PACKAGES: Final = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
    "az": ("adlfs", "azure"),
    "abfs": ("adlfs", "azure"),
    "abfss": ("adlfs", "azure"),
    "adl": ("adlfs", "azure"),
}
"""The package of a protocol, and the extra of multiboard that installs it."""


class StoreError(MultiboardError, OSError):
    """A remote place that cannot be read or written, now or at all.

    Attributes:
        lasting: waiting does not mend it: no permission, or no such bucket or file.
    """

    def __init__(self, action: str, place: str, kind: str, reason: str, *, lasting: bool) -> None:
        self.lasting = lasting
        super().__init__(f"{place}: cannot {action}: {kind}: {reason}" if reason else f"{place}: cannot {action}: {kind}")


class Veil:
    """Takes the credentials of one place out of messages that others have written.

    Args:
        url: of the place.
        options: of its file system.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._url, self._options = url, options

    def hide(self, text: str) -> str:
        """Return a text without the credentials of the URL, of the options and of the environment."""
        variables = (os.environ.get(name, "") for name in _SECRET_VARIABLES + _MORE_SECRET_VARIABLES)
        hidden = {value for value in [*urls.secrets(self._url), *_texts(self._options), *variables] if len(value) >= _SHORTEST}
        text = text.replace(self._url, urls.shown(self._url))
        for value in sorted(hidden, key=len, reverse=True):
            text = text.replace(value, _HIDDEN)
        return _URL.sub(lambda found: urls.shown(found[0]), text)


def _texts(options: Any, name: str = "") -> Iterator[str]:
    if isinstance(options, Mapping):
        for key, value in options.items():
            yield from _texts(value, str(key))
    elif isinstance(options, (list, tuple)):
        for value in options:
            yield from _texts(value, name)
    elif isinstance(options, str) and name not in _OPEN_OPTIONS:
        yield options


def is_lasting(error: Exception) -> bool:
    """Tell whether it is of no use to try again; credentials that have expired may be renewed, and count as passing."""
    if isinstance(error, PermissionError):
        return not _EXPIRED.search(str(error))
    if isinstance(error, (FileNotFoundError, NotImplementedError, TypeError, ValueError)):
        return True
    if getattr(error, "status", None) in _NEVER:
        return True
    return type(error).__name__ in {"NoCredentialsError", "PartialCredentialsError", "ParamValidationError"}


def missing_package(place: str, protocol: str, told: str = "") -> MissingFrameworkError:
    """Return the error of a protocol whose package is not installed.

    Args:
        place: the URL as it may be shown.
        protocol: of it; 'fsspec' if that itself is missing.
        told: what fsspec says of it.
    """
    if protocol == "fsspec":
        return MissingFrameworkError(place, "fsspec", _PACKAGES.get(urls.scheme(place), ("", "remote"))[1])
    if protocol in _PACKAGES:
        return MissingFrameworkError(place, *_PACKAGES[protocol])
    return MissingFrameworkError(place, f"another package beside fsspec ({told})", "remote")
