"""Where a run that goes on begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard.files import event_files
from multiboard.records import unframe

if TYPE_CHECKING:
    from pathlib import Path


def next_step(log_dir: Path) -> int:
    """Return the step after the last one in the event files of a directory, 0 if there is none."""
    last = -1
    if not log_dir.is_dir():
        return 0
    for file in event_files(log_dir):
        for payload in unframe(file.read_bytes(), []):
            if payload[9:10] == b"\x10":
                step, shift = 0, 0
                for byte in payload[10:20]:
                    step |= (byte & 0x7F) << shift
                    shift += 7
                    if byte < 0x80:
                        break
                last = max(last, step)
    return last + 1
