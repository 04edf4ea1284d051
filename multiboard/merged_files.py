"""Which files a merged one stands for: their names and bytes, in the msg of the SessionLog START (event.proto) at its beginning.

Only a file that is still what was merged may be passed over, or deleted: one that has grown since, or was brought later from
elsewhere, holds what the merged one does not.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Final

from multiboard.fields import fields
from multiboard.records import OVERHEAD, payload_at, record_length

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_KEY: Final = "merged"
_LONGEST: Final = 1 << 26
"""Bytes of the longest message that is unpacked."""
_HEADER: Final = 12
_SESSION_LOG, _MESSAGE = (7, 2), (3, 2)


def note(sizes: Mapping[str, int]) -> bytes:
    """Return the message of a file that holds others: JSON, compressed, for their names are much alike.

    Args:
        sizes: their bytes by name.
    """
    return base64.b64encode(zlib.compress(json.dumps({_KEY: sizes}).encode("ascii")))


def merged_files(path: Path) -> dict[str, int]:
    """Return the bytes of each file that a merged one stands for, by name; nothing if it does not say.

    Raises:
        OSError: it cannot be read.
    """
    try:
        packed = base64.b64decode(_message(_second_payload(path)), validate=True)
        found = json.loads(zlib.decompressobj().decompress(packed, _LONGEST))[_KEY]
        return {name: size for name, size in found.items() if isinstance(size, int)}
    except (ValueError, zlib.error, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _second_payload(path: Path) -> bytes:
    """Return the payload of the second record of a file, b'' if there is none that is whole."""
    with path.open("rb") as file:
        size, begin, offset = path.stat().st_size, 0, 0
        for _ in range(2):
            file.seek(offset)
            header = file.read(_HEADER)
            length = record_length(header, 0) if len(header) == _HEADER else None
            if length is None or offset + OVERHEAD + length > size:
                return b""
            begin, offset = offset, offset + OVERHEAD + length
        file.seek(begin)
        return payload_at(file.read(offset - begin), 0) or b""


def _message(payload: bytes) -> bytes:
    for number, wire, begin, end in fields(payload, 0, len(payload)):
        if (number, wire) == _SESSION_LOG:
            return b"".join(payload[b:e] for n, w, b, e in fields(payload, begin, end) if (n, w) == _MESSAGE)
    return b""
