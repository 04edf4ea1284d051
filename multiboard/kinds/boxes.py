"""Boxes on pictures, drawn into the pixels: TensorBoard has no overlay. Labels need Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard import media
from multiboard.arrays import fetch_array, take_array
from multiboard.errors import ArgumentError, ValueShapeError
from multiboard.kinds import drawing
from multiboard.kinds.checks import need_pillow, shape_before_fetch
from multiboard.values import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from multiboard.values import Foreign

_CORNERS: Final = 4


@dataclass(frozen=True, slots=True)
class BoxedImage:
    """Pictures and the boxes on each of them.

    Attributes:
        image: the pictures.
        boxes: x0, y0, x1, y1 in pixels, `[K, 4]`.
        labels: one text per box, or none.
    """

    image: Image
    boxes: Foreign
    labels: tuple[str, ...]

    @property
    def tag(self) -> str:
        """The tag of the pictures."""
        return self.image.tag

    @property
    def step(self) -> int:
        """The step of the pictures."""
        return self.image.step

    def expand(self) -> Iterator[Image]:
        """Return the pictures with the boxes in their pixels; a box that is not finite is left out."""
        image = self.image
        pictures = drawing.to_rgb(media.to_nhwc(fetch_array(image.pixels), image.dataformats))
        boxes = fetch_array(self.boxes).astype(np.float64).reshape(-1, _CORNERS)
        drawn = np.stack([draw(picture, boxes, self.labels) for picture in pictures])
        yield Image(image.tag, drawn, "NHWC", image.step, image.wall_time, image.description)


def draw(picture: npt.NDArray[np.uint8], boxes: npt.NDArray[np.float64], labels: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return a picture, uint8 `[H, W, 3]`, with boxes; their colours take turns."""
    width = max(1, round(min(picture.shape[:2]) / 200))
    kept = [i for i, box in enumerate(boxes) if np.isfinite(box).all()]
    for i in kept:
        drawing.rectangle(picture, boxes[i], drawing.PALETTE[i % len(drawing.PALETTE)], width)
    return _write_labels(picture, {i: labels[i] for i in kept}, boxes) if labels else picture


def _write_labels(
    picture: npt.NDArray[np.uint8], labels: dict[int, str], boxes: npt.NDArray[np.float64]
) -> npt.NDArray[np.uint8]:
    from PIL import Image as Pillow
    from PIL import ImageDraw

    drawn = Pillow.fromarray(picture)
    canvas = ImageDraw.Draw(drawn)
    for i, text in labels.items():
        corner = (float(min(boxes[i, 0::2])) + 2, float(min(boxes[i, 1::2])) + 2)
        canvas.rectangle(canvas.textbbox(corner, text), fill=tuple(map(int, drawing.PALETTE[i % len(drawing.PALETTE)])))
        canvas.text(corner, text, fill=(255, 255, 255))
    return np.array(drawn)


def take(image: Image, boxes: Foreign, labels: Sequence[object] | None) -> BoxedImage:
    """Return the pictures of one call with their boxes.

    Raises:
        ValueShapeError: the boxes are not `[K, 4]`.
        ArgumentError: there is not one label for each box.
        MissingFrameworkError: there are labels and Pillow is not installed.
    """
    taken = take_array(image.tag, boxes)
    shape = shape_before_fetch(boxes, taken)
    if shape not in {(0,), (_CORNERS,)} and (len(shape) != 2 or shape[1] != _CORNERS):  # noqa: PLR2004
        raise ValueShapeError(image.tag, shape, "boxes are an array [K, 4] of x0, y0, x1, y1 in pixels.")
    number = shape[0] if len(shape) == 2 else shape[0] // _CORNERS  # noqa: PLR2004
    texts = () if labels is None else tuple(map(str, labels))
    if labels is not None:
        need_pillow("run.image(box_labels=)")
        if len(texts) != number:
            raise ArgumentError("box_labels", labels, f"pass one label for each of the {number} boxes")
    return BoxedImage(image, taken, texts)
