"""Where the numbers lie in an event that holds nothing but scalars.

Two events with the same layout and the same other bytes differ in wall time, step and numbers only. Whatever is not plainly
such an event has no layout, and is read message by message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from multiboard.fields import fields, varint

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TIME, _STEP, _SUMMARY = (1, _FIXED64), (2, _VARINT), (5, _BYTES)
_VALUE, _TAG, _SIMPLE_VALUE, _TENSOR, _METADATA = (1, _BYTES), (1, _BYTES), (2, _FIXED32), (8, _BYTES), (9, _BYTES)
_DTYPE, _SHAPE, _CONTENT = (1, _VARINT), (2, _BYTES), (4, _BYTES)
_DT_FLOAT, _DT_DOUBLE = 1, 2
_NUMBERS: Final = {
    _CONTENT: {_DT_FLOAT: "<f4", _DT_DOUBLE: "<f8"},
    (5, _BYTES): {_DT_FLOAT: "<f4"},
    (5, _FIXED32): {_DT_FLOAT: "<f4"},
    (6, _BYTES): {_DT_DOUBLE: "<f8"},
    (6, _FIXED64): {_DT_DOUBLE: "<f8"},
}
"""Format of a number by field of TensorProto (tensor_content, float_val, double_val) and dtype."""
_SIZES: Final = {"<f4": 4, "<f8": 8}
_WIDEST_STEP: Final = 8
"""Bytes of a step that one machine word holds; steps from 2**56 on are read one by one."""


class Place(NamedTuple):
    """A number in an event: offset in the payload and NumPy format, '<f4' or '<f8'."""

    offset: int
    format: str

    @property
    def size(self) -> int:
        """Bytes of the number."""
        return _SIZES[self.format]


class Series(NamedTuple):
    """What an event says about one of its numbers.

    Attributes:
        tag: of the value.
        plugin: of the metadata, '' without one, 'scalars' for the older simple_value.
        description: of the metadata.
        described: whether there is metadata.
    """

    tag: str
    plugin: str
    description: str
    described: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the changing bytes of an event lie.

    Attributes:
        time: offset of the wall time.
        step: offset of the step.
        width: bytes of the step, 0 if the event has none.
        places: of the numbers.
    """

    time: int
    step: int
    width: int
    places: tuple[Place, ...]


def scalar_layout(payload: bytes) -> tuple[Layout, tuple[Series, ...]] | None:
    """Return the layout of an event and what each of its numbers is, or None if it holds anything but plain scalars."""
    try:
        found = _once(payload, 0, len(payload))
        if not found.keys() <= {_TIME, _STEP, _SUMMARY} or _TIME not in found or _SUMMARY not in found:
            return None
        step, after = found.get(_STEP, (0, 0))
        if after - step > _WIDEST_STEP or (after and step + 8 > len(payload)):
            return None
        numbers = [
            _number(payload, begin, end) if (number, wire) == _VALUE else None
            for number, wire, begin, end in fields(payload, *found[_SUMMARY])
        ]
    except ValueError:  # UnicodeDecodeError is one
        return None
    sure = [number for number in numbers if number]
    if not sure or len(sure) < len(numbers):
        return None
    places, series = zip(*sure, strict=True)
    return Layout(found[_TIME][0], step, after - step, places), series


def _once(payload: bytes, begin: int, end: int) -> dict[tuple[int, int], tuple[int, int]]:
    """Return where each field lies, by number and wire type.

    Raises:
        ValueError: a field comes twice.
    """
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for number, wire, start, stop in fields(payload, begin, end):
        if (number, wire) in found:
            raise ValueError(f"field {number} comes twice")
        found[number, wire] = (start, stop)
    return found


def _number(payload: bytes, begin: int, end: int) -> tuple[Place, Series] | None:
    """Return place and meaning of a Summary.Value that holds one number."""
    found = _once(payload, begin, end)
    plugin, description = _metadata(payload, *found[_METADATA]) if _METADATA in found else ("", "")
    if plugin not in {"", "scalars"}:
        return None
    tag = str(payload[slice(*found.get(_TAG, (0, 0)))], "utf-8")
    fields_of_value = found.keys() - {_TAG, _METADATA}
    if fields_of_value == {_SIMPLE_VALUE}:
        return Place(found[_SIMPLE_VALUE][0], "<f4"), Series(tag, "scalars", description, _METADATA in found)
    place = _tensor(payload, *found[_TENSOR]) if fields_of_value == {_TENSOR} else None
    return (place, Series(tag, plugin, description, bool(plugin))) if place else None


def _tensor(payload: bytes, begin: int, end: int) -> Place | None:
    """Return the place of the one number of a TensorProto without dimensions."""
    found = _once(payload, begin, end)
    shape = found.pop(_SHAPE, (0, 0))
    dtype = found.pop(_DTYPE, None)
    if dtype is None or shape[0] != shape[1] or len(found) != 1:
        return None
    ((field, (start, stop)),) = found.items()
    letter = _NUMBERS.get(field, {}).get(varint(payload, *dtype)[0])
    return Place(start, letter) if letter and stop - start == _SIZES[letter] else None


def _metadata(payload: bytes, begin: int, end: int) -> tuple[str, str]:
    """Return plugin name and description of a SummaryMetadata."""
    found = _once(payload, begin, end)
    if not found.keys() <= {(1, _BYTES), (2, _BYTES), (3, _BYTES), (4, _VARINT)}:
        raise ValueError("unknown metadata")
    plugin = _once(payload, *found.get((1, _BYTES), (0, 0)))
    name, description = (payload[slice(*part.get((number, _BYTES), (0, 0)))] for part, number in ((plugin, 1), (found, 3)))
    return str(name, "utf-8"), str(description, "utf-8")
