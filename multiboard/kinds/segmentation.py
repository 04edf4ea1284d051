"""Pictures with an integer mask over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from multiboard import media
from multiboard.arrays import fetch_array, take_array
from multiboard.errors import ArgumentError
from multiboard.kinds import drawing
from multiboard.kinds.checks import same_shape, shape_before_fetch
from multiboard.values import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from multiboard.values import Foreign


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Pictures and their masks.

    Attributes:
        image: the pictures.
        mask: integers `[H, W]` or `[N, H, W]`; 0 and below is background.
        alpha: opacity of the mask, 0 to 1.
        palette: RGB by label, uint8 `[P, 3]`; more labels begin again.
    """

    image: Image
    mask: Foreign
    alpha: float
    palette: npt.NDArray[np.uint8]

    @property
    def tag(self) -> str:
        """The tag of the pictures."""
        return self.image.tag

    @property
    def step(self) -> int:
        """The step of the pictures."""
        return self.image.step

    def expand(self) -> Iterator[Image]:
        """Return the pictures with the colours of the labels mixed in."""
        image = self.image
        pictures = drawing.to_rgb(media.to_nhwc(fetch_array(image.pixels), image.dataformats))
        mask = fetch_array(self.mask).reshape(pictures.shape[:3]).astype(np.int64)
        colours = self.palette[mask % len(self.palette)]
        mixed = np.rint((1 - self.alpha) * pictures + self.alpha * colours).astype(np.uint8)
        drawn = np.where((mask > 0)[..., np.newaxis], mixed, pictures)
        yield Image(image.tag, drawn, "NHWC", image.step, image.wall_time, image.description)


def take(image: Image, shape: tuple[int, ...], mask: Foreign, alpha: float, palette: object) -> Segmentation:
    """Return the pictures of one call with their masks.

    Args:
        image: the pictures.
        shape: of the pictures.
        mask: as in `Segmentation`.
        alpha: as in `Segmentation`.
        palette: uint8 or float colours `[P, 3]`; None is a palette of ten.

    Raises:
        ValueShapeError: the mask does not fit the pictures.
        ArgumentError: alpha is outside 0..1, or the palette is none.
    """
    if not isinstance(alpha, (int, float)) or not 0 <= alpha <= 1:
        raise ArgumentError("alpha", alpha, "pass a number from 0 to 1")
    taken = take_array(image.tag, mask)
    expected = tuple(size for axis, size in zip(image.dataformats, shape, strict=True) if axis != "C")
    same_shape(image.tag, "the mask", shape_before_fetch(mask, taken), expected)
    return Segmentation(image, taken, float(alpha), _palette(palette))


def _palette(palette: object) -> npt.NDArray[np.uint8]:
    if palette is None:
        return drawing.PALETTE
    colours = media.to_uint8(np.asarray(palette))
    if colours.ndim != 2 or colours.shape[1] != 3 or not len(colours):  # noqa: PLR2004
        raise ArgumentError("palette", palette, "pass colours [P, 3], one for each label from 0 on")
    return colours
