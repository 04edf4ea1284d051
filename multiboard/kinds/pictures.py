"""Pictures as the caller passed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard import media
from multiboard.arrays import shape_of, take_array
from multiboard.values import Image

if TYPE_CHECKING:
    from multiboard.values import Foreign


def take(
    tag: str, pixels: Foreign, dataformats: str | None, step: int, wall_time: float, description: str
) -> tuple[Image, tuple[int, ...]]:
    """Return the pictures of one call and their shape.

    Raises:
        ValueShapeError: the axes are none of a picture.
    """
    taken = take_array(tag, pixels)
    shape = shape_of(pixels) or shape_of(taken) or ()
    axes = media.check_dataformats(tag, shape, dataformats) if dataformats else media.infer_dataformats(tag, shape)
    return Image(tag, taken, axes, step, wall_time, description), shape
