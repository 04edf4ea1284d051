"""How often each class was taken for which: as a picture and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard.arrays import fetch_array, take_array
from multiboard.errors import ArgumentError
from multiboard.kinds import drawing
from multiboard.kinds.checks import same_shape, shape_before_fetch
from multiboard.kinds.table import markdown
from multiboard.values import Image, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from multiboard.values import Foreign

_PICTURE: Final = 640
"""Pixels of a side at which the cells are as large as they get."""
_LARGEST_CELL: Final = 64
_SMALLEST_CELL: Final = 4
_DARK: Final = np.array([8, 48, 107])
"""Colour of the largest share; the smallest is white."""


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """Classes of examples and what was predicted for them.

    Attributes:
        labels: class numbers from 0, any shape.
        predictions: class numbers, same shape.
        classes: their names; empty for the numbers that occur.
        report: receives cause and message of what is left out.
    """

    tag: str
    labels: Foreign
    predictions: Foreign
    classes: tuple[str, ...]
    step: int
    wall_time: float
    description: str
    report: Callable[[str, str], None]

    def expand(self) -> Iterator[Image | Text]:
        """Return the picture and, below the tag, the table."""
        counts = self._counts()
        names = self.classes or tuple(map(str, range(len(counts))))
        yield Image(self.tag, draw(counts), "HWC", self.step, self.wall_time, self.description)
        rows = [[f"**{name}**", *row] for name, row in zip(names, counts.tolist(), strict=True)]
        table = markdown(self.tag, rows, ["label \\ prediction", *names])
        yield Text(table_tag(self.tag), table, self.step, self.wall_time, self.description)

    def _counts(self) -> npt.NDArray[np.int64]:
        labels, predictions = (fetch_array(part).reshape(-1) for part in (self.labels, self.predictions))
        good = _possible(labels, len(self.classes)) & _possible(predictions, len(self.classes))
        if not good.all():
            message = (
                f"tag {self.tag!r} got {int(good.size - good.sum())} of {good.size} examples at step {self.step} that are in "
                "no class; they are left out."
            )
            self.report(f"{self.tag} examples", message)
        labels, predictions = labels[good].astype(np.int64), predictions[good].astype(np.int64)
        size = len(self.classes) or int(max(labels.max(initial=0), predictions.max(initial=0))) + 1
        return np.bincount(labels * size + predictions, minlength=size * size).reshape(size, size)


_MOST_CLASSES: Final = 1000


def _possible(numbers: npt.NDArray[Any], classes: int) -> npt.NDArray[np.bool_]:
    """Tell which numbers are classes: whole, not negative, and below the number of classes."""
    possible: npt.NDArray[np.bool_] = (numbers >= 0) & (numbers < (classes or _MOST_CLASSES)) & (numbers == np.floor(numbers))
    return possible


def table_tag(tag: str) -> str:
    """Return the tag of the text that goes with a drawn plot."""
    return f"{tag}/table"


def draw(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return a matrix as RGB pixels: rows are labels, columns predictions, and the shade is the share of the row."""
    size = len(counts)
    cell = int(np.clip(_PICTURE // size, _SMALLEST_CELL, _LARGEST_CELL))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colours = np.rint(255 + share[..., np.newaxis] * (_DARK - 255.0)).astype(np.uint8)
    picture: npt.NDArray[np.uint8] = colours.repeat(cell, axis=0).repeat(cell, axis=1)
    picture[::cell] = picture[:, ::cell] = drawing.GREY
    for (row, column), count in np.ndenumerate(counts):
        scale = (cell - 4) // (4 * len(str(count)))
        if scale:
            ink = np.full(3, 255, np.uint8) if share[row, column] > 0.5 else drawing.BLACK  # noqa: PLR2004
            centre = (row * cell + cell // 2, column * cell + cell // 2)
            drawing.write_number(picture, str(count), centre, min(scale, 3), ink)
    return picture


def take(
    tag: str,
    labels: Foreign,
    predictions: Foreign,
    classes: Sequence[object] | None,
    step: int,
    wall_time: float,
    description: str,
    report: Callable[[str, str], None],
) -> ConfusionMatrix:
    """Return the matrix of one call.

    Raises:
        ValueShapeError: labels and predictions do not fit.
        ArgumentError: no class, or more than 1000.
    """
    names = () if classes is None else tuple(map(str, classes))
    if classes is not None and not 1 <= len(names) <= _MOST_CLASSES:
        raise ArgumentError("classes", classes, f"pass 1 to {_MOST_CLASSES} names")
    kept = [take_array(tag, part) for part in (labels, predictions)]
    same_shape(tag, "predictions", shape_before_fetch(predictions, kept[1]), shape_before_fetch(labels, kept[0]))
    return ConfusionMatrix(tag, kept[0], kept[1], names, step, wall_time, description, report)
