"""Whole files in a remote place, by the file systems of fsspec: put, get, list, stat and delete.

Nothing is appended and nothing is half there: object stores show an object when all of it has arrived, and other places get
a file under another name first. Retries above the few of the library itself are the caller's.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, unquote

from multiboard import urls
from multiboard.errors import ArgumentError
from multiboard.remote.store_errors import StoreError, Veil, is_lasting, missing_package

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Store", "StoreError", "Stored"]

_OBJECTS: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "r2"})
"""Protocols that show an object when all of it has arrived."""
_PART: Final = ".multiboard-part"
"""Ends the names of files that are on their way."""
_VERSIONS: Final = ("ETag", "etag", "generation", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")
"""What tells two contents of a name apart, in the words of s3fs, gcsfs, adlfs, and of local and other file systems."""
_TIMES: Final = ("LastModified", "last_modified", "updated", "mtime", "created")
_MISTAKE: Final = object()
_LEAST_SECONDS: Final = 60.0
_LEAST_RATE: Final = 200_000
"""Bytes per second: a transfer that is slower, after the first minute, counts as one that hangs."""


class Stored(NamedTuple):
    """A file in a store.

    Attributes:
        size: in bytes.
        version: changes with the content: the ETag of an object, or the time of the change.
        changed: seconds since the epoch; 0 if the place does not tell.
    """

    size: int
    version: str
    changed: float = 0.0


class Store:
    """A remote directory.

    Can be used from several threads, and from a process that was forked from the one that made it.

    Args:
        url: of the directory, of any protocol of fsspec.
        options: of its file system, e.g. `{"key": ..., "secret": ..., "client_kwargs": {"endpoint_url": ...}}`; None leaves
            them to the environment variables and files that the library of the protocol reads.

    Attributes:
        url: without credentials.
        parallel: whether several transfers at the same time are faster and safe.

    Raises:
        ArgumentError: fsspec knows no such protocol, or `options` is something else, or wrong.
        MissingFrameworkError: fsspec, or the package of the protocol, is not installed.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        if options is not None and not isinstance(options, Mapping):
            raise ArgumentError(
                "storage_options", type(options), "pass a dict of what the fsspec file system takes, e.g. {'key': ...}"
            )
        self.url = urls.shown(url)
        self._address, self._options = url, dict(options or {})
        self._veil = Veil(url, self._options)
        self._protocol = urls.scheme(url)
        self._process = os.getpid()
        self._fs, self._root = self._open()
        self.parallel: bool = bool(getattr(self._fs, "async_impl", False)) or self._protocol in {"file", "local", "memory"}

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def put(self, local: str, name: str) -> None:
        """Upload a file; others see the whole file or nothing of it. One of this name is replaced.

        Args:
            local: path of the file.
            name: relative to the store, with '/' between its parts.

        Raises:
            OSError: the local file cannot be read.
            StoreError: it did not arrive; `lasting` tells whether it is of use to try again.
        """
        size = Path(local).stat().st_size
        self._call("put", name, lambda fs, path: self._put(fs, local, path, size))

    def get(self, name: str, local: str) -> None:
        """Download a file, through another name in the same directory, which is made if it is missing.

        Raises:
            OSError: the local file cannot be written.
            StoreError: it cannot be had.
        """
        target = Path(local)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{secrets.token_hex(8)}{_PART}")
        try:
            self._call("get", name, lambda fs, path: fs.get_file(path, os.fspath(part)))
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def list(self) -> dict[str, Stored]:
        """Return all files below the directory by relative name, sorted; {} if there is nothing, or no such directory."""
        found = self._call("list", "", self._find)
        return dict(sorted((name, stored) for name, stored in found.items() if name and not name.endswith(_PART)))

    def stat(self, name: str) -> Stored | None:
        """Return what a file is, or None if there is none of this name."""
        info = self._call("stat", name, lambda fs, path: fs.info(path), missing=None)
        return _stored(info) if info and info.get("type", "file") == "file" else None

    def delete(self, name: str) -> None:
        """Delete a file; it is no mistake if there is none."""
        self._call("delete", name, lambda fs, path: fs.rm_file(path), missing=None)

    def _put(self, fs: Any, local: str, path: str, size: int) -> None:
        if self._protocol == "memory":  # whose files are seen while they are written, unless they come at once
            fs.pipe_file(path, Path(local).read_bytes())
            return
        if self._protocol in _OBJECTS:
            limit = _LEAST_SECONDS + size / _LEAST_RATE
            fs.put_file(local, path, **({"timeout": limit} if getattr(fs, "async_impl", False) else {}))
            return
        folder, _, last = path.rpartition("/")
        fs.makedirs(folder or "/", exist_ok=True)
        part = f"{folder}/.{secrets.token_hex(8)}{_PART}"
        try:
            fs.put_file(local, part)
            _move(fs, part, f"{folder}/{last}")
        except BaseException:
            with contextlib.suppress(Exception):  # the place may be gone
                fs.rm_file(part)
            raise

    def _find(self, fs: Any, path: str) -> dict[str, Stored]:
        fs.invalidate_cache()
        root = path.rstrip("/")
        try:
            files: dict[str, dict[str, Any]] = fs.find(path, detail=True)
        except FileNotFoundError:
            return {}
        found = {}
        for name, info in files.items():
            if name.startswith(f"{root}/"):
                known = info if info.get("size") is not None else fs.info(name)  # web servers list names only
                relative = name.removeprefix(root).lstrip("/")
                found[unquote(relative) if urls.is_url(root) else relative] = _stored(known)
        return found

    def _call(self, action: str, name: str, call: Callable[[Any, str], Any], *, missing: Any = _MISTAKE) -> Any:
        """Call the file system; what its libraries raise becomes a StoreError."""
        try:
            if os.getpid() != self._process:  # the threads of the other process, which did the work, are not in this one
                self._process = os.getpid()
                self._fs, self._root = self._open()
            return call(self._fs, _below(self._root, name))
        except FileNotFoundError as error:
            if missing is not _MISTAKE:
                return missing
            raise self._failed(action, name, error) from None
        except Exception as error:  # noqa: BLE001  # each library has its own, and no common base
            raise self._failed(action, name, error) from None

    def _failed(self, action: str, name: str, error: Exception) -> StoreError:
        place = urls.join(self.url, name) if name else self.url
        return StoreError(action, place, type(error).__name__, self._veil.hide(str(error)), lasting=is_lasting(error))

    def _open(self) -> tuple[Any, str]:
        """Return a file system of our own, which shares no listings and connections with others, and the path in it."""
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise missing_package(self.url, "fsspec") from None
        try:
            fs, root = url_to_fs(self._address, **_with_defaults(self._address, self._protocol, self._options))
        except ImportError as error:
            raise missing_package(self.url, self._protocol, str(error)) from None
        except ValueError as error:
            if "Protocol not known" in str(error):
                raise ArgumentError("url", self.url, "fsspec has no such protocol; use e.g. s3://, gs:// or az://") from None
            raise ArgumentError("url", self.url, self._veil.hide(str(error))) from None
        except TypeError as error:
            raise ArgumentError("storage_options", sorted(self._options), self._veil.hide(str(error))) from None
        except Exception as error:  # noqa: BLE001  # e.g. a server that is logged in to at once
            raise self._failed("open", "", error) from None
        listings = getattr(fs, "dircache", None)
        if listings is not None:
            listings.use_listings_cache = False
        if self._protocol in {"s3", "s3a"}:
            fs.retries = 1  # on top of those of botocore; whoever calls tries again later
        return fs, str(root)


def _with_defaults(address: str, protocol: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a file system, with what multiboard chooses where the caller does not."""
    if "::" in address:  # options go to the links by their protocols
        return options
    if protocol not in {"s3", "s3a"}:
        return {"skip_instance_cache": True, **options}
    retries = {"retries": {"mode": "standard", "max_attempts": 3}}
    config = {**retries, **options.get("config_kwargs", {})}
    return {"skip_instance_cache": True, "max_concurrency": 1, **options, "config_kwargs": config}  # one part of 50 MB in memory


def _below(root: str, name: str) -> str:
    """Return the path of a file in a file system; in that of http, paths are URLs."""
    if not name:
        return root
    return urls.join(root, quote(name)) if urls.is_url(root) else f"{root.rstrip('/')}/{name}"


def _move(fs: Any, part: str, path: str) -> None:
    """Give a file its name, also where another has it and the file system replaces none by itself."""
    try:
        fs.mv(part, path)
    except OSError:
        if not fs.exists(path):
            raise
        fs.rm_file(path)
        fs.mv(part, path)


def _stored(info: Mapping[str, Any]) -> Stored:
    version = next((info[name] for name in _VERSIONS if info.get(name) is not None), "")
    if isinstance(version, datetime):  # of a file that another call describes by seconds
        version = version.timestamp()
    changed = next((info[name] for name in _TIMES if info.get(name) is not None), 0.0)
    return Stored(int(info.get("size") or 0), str(version).strip('"'), _seconds(changed))


def _seconds(time: datetime | float | str) -> float:
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            return 0.0
    return time.timestamp() if isinstance(time, datetime) else float(time)
