"""Marks on pixels with NumPy alone: rectangles, lines and digits, drawn in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Pixels: TypeAlias = npt.NDArray[np.uint8]

PALETTE: Final = np.array(
    [
        [31, 119, 180], [255, 127, 14], [44, 160, 44], [214, 39, 40], [148, 103, 189], [140, 86, 75], [227, 119, 194],
        [188, 189, 34], [23, 190, 207], [250, 220, 60],
    ],
    np.uint8,
)  # fmt: skip
"""Colours that are easy to tell apart, RGB `[10, 3]`."""
BLACK: Final = np.zeros(3, np.uint8)
GREY: Final = np.full(3, 180, np.uint8)
GLYPH_HEIGHT: Final = 5
GLYPH_WIDTH: Final = 3
_ROWS: Final = ("75557", "26227", "71747", "71717", "55711", "74717", "74757", "71111", "75757", "75717", "00002")
_FONT: Final = dict(zip("0123456789.", _ROWS, strict=True))
"""Each glyph as five rows of three bits."""


def to_rgb(pixels: Pixels) -> Pixels:
    """Return pictures `[..., C]` as a new RGB array `[..., 3]`; an alpha channel is dropped."""
    channels = pixels.shape[-1]
    return np.repeat(pixels[..., :1], 3, axis=-1) if channels <= 2 else pixels[..., :3].copy()  # noqa: PLR2004


def rectangle(picture: Pixels, box: npt.NDArray[np.float64], colour: Pixels, width: int) -> None:
    """Draw the outline of a box x0, y0, x1, y1 (pixels, corners in any order) inside it; what is outside the picture is cut."""
    left, right = sorted(box[0::2])
    top, bottom = sorted(box[1::2])
    x0, y0, x1, y1 = (round(float(edge)) for edge in (left, top, right, bottom))
    for ys, xs in (
        ((y0, y0 + width), (x0, x1 + 1)),
        ((y1 + 1 - width, y1 + 1), (x0, x1 + 1)),
        ((y0, y1 + 1), (x0, x0 + width)),
        ((y0, y1 + 1), (x1 + 1 - width, x1 + 1)),
    ):
        picture[_span(ys, picture.shape[0]), _span(xs, picture.shape[1])] = colour


def _span(ends: tuple[int, int], size: int) -> slice:
    return slice(min(max(ends[0], 0), size), min(max(ends[1], 0), size))


def polyline(picture: Pixels, xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64], colour: Pixels) -> None:
    """Draw a line through points (pixels), two pixels wide."""
    for x0, y0, x1, y1 in zip(xs[:-1], ys[:-1], xs[1:], ys[1:], strict=True):
        points = int(max(abs(x1 - x0), abs(y1 - y0))) + 1
        x = np.rint(np.linspace(x0, x1, points)).astype(int)
        y = np.rint(np.linspace(y0, y1, points)).astype(int)
        for dx, dy in ((0, 0), (1, 0), (0, 1)):
            picture[np.clip(y + dy, 0, picture.shape[0] - 1), np.clip(x + dx, 0, picture.shape[1] - 1)] = colour


def digits(text: str, scale: int) -> npt.NDArray[np.bool_]:
    """Return which pixels a number covers, bool `[5 * scale, (4 * len(text) - 1) * scale]`.

    Args:
        text: of digits and points.
        scale: pixels per dot.
    """
    glyphs = [[[row >> bit & 1 for bit in (2, 1, 0)] + [0] for row in map(int, _FONT[letter])] for letter in text]
    dots = np.concatenate([np.array(glyph, bool) for glyph in glyphs], axis=1)[:, :-1]
    return dots.repeat(scale, axis=0).repeat(scale, axis=1)


def write_number(picture: Pixels, text: str, centre: tuple[int, int], scale: int, colour: Pixels) -> None:
    """Write a number around a point y, x; one that does not fit into the picture is left out."""
    dots = digits(text, scale)
    top, left = centre[0] - dots.shape[0] // 2, centre[1] - dots.shape[1] // 2
    if top >= 0 <= left and top + dots.shape[0] <= picture.shape[0] and left + dots.shape[1] <= picture.shape[1]:
        picture[top : top + dots.shape[0], left : left + dots.shape[1]][dots] = colour
