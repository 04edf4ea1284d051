"""Starts TensorBoard on this computer with the options that suit multiboard's files."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from multiboard.errors import MissingFrameworkError, MultiboardError

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST: Final = "127.0.0.1"
ALL_SCALARS: Final = "--samples_per_plugin=scalars=999999999"
"""Every point of a curve; 0, which the help text offers for this, returns none at all in TensorBoard 2.21."""


class DashboardError(MultiboardError, RuntimeError):
    """TensorBoard ended before it answered."""


def command_line(log_dir: str | os.PathLike[str]) -> str:
    """Return the command that a person types to open the dashboard."""
    return f"tensorboard --logdir {os.fspath(log_dir)} {ALL_SCALARS}"


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def start(
    log_dir: str | os.PathLike[str], port: int | None = None, options: Sequence[str] = ()
) -> tuple[subprocess.Popen[bytes], str]:
    """Start TensorBoard in a process of its own.

    Args:
        log_dir: the directory of the runs.
        port: by default a free one.
        options: more arguments for TensorBoard.

    Returns:
        The process and the address; it may not answer yet, see `wait_until_ready`.

    Raises:
        MissingFrameworkError: TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise MissingFrameworkError("the dashboard", "TensorBoard", "tensorboard")
    port = port or free_port()
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", os.fspath(log_dir), "--host", HOST, "--port", str(port)]
    process = subprocess.Popen([*command, ALL_SCALARS, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    return process, f"http://{HOST}:{port}/"


def wait_until_ready(process: subprocess.Popen[bytes], address: str, timeout: float = 120.0) -> None:
    """Wait until TensorBoard answers.

    Raises:
        DashboardError: it ended, or did not answer in time.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DashboardError(
                f"TensorBoard ended with code {process.returncode}; run `{sys.executable} -m tensorboard.main` to see why."
            )
        try:
            with urllib.request.urlopen(address + "data/environment", timeout=5):  # noqa: S310  # a loopback address of ours
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise DashboardError(f"TensorBoard did not answer at {address} within {timeout:g} s.")
