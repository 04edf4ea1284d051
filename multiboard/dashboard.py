"""Starts TensorBoard on this computer with the options that suit multiboard's files."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from multiboard.errors import MissingFrameworkError, MultiboardError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOST: Final = "127.0.0.1"
_KEPT: Final = {"scalars": 999_999_999, "histograms": 1000, "images": 200, "audio": 200, "text": 1000, "multiboard": 1000}
"""Steps of a tag by plugin: every point of a curve (0, which the help text offers for this, returns none at all in TensorBoard
2.21), and more of the others than the 10 to 500 that TensorBoard draws at random; it holds all of them in memory."""
SAMPLES: Final = "--samples_per_plugin=" + ",".join(f"{plugin}={count}" for plugin, count in _KEPT.items())
_PROFILE: Final = "data/plugin/profile"
_SPACES: Final = "**/plugins/profile/*/*.xplane.pb"
_SHOWN: Final = 3
"""Sessions whose timelines are named one by one, the newest."""


class DashboardError(MultiboardError, RuntimeError):
    """TensorBoard cannot begin, or has ended by itself."""


def command_line(log_dir: str | os.PathLike[str]) -> str:
    """Return the command that a person types to open the dashboard."""
    return f"tensorboard --logdir {shlex.quote(os.fspath(log_dir))} {SAMPLES}"


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def check_port(port: int) -> int:
    """Return a port that nobody listens on, or raise DashboardError: another TensorBoard there would answer for ours."""
    with socket.socket() as probe:
        if os.name == "posix":  # where this frees a port that has just been closed, and none that is listened on
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise DashboardError(f"port {port} of {HOST} cannot be had: {error.strerror}. Pass another one, or none.") from error
    return port


def start(
    log_dir: str | os.PathLike[str], port: int | None = None, options: Sequence[str] = (), prefix: str = ""
) -> tuple[subprocess.Popen[bytes], str]:
    """Start TensorBoard in a process of its own.

    Args:
        log_dir: the directory of the runs.
        port: by default a free one.
        options: more arguments for TensorBoard, which count more than those of this function.
        prefix: of the paths, e.g. '/board', for a proxy in front of it.

    Returns:
        The process and the address; it may not answer yet, see `wait_until_ready`.

    Raises:
        MissingFrameworkError: TensorBoard is not installed.
        DashboardError: the port cannot be had.
    """
    if find_spec("tensorboard") is None:
        raise MissingFrameworkError("the dashboard", "TensorBoard", "tensorboard")
    port = free_port() if port is None else check_port(port)
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", os.fspath(log_dir), "--host", HOST, "--port", str(port)]
    command += [SAMPLES, *([f"--path_prefix={prefix}"] if prefix else []), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    return process, f"http://{HOST}:{port}{prefix}/"


def wait_until_ready(process: subprocess.Popen[bytes], address: str, timeout: float = 120.0) -> None:
    """Wait until TensorBoard answers.

    Raises:
        DashboardError: it ended, or did not answer in time.
    """
    deadline = time.monotonic() + timeout
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy leads to the loopback interface
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise has_ended(process)
        try:
            with direct.open(address + "data/environment", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise DashboardError(f"TensorBoard did not answer at {address} within {timeout:g} s.")


def has_ended(process: subprocess.Popen[bytes]) -> DashboardError:
    """Return what is raised of a TensorBoard that has ended by itself."""
    command = shlex.join(map(str, process.args)) if isinstance(process.args, list) else process.args
    return DashboardError(f"TensorBoard ended with code {process.returncode}; to see why, run:\n{command!s}")


def profile_notes(log_dir: str | os.PathLike[str], address: str) -> Iterator[str]:
    """Yield what a person has to know to see the profiles below a directory; nothing if there are none.

    The charts of XProf wait for a script of Google and stay empty without the internet; its timelines, and all that multiboard
    itself writes, need nothing. See https://github.com/openxla/xprof/issues/133.

    Args:
        log_dir: the directory of the runs.
        address: of the TensorBoard that reads it, with a slash at its end.
    """
    top = Path(log_dir)
    spaces = _newest(top)
    if not spaces:
        return
    if find_spec("xprof") is None:
        yield "There are profiles, and the Profile tab needs XProf: pip install 'multiboard[profile]'."
        return
    yield "The charts of the Profile tab need the internet in the browser. Timelines do not; those of the newest profiles are:"
    for space in spaces[:_SHOWN]:
        yield f"  {timeline_address(top, space, address)}"


def _newest(top: Path) -> list[Path]:
    """Return the profiles below a directory, the newest first, without those that a training deletes at this moment."""
    found = []
    with contextlib.suppress(OSError):
        for path in top.glob(_SPACES):
            with contextlib.suppress(OSError):
                found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


def timeline_address(log_dir: Path, space: Path, address: str) -> str:
    """Return where a browser finds the timeline of a profile, by itself and without the internet.

    Args:
        log_dir: the directory that TensorBoard reads.
        space: `<log_dir>/<run>/plugins/profile/<session>/<host>.xplane.pb`.
        address: of TensorBoard, with a slash at its end.
    """
    run = space.parents[3].relative_to(log_dir).as_posix()
    name = space.parent.name if run == "." else f"{run}/{space.parent.name}"
    parts = {"run": name, "tag": "trace_viewer@", "host": space.name.removesuffix(".xplane.pb")}
    query = urllib.parse.urlencode(parts, errors="surrogateescape")  # a directory may be named by any bytes
    data = urllib.parse.quote(f"/{_PROFILE}/data?{query}", safe="")
    return f"{address}{_PROFILE}/trace_viewer_index.html?trace_data_url={data}"
