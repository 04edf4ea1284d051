"""Addresses of remote directories: what is one, and what of it may be shown.

A URL has a scheme of two characters or more, so that a drive of Windows is none. URLs of fsspec may be chained,
'simplecache::s3://bucket/runs'.
"""

from __future__ import annotations

import os
from typing import Final

_HIDDEN: Final = "***"
_TOKEN_SCHEMES: Final = ("http", "https", "github", "webdav", "dav")
"""Where a user name alone may be a password; elsewhere it tells places apart, as in 'abfs://container@account/runs'."""
_WITHOUT_PORTS: Final = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl")
"""Where what stands behind a colon, before an '@', is a password, also one that begins with a number and a '/'."""


def is_url(path: object) -> bool:
    """Tell whether a path is the address of a remote directory.

    Args:
        path: anything; only texts and path-like objects of texts are URLs.

    >>> is_url("s3://bucket/runs"), is_url("simplecache::s3://bucket"), is_url("runs/first"), is_url("C://runs")
    (True, True, False, False)
    """
    if not isinstance(path, (str, os.PathLike)):
        return False
    text = os.fspath(path)
    if not isinstance(text, str):
        return False
    schemes, mark, _ = text.partition("://")
    return bool(mark) and all(map(_is_scheme, schemes.split("::")))


def scheme(url: str) -> str:
    """Return the scheme in lower case, of a chain that of the last link, where the bytes are.

    >>> scheme("simplecache::S3://bucket/runs")
    's3'
    """
    last = next(link for link in reversed(url.split("::")) if "://" in link)
    return last.partition("://")[0].lower()


def join(url: str, name: str) -> str:
    """Return the address of a file or directory below a URL.

    Args:
        url: of a directory.
        name: relative, with '/' between its parts; '' and '.' stand for the directory itself.

    >>> join("s3://bucket/runs/", "first"), join("s3://bucket", ".")
    ('s3://bucket/runs/first', 's3://bucket')
    """
    name = name.strip("/")
    if name in {"", "."}:
        return url
    end = min((place for mark in "?#" if (place := url.find(mark)) >= 0), default=len(url))
    top, query = (url[:end], url[end:]) if scheme(url) in {"http", "https"} else (url, "")
    return f"{top}{name}{query}" if top.endswith("/") else f"{top}/{name}{query}"


def shown(url: str) -> str:
    """Return a URL as it may stand in logs and errors: without user and password, and without the values of its query.

    >>> shown("s3://AKIA:secret@bucket/runs"), shown("https://host/runs?sig=1f&version=2"), shown("sftp://anna@host/runs")
    ('s3://***@bucket/runs', 'https://host/runs?sig=***&version=***', 'sftp://anna@host/runs')
    """
    return "::".join(map(_link_shown, _links(url)))


def secrets(url: str) -> list[str]:
    """Return what `shown` leaves out: users with a password and the pieces of both, and the values of queries."""
    hidden = []
    for link in _links(url):
        _, place, query = _parts(link)
        user, _, _ = _user(link.partition("://")[0].lower(), place)
        hidden += [user, *user.split(":", 1), *user.replace(":", "/").split("/")] if user else []
        hidden += [value for pair in query[1:].split("&") if (value := pair.partition("=")[2])]
    return hidden


def _links(url: str) -> list[str]:
    """Return the links of a chain; a '::' in a password begins none."""
    links: list[str] = []
    for part in url.split("::"):
        if links and "://" in links[-1] and "://" not in part and not _is_scheme(part):
            links[-1] += f"::{part}"
        else:
            links.append(part)
    return links


def _link_shown(link: str) -> str:
    front, place, query = _parts(link)
    if not front:
        return link
    user, mark, host = _user(front.removesuffix("://").lower(), place)
    pairs = [f"{name}={_HIDDEN}" if mark else name for name, mark, _ in (pair.partition("=") for pair in query[1:].split("&"))]
    return front + (f"{_HIDDEN}{mark}{host}" if user else place) + query[:1] + "&".join(pairs)


def _parts(link: str) -> tuple[str, str, str]:
    """Return the scheme with its mark, host and path, and what begins with '?' or '#'."""
    scheme, mark, rest = link.partition("://")
    if not mark:
        scheme, rest = "", scheme
    behind = _password_end(scheme.lower(), rest)
    end = min((place for sign in "?#" if (place := rest.find(sign, behind)) >= 0), default=len(rest))
    return scheme + mark, rest[:end], rest[end:]


def _password_end(scheme: str, rest: str) -> int:
    """Return where to look for a query: behind a password, which may hold a '?' that is not escaped."""
    name, colon, port = rest.partition(":")
    number = port.replace("?", "/").replace("#", "/").partition("/")[0]
    is_port = number.isdecimal() and scheme not in _WITHOUT_PORTS
    return 0 if not colon or "/" in name or "[" in name or is_port else rest.rfind("@") + 1


def _user(scheme: str, place: str) -> tuple[str, str, str]:
    """Return what of host and path is to be hidden, the mark behind it, and the rest; '' if there is nothing to hide."""
    host, slash, path = place.partition("/")
    user, mark, server = host.rpartition("@")
    if mark and (":" in user or scheme in _TOKEN_SCHEMES):
        return user, mark, server + slash + path
    name, colon, port = host.partition(":")
    if mark or not colon or name.startswith("[") or (port.isdecimal() and scheme not in _WITHOUT_PORTS):
        return "", "", place
    # a password with a '/' that is not escaped
    user, mark, server = place.rpartition("@")
    if mark:
        return user, mark, server
    return (host, "", slash + path) if port and not port.isdecimal() else ("", "", place)


def _is_scheme(text: str) -> bool:
    return len(text) > 1 and text.isascii() and text[0].isalpha() and text.translate(_ALSO_IN_SCHEMES).isalnum()


_ALSO_IN_SCHEMES: Final = dict.fromkeys(map(ord, "+-."), None)
