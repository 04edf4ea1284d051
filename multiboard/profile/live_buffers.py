"""Which buffers of JAX are alive, and where they were made: the profile of `jax.profiler.save_device_memory_profile`.

It is a gzip of the message Profile (profile.proto of google/pprof), in which every buffer has the stack of Python that made it.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from multiboard.profile.summary import LiveRow
from multiboard.proto.schema import message_classes

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEMA: Final = {
    "Profile": "1 sample_type ValueType*, 2 sample Sample*, 4 location Location*, 5 function Function*, 6 string_table string*",
    "ValueType": "1 type int64, 2 unit int64",
    "Sample": "1 location_id uint64*, 2 value int64*, 3 label Label*",
    "Label": "1 key int64, 2 str int64, 3 num int64",
    "Location": "1 id uint64, 4 line Line*",
    "Line": "1 function_id uint64, 2 line int64",
    "Function": "1 id uint64, 2 name int64, 4 filename int64",
}
_Profile: Final = message_classes("pprof", _SCHEMA)["Profile"]
_FOREIGN: Final = re.compile(r"[/\\](site|dist)-packages[/\\]|[/\\]lib[/\\]python3|^<frozen |[/\\]multiboard(_\w+)?[/\\]")
"""Files that people do not look at: the site is the innermost frame elsewhere."""
_SEPARATOR: Final = re.compile(r"[/\\]")


def rows_of(content: bytes) -> tuple[LiveRow, ...]:
    """Return which buffers are alive by the place in Python that made them, the largest first.

    Args:
        content: what `jax.profiler.save_device_memory_profile` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        profile = _Profile.FromString(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
    except (OSError, EOFError, zlib.error, DecodeError) as error:
        raise ValueError(f"this is no profile of live buffers: {error}") from error
    names = profile.string_table
    values = {_text(names, kind.type): i for i, kind in enumerate(profile.sample_type)}
    frames = _frames(profile)
    found = defaultdict[tuple[str, str], list[int]](lambda: [0, 0])
    for sample in profile.sample:
        labels = {_text(names, label.key): _text(names, label.str) for label in sample.label}
        if labels.get("kind", "buffer") == "buffer":
            total = found[_site(sample, frames), labels.get("device", "")]
            total[0] += _value(sample, values.get("allocations"))
            total[1] += _value(sample, values.get("space"))
    rows = [LiveRow(site, device, count, size) for (site, device), (count, size) in found.items()]
    return tuple(sorted(rows, key=lambda row: (-row.bytes, row.site, row.device)))


def _frames(profile: Any) -> dict[int, tuple[str, str]]:
    """Return the file and the frame as text, by location."""
    names = profile.string_table
    functions = {one.id: (_text(names, one.name), _text(names, one.filename)) for one in profile.function}
    frames = {}
    for location in profile.location:
        for line in location.line[:1]:
            function, file = functions.get(line.function_id, ("", ""))
            frames[location.id] = file, f"{_SEPARATOR.split(file)[-1]}:{line.line} in {function}"
    return frames


def _site(sample: Any, frames: Mapping[int, tuple[str, str]]) -> str:
    known = [frames[number] for number in sample.location_id if number in frames]
    own = [text for file, text in known if not _FOREIGN.search(file)]
    return next(iter(own or [text for _, text in known]), "unknown")


def _value(sample: Any, index: int | None) -> int:
    return sample.value[index] if index is not None and index < len(sample.value) else 0


def _text(names: Any, index: int) -> str:
    return str(names[index]) if 0 <= index < len(names) else ""
