"""Meshes and point clouds: up to three tensors that TensorBoard's Mesh tab joins by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard import media, wire
from multiboard.arrays import fetch_array, take_array
from multiboard.errors import ArgumentError, ValueShapeError
from multiboard.kinds.checks import same_shape, shape_before_fetch
from multiboard.values import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from multiboard.values import Foreign

PARTS: Final = ("VERTEX", "FACE", "COLOR")
"""Names of the parts; the place in this list plus one is MeshPluginData.content_type (plugins/mesh/plugin_data.proto)."""
_DTYPES: Final = {"VERTEX": (wire.DT_FLOAT, "<f4"), "FACE": (wire.DT_INT32, "<i4"), "COLOR": (wire.DT_UINT8, "u1")}
_AXES: Final = 3


@dataclass(frozen=True, slots=True)
class Mesh:
    """One or several meshes of the same size.

    Attributes:
        parts: by name of `PARTS`: vertices `[B, V, 3]`, faces `[B, F, 3]`, colours `[B, V, 3]`; or without B.
        config: JSON for the 3-D view (three.js).
    """

    tag: str
    parts: Mapping[str, Foreign]
    config: str
    step: int
    wall_time: float
    description: str

    def expand(self) -> Iterator[Summary]:
        """Return one tensor for each part."""
        for name, part in self.parts.items():
            array = _as_batch(name, fetch_array(part))
            dtype, letter = _DTYPES[name]
            tensor = wire.numbers(dtype, array.shape, array.astype(letter).tobytes())
            content = self._content(PARTS.index(name) + 1, array.shape)
            tag = part_tag(self.tag, name)
            yield Summary(tag, "mesh", wire.TENSOR, tensor, self.step, self.wall_time, content, self.description)

    def _content(self, content_type: int, shape: tuple[int, ...]) -> bytes:
        components = sum(1 << (PARTS.index(name) + 1) for name in self.parts)
        return b"".join(
            (
                wire.message(2, self.tag.encode()),
                wire.integer(3, content_type),
                wire.message(5, self.config.encode()),
                *(wire.integer(6, size) for size in shape),
                wire.integer(7, components),
            )
        )


def part_tag(tag: str, part: str) -> str:
    """Return the tag of a part of a mesh."""
    return f"{tag}_{part}"


def _as_batch(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    batch = array if array.ndim == _AXES else array[np.newaxis]
    return media.to_uint8(batch) if name == "COLOR" else batch


def take(
    tag: str,
    vertices: Foreign,
    faces: Foreign | None,
    colors: Foreign | None,
    config: object,
    step: int,
    wall_time: float,
    description: str,
) -> Mesh:
    """Return the mesh of one call.

    Raises:
        ValueShapeError: a part has another shape, or the parts do not fit.
        ArgumentError: the config cannot be written as JSON.
    """
    given = dict(zip(PARTS, (vertices, faces, colors), strict=True))
    parts = {name: take_array(tag, part) for name, part in given.items() if part is not None}
    shapes = {name: shape_before_fetch(given[name], taken) for name, taken in parts.items()}
    for shape in shapes.values():
        if len(shape) != len(shapes["VERTEX"]) or len(shape) not in {2, _AXES} or shape[-1] != _AXES:
            raise ValueShapeError(tag, shape, "vertices are [V, 3] or [B, V, 3], faces and colors likewise.")
        same_shape(tag, "each part of a mesh", (*shape[:-2], 3), (*shapes["VERTEX"][:-2], 3))
    if "COLOR" in shapes:
        same_shape(tag, "colors", shapes["COLOR"], shapes["VERTEX"])
    return Mesh(tag, parts, _json(config), step, wall_time, description)


def _json(config: object) -> str:
    try:
        return json.dumps({} if config is None else config)
    except (TypeError, ValueError) as error:
        raise ArgumentError("config", config, f"pass a dict that JSON can hold ({error})") from error
