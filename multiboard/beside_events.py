"""What TensorBoard reads of a run directory beside event files: the projector's files and profiles."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from multiboard.files import is_event_file
from multiboard.whole_files import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG: Final = "projector_config.pbtxt"
_PLUGINS: Final = "plugins"
_PATH: Final = re.compile(r"""(?:tensor_path|metadata_path|image_path|bookmarks_path)\s*:\s*(["'])(.*?)\1""")
"""A file that the config of the projector names (projector_config.proto), relative to the run."""


def copy_beside(directory: Path, target: Path) -> tuple[list[str], int]:
    """Copy the files of a run that TensorBoard reads.

    Args:
        directory: of the run.
        target: its new directory.

    Returns:
        The copied files relative to the run, and how many files that lie in the directory itself were not copied.
    """
    copied = sorted({path for path in _read_by_tensorboard(directory) if _is_other_file(directory / path)})
    for path in copied:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        with (directory / path).open("rb") as source, whole_file(target / path) as file:
            shutil.copyfileobj(source, file)
    left = sum(path.is_file() and not is_event_file(path) and path.name not in copied for path in directory.iterdir())
    return copied, left


def _is_inside(directory: Path, named: str) -> bool:
    place = Path(os.path.realpath(directory / named))  # Path.resolve raises on links in a circle
    return not Path(named).is_absolute() and place.is_relative_to(os.path.realpath(directory))


def _is_other_file(path: Path) -> bool:
    try:
        return path.is_file() and not is_event_file(path)
    except OSError:  # the config names something that is too long for a name
        return False


def projector_files(directory: Path) -> Iterator[str]:
    """Yield the config of the projector, and the files that it names, relative to the run; they need not be there."""
    config = directory / _CONFIG
    if config.is_file():
        yield _CONFIG
        for _, named in _PATH.findall(config.read_text(errors="replace")):
            if "\0" not in named and _is_inside(directory, named):
                yield named


def _read_by_tensorboard(directory: Path) -> Iterator[str]:
    yield from projector_files(directory)
    for path in (directory / _PLUGINS).rglob("*"):
        yield path.relative_to(directory).as_posix()
