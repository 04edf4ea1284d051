"""TensorBoard: whether it starts, how fast it reads, which tabs it has."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from multiboard.dashboard import command_line
from multiboard.doctor.findings import Finding, State
from multiboard.doctor.installed import directory_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.doctor.installed import Installed

_AREA: Final = "viewer"
_NUMPY: Final = (("2.17", "2"),)
"""TensorBoard before the first version does not work with NumPy from the second one on."""


def examine(installed: Installed, log_dir: str | os.PathLike[str] | None) -> Iterator[Finding]:
    """Yield what is found.

    Args:
        installed: packages.
        log_dir: named in the command.
    """
    name = installed.first("tensorboard", "tb-nightly")
    if not name:
        text = "not installed; files are written without it, and it shows them anywhere"
        yield Finding(_AREA, "TensorBoard", State.ABSENT, text, "pip install 'multiboard[tensorboard]'")
        return
    yield Finding(_AREA, "TensorBoard", State.GOOD, f"{name} {installed.version(name)}")
    yield from _start(installed, name)
    yield from _loader(installed)
    yield from _tabs(installed)
    shown = "LOG_DIR" if log_dir is None else os.fspath(log_dir)
    text = "a plain `tensorboard` draws 1,000 points of a curve and 10 pictures, chosen at random"
    yield Finding(_AREA, "flags", State.GOOD, text, f"multiboard serve {shown}, or {command_line(shown)}")


def _start(installed: Installed, name: str) -> Iterator[Finding]:
    """Yield what keeps TensorBoard from starting."""
    directory = directory_of("tensorboard")
    source = directory / "default.py" if directory else None
    imported = source is not None and source.is_file() and "import pkg_resources" in source.read_text(encoding="utf-8")
    if imported and directory_of("pkg_resources") is None:  # https://github.com/tensorflow/tensorboard/issues/7064
        text = f"{name} {installed.version(name)} imports pkg_resources, which setuptools no longer brings"
        yield Finding(_AREA, "pkg_resources", State.WRONG, text, f"pip install --upgrade {name}, or pip install 'setuptools<81'")
    if installed.can_compare:
        from packaging.version import parse

        for before, numpy in _NUMPY:
            if parse(installed.version(name)) < parse(before) and parse(installed.version("numpy") or "0") >= parse(numpy):
                text = f"{name} {installed.version(name)} fails with NumPy {installed.version('numpy')}"
                yield Finding(_AREA, "numpy", State.WRONG, text, f"pip install '{name}>={before}'")


def _loader(installed: Installed) -> Iterator[Finding]:
    version = installed.version("tensorboard-data-server")
    directory = directory_of("tensorboard_data_server")
    binary = directory / "bin" / "server" if directory else None
    if version and binary and binary.is_file() and os.access(binary, os.X_OK):
        yield Finding(_AREA, "fast loader", State.GOOD, f"tensorboard-data-server {version}")
        return
    reason = (
        f"tensorboard-data-server has no program for {sys.platform}" if version else "tensorboard-data-server is not installed"
    )
    yield Finding(_AREA, "fast loader", State.CARE, f"{reason}: large runs load slowly", "pip install tensorboard-data-server")


def _tabs(installed: Installed) -> Iterator[Finding]:
    tabs = installed.entry_points("tensorboard_plugins")
    if "multiboard" in tabs:
        yield Finding(_AREA, "Compare tab", State.GOOD, "TensorBoard finds it")
    else:
        text = "TensorBoard does not find it: multiboard runs from a directory and is not installed"
        yield Finding(_AREA, "Compare tab", State.CARE, text, "pip install multiboard, or pip install -e . in its directory")
    if installed.first("xprof", "tensorboard-plugin-profile"):
        found = installed.first("xprof", "tensorboard-plugin-profile")
        yield Finding(_AREA, "Profile tab", State.GOOD, f"{found} {installed.version(found)}")
    else:
        yield Finding(_AREA, "Profile tab", State.ABSENT, "not installed", "pip install 'multiboard[profile]'")
