"""The values of one event, and which of them are samples of one: before anything is changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from multiboard import proto
from multiboard.fields import fields
from multiboard.legacy.forms import AUDIO, HISTO, IMAGE, SIMPLE_VALUE, TENSOR, Content

if TYPE_CHECKING:
    from collections.abc import Iterator

_BYTES, _FIXED32 = 2, 5
_TAG, _METADATA = (1, _BYTES), (9, _BYTES)
_CONTENTS: Final = {(SIMPLE_VALUE, _FIXED32), *((number, _BYTES) for number in (HISTO, IMAGE, AUDIO, TENSOR))}
_SAMPLE: Final = re.compile(r"(.+/(image|audio))/([0-9]{1,6})")
"""How tf.summary of TensorFlow 1 names the pictures and clips of one step."""


class Value(NamedTuple):
    """A Summary.Value: its bytes, and what of them matters here."""

    data: bytes
    tag: str
    metadata: bytes
    content: Content


def read_value(payload: bytes, begin: int, end: int) -> Value:
    """Return a Summary.Value that lies in a payload.

    Raises:
        ValueError: the bytes are none.
    """
    tag, metadata, content = "", b"", Content(0, b"")
    for number, kind, start, stop in fields(payload, begin, end):
        if (number, kind) == _TAG:
            tag = str(payload[start:stop], "utf-8")
        elif (number, kind) == _METADATA:
            metadata += payload[start:stop]  # joined messages are one message
        elif (number, kind) in _CONTENTS:
            content = Content(number, payload[start:stop])
    return Value(payload[begin:end], tag, metadata, content)


def is_message(value: Value) -> bool:
    """Tell whether TensorBoard can go on behind a value: one that is no message would end its reading of the file."""
    try:
        parsed = proto.Value.FromString(value.data)
    except Exception:  # noqa: BLE001  # protobuf's DecodeError has moved between versions
        return False
    plugin: str = parsed.metadata.plugin_data.plugin_name
    return plugin != "hparams"  # a set that cannot be read ends the HParams tab of all runs


def is_event(payload: bytes) -> bool:
    """Tell whether TensorBoard can read an event; one that it cannot read ends its reading of the file."""
    try:
        proto.Event.FromString(payload)
    except Exception:  # noqa: BLE001  # protobuf's DecodeError has moved between versions
        return False
    return True


def samples(values: list[Value]) -> Iterator[list[Value]]:
    """Yield the values one by one, but '<tag>/image/0', '<tag>/image/1', … of one event together."""
    group: list[Value] = []
    for value in values:
        found = _SAMPLE.fullmatch(value.tag) if value.content.form in {IMAGE, AUDIO} else None
        place = int(found[3]) if found else -1
        continues = bool(group) and place == len(group) and value.tag.rpartition("/")[0] == group[0].tag.rpartition("/")[0]
        if not (continues and value.content.form == group[0].content.form):
            yield from _joined(group)
            group = []
        if place == len(group):
            group.append(value)
        else:
            yield [value]
    yield from _joined(group)


def _joined(group: list[Value]) -> Iterator[list[Value]]:
    """Yield samples as one value if they have one size; a single one has nothing to be joined with."""
    if len(group) > 1 and len({_size(value.content) for value in group}) == 1:
        yield group
    else:
        yield from ([value] for value in group)


def _size(content: Content) -> object:
    """Return what samples of one value share: width and height of pictures; what cannot be read shares nothing."""
    if content.form != IMAGE:
        return None
    try:
        image = proto.Image.FromString(content.data)
    except Exception:  # noqa: BLE001  # protobuf's DecodeError has moved between versions
        return object()
    return image.width, image.height
