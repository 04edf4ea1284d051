"""Files that appear when they are whole."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_CUT: Final = 40
"""Characters of the name that the part has, for a name of a file must not become too long."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name at the end, and none if something goes wrong."""
    path = Path(os.path.realpath(path))  # behind a link the link stays
    if path.exists() and not path.is_file():  # a pipe or a device
        with path.open("wb") as file:
            yield file
        return
    part = path.with_name(f".{path.name[:_CUT]}.{secrets.token_hex(4)}.part")
    file = part.open("xb")
    try:
        with file:
            yield file
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
