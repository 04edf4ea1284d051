"""Figures of matplotlib, drawn on the caller's line: a figure is mutable, so nothing can be left for later.

matplotlib itself is imported nowhere in this package: whoever holds a figure has imported it. Its pyplot, which would choose a
window system, is only touched where the caller has imported it.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from multiboard.errors import ValueKindError, ValueShapeError
from multiboard.values import Image

if TYPE_CHECKING:
    import numpy.typing as npt

_RULE = "a figure is a matplotlib.figure.Figure or a list of them."


def take(tag: str, figure: object, close: bool, step: int, wall_time: float, description: str) -> Image:
    """Return figures as pictures.

    Raises:
        ValueKindError: something else than matplotlib figures.
        ValueShapeError: figures of different sizes in one list.
    """
    figures = list(figure) if isinstance(figure, (list, tuple)) else [figure]
    if not figures or not all(hasattr(item, "set_canvas") and hasattr(item, "savefig") for item in figures):
        raise ValueKindError(tag, figure, _RULE)
    pictures = [draw(item) for item in figures]
    for picture in pictures:
        if picture.shape != pictures[0].shape:
            raise ValueShapeError(tag, picture.shape, f"the figures of one list have one size; the first is {pictures[0].shape}.")
    if close:
        _close(figures)
    return Image(tag, np.stack(pictures), "NHWC", step, wall_time, description)


def draw(figure: Any) -> npt.NDArray[np.uint8]:
    """Return a figure as RGBA pixels, uint8 `[H, W, 4]`; its own canvas is put back afterwards."""
    agg = importlib.import_module("matplotlib.backends.backend_agg")
    shown = figure.canvas
    canvas = agg.FigureCanvasAgg(figure)
    try:
        canvas.draw()
        return np.array(canvas.buffer_rgba())
    finally:
        figure.set_canvas(shown)


def _close(figures: list[Any]) -> None:
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        for figure in figures:
            pyplot.close(figure)
