"""Segments: event files that are finished, never change, and say in their name at which step they end.

A live file is called `<event file name>.<token>`, where the token belongs to the spool; as a segment it is
`<event file name>.<token>.step<last step>`, or `.nostep` if it holds no value of a step. So a run that goes on needs only the
names of what lies in the store.
"""

from __future__ import annotations

import os
import re
import secrets
from typing import TYPE_CHECKING, Final

from multiboard.files import event_file_names
from multiboard.records import OVERHEAD, walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multiboard.records import Damage

SEGMENT_BYTES: Final = 32 * 2**20
"""Bytes from which on a live file becomes a segment."""
_MARK: Final = "tfevents"
_ENDING: Final = re.compile(r"\.(?P<token>[0-9a-f]{8})(?:\.(?P<end>nostep|step-?\d+))?$")


def new_token() -> str:
    """Return what tells the files of one spool from those of all others: hosts and processes may have the same name."""
    return secrets.token_hex(4)


def is_event_name(name: str) -> bool:
    """Tell whether TensorBoard takes the file of a path for an event file."""
    return _MARK in name.rpartition("/")[2]


def is_own(name: str, token: str) -> bool:
    """Tell whether a file is a live file or a segment of a spool."""
    found = _ENDING.search(name)
    return found is not None and found["token"] == token and is_event_name(name)


def is_segment(name: str, token: str) -> bool:
    """Tell whether a file is a segment of a spool."""
    return is_own(name, token) and says_end(name)


def says_end(name: str) -> bool:
    """Tell whether the name of a file says at which step it ends, or that it holds none."""
    found = _ENDING.search(name)
    return found is not None and found["end"] is not None


def step_in_name(name: str) -> int | None:
    """Return the last step that the name of a segment says; None if it says none.

    >>> step_in_name("events.out.tfevents.1700000000.000003.host.7.0123abcd.step-41")
    -41
    """
    found = _ENDING.search(name)
    end = found["end"] if found is not None else None
    return int(end.removeprefix("step")) if end not in {None, "nostep"} else None


def finish(path: str, size: int | None = None) -> str | None:
    """Make a segment of a live file that nobody writes any more.

    Args:
        path: of the file.
        size: bytes of the whole records in it; None if its writer was killed: it is cut behind its last whole record.

    Returns:
        The path of the segment; None if the file holds no event and was deleted, or is gone.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return None
    end = _end_of_records(data) if size is None else size
    if end < len(data):
        data = data[:end]
        os.truncate(path, end)
    if len(data) < OVERHEAD or len(data) == OVERHEAD + int.from_bytes(data[:8], "little"):
        os.unlink(path)  # the version of the format alone
        return None
    from multiboard.last_step import last_step_of

    step = last_step_of(data)
    segment = f"{path}.nostep" if step is None else f"{path}.step{step}"
    os.rename(path, segment)
    return segment


def _end_of_records(data: bytes) -> int:
    damage: list[Damage] = []
    walk(data, damage)
    return damage[-1].offset if damage and damage[-1].torn else len(data)


def finish_all(directory: str, token: str) -> None:
    """Make segments of all live files that a killed process has left in a directory and below."""
    for folder, _, names in os.walk(directory):
        for name in names:
            if is_own(name, token) and not is_segment(name, token):
                finish(os.path.join(folder, name))


def segments_in(directory: str, token: str) -> list[str]:
    """Return the paths of all segments in a directory and below, in the order in which each run has written them."""
    found = []
    for folder, _, _ in os.walk(directory):
        found += [os.path.join(folder, name) for name in event_file_names(folder) if is_segment(name, token)]
    return sorted(found, key=os.path.basename)


def names_of_run(names: Iterable[str], run: str) -> list[str]:
    """Return the sorted names of the event files of one run, without their directory.

    Args:
        names: of all files, relative to the store, with '/'.
        run: the directory of the run, relative to the store, '' for the store itself.
    """
    split = (name.rpartition("/") for name in names)
    return sorted(name for folder, _, name in split if folder == run and is_event_name(name))
