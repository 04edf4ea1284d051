"""Bytes of a GraphDef, the graph that TensorBoard draws: nodes, their inputs and attributes.

The messages are GraphDef (graph.proto), NodeDef (node_def.proto), AttrValue (attr_value.proto) and TensorShapeProto
(tensor_shape.proto) of tensorflow/tensorflow, core/framework. An attribute is an encoded AttrValue, made by one of the functions
here. TensorBoard leaves out attributes of more than 1,024 bytes, so texts are cut.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from multiboard import wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LONGEST: Final = 900
_FIXED32: Final = 5
_UNKNOWN: Final = -1
_PRODUCER: Final = wire.message(4, wire.integer(1, 22))
"""GraphDef.versions: the number that both writers of PyTorch state."""


def graph_def(nodes: Iterable[bytes]) -> bytes:
    """Return a GraphDef of encoded nodes."""
    return b"".join(wire.message(1, node) for node in nodes) + _PRODUCER


def node(name: str, op: str, inputs: Iterable[str], attributes: Mapping[str, bytes], device: str = "") -> bytes:
    """Return a NodeDef.

    Args:
        name: unique in its graph; '/' makes groups.
        op: what is drawn as its operation.
        inputs: names of nodes, with ':1' and so on for outputs other than the first.
        attributes: by name, encoded.
        device: e.g. '/device:GPU:0'; TensorBoard understands no other form.
    """
    parts = [wire.message(1, name.encode()), wire.message(2, op.encode())]
    parts += [wire.message(3, source.encode()) for source in inputs]
    if device:
        parts.append(wire.message(4, device.encode()))
    parts += [_entry(key, value) for key, value in attributes.items()]
    return b"".join(parts)


@lru_cache(maxsize=4096)
def _entry(key: str, value: bytes) -> bytes:
    """Return an entry of NodeDef.attr; most nodes of a graph share theirs with others."""
    return wire.message(5, wire.message(1, key.encode()), wire.message(2, value))


def text(value: str) -> bytes:
    """Return an attribute that is a text, cut where TensorBoard would leave it out."""
    encoded = value.encode()
    whole = len(encoded) <= _LONGEST
    return wire.message(2, encoded if whole else encoded[:_LONGEST].decode(errors="ignore").encode() + "…".encode())


def integer(value: int) -> bytes:
    """Return an attribute that is an integer."""
    return wire.integer(3, value)


def boolean(value: bool) -> bytes:
    """Return an attribute that is true or false."""
    return wire.integer(5, int(value))


def number(value: float) -> bytes:
    """Return an attribute that is a float32."""
    return wire.tagged(4, _FIXED32, struct.pack("<f", value))


def dtype(value: int) -> bytes:
    """Return an attribute that is a type of tensorflow/core/framework/types.proto."""
    return wire.integer(6, value)


def shape(sizes: Sequence[int | None] | None) -> bytes:
    """Return an attribute that is a shape.

    Args:
        sizes: None for a size, or for all of them, that is not known.
    """
    return wire.message(7, shape_message(sizes))


def shapes(all_sizes: Iterable[Sequence[int | None] | None]) -> bytes:
    """Return an attribute that is a list of shapes, e.g. '_output_shapes', which TensorBoard writes on the edges."""
    return wire.message(1, *(wire.message(7, shape_message(sizes)) for sizes in all_sizes))


def shape_message(sizes: Sequence[int | None] | None) -> bytes:
    """Return the body of a TensorShapeProto."""
    if sizes is None:
        return wire.integer(3, 1)
    return b"".join(wire.message(2, wire.integer(1, _UNKNOWN if size is None else size)) for size in sizes)
