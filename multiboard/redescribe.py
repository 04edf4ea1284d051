"""Records that wait for a disk and have lost the file that describes their tags: the descriptions go with them once more.

Without it TensorBoard's data server shows nothing of a tag whose first value in a file has no metadata, whatever comes later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard.records import frame, unframe

if TYPE_CHECKING:
    from collections.abc import Mapping


def redescribe(framed: bytes, metadata: Mapping[str, bytes], described: set[str]) -> bytes:
    """Return framed records in which the first value of each tag has its metadata.

    Args:
        framed: one or more records.
        metadata: by tag: the encoded metadata field of a Summary.Value.
        described: tags that need none any more; grows.
    """
    from multiboard import proto  # 10 ms, which only a run needs that has lost its file on a full disk

    events = [proto.Event.FromString(payload) for payload in unframe(framed, [])]
    for event in events:
        for value in event.summary.value:
            if value.tag not in described and value.tag in metadata:
                described.add(value.tag)
                value.MergeFromString(metadata[value.tag])
    return b"".join(frame(event.SerializeToString()) for event in events)
