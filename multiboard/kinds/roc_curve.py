"""The receiver operating characteristic: true over false positive rate, as a picture and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard.kinds import drawing
from multiboard.kinds.confusion_matrix import table_tag
from multiboard.kinds.pr_curve import take_examples, usable
from multiboard.kinds.table import markdown
from multiboard.values import Image, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from multiboard.values import Foreign

    Floats = npt.NDArray[np.float64]

_SIDE: Final = 400
_MARGIN: Final = 24
_TABLE_ROWS: Final = 11


@dataclass(frozen=True, slots=True)
class ROCCurve:
    """Labels and predictions of a binary classifier.

    Attributes:
        labels: true or false, any shape.
        predictions: probabilities, same shape.
        weights: of the examples; None is 1 each.
        report: receives cause and message of what is left out.
    """

    tag: str
    labels: Foreign
    predictions: Foreign
    weights: Foreign | None
    step: int
    wall_time: float
    description: str
    report: Callable[[str, str], None]

    def expand(self) -> Iterator[Image | Text]:
        """Return the picture and, below the tag, the table with the area under the curve."""
        examples = usable(self.tag, self.labels, self.predictions, self.weights, self.step, self.report)
        false_rate, true_rate, thresholds = curve(*examples)
        yield Image(self.tag, draw(false_rate, true_rate), "HWC", self.step, self.wall_time, self.description)
        area = float(np.sum(np.diff(false_rate) * (true_rate[1:] + true_rate[:-1]) / 2)) if len(thresholds) > 1 else np.nan
        chosen = np.unique(np.linspace(0, len(thresholds) - 1, _TABLE_ROWS).round().astype(int))
        points = np.column_stack([thresholds, false_rate, true_rate])[chosen]
        rows = [[f"{number:.6g}" for number in point] for point in points]
        table = markdown(self.tag, rows, ["threshold", "false positive rate", "true positive rate"])
        text = f"Area under the curve: **{area:.6g}**\n\n{table}"
        yield Text(table_tag(self.tag), text, self.step, self.wall_time, self.description)


def curve(labels: npt.NDArray[np.bool_], predictions: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Return false positive rate, true positive rate and threshold at every distinct prediction, from the highest on.

    The first point is (0, 0) at an infinite threshold. A rate of nothing is NaN.
    """
    order = np.argsort(-predictions, kind="stable")
    scores, truth, heavy = predictions[order], labels[order], weights[order]
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)) if len(scores) else np.array([], np.int64)
    true_positive = np.append(0.0, np.cumsum(heavy * truth)[last])
    false_positive = np.append(0.0, np.cumsum(heavy * ~truth)[last])
    thresholds = np.append(np.inf, scores[last])
    with np.errstate(invalid="ignore"):
        return false_positive / false_positive[-1], true_positive / true_positive[-1], thresholds


def draw(false_rate: Floats, true_rate: Floats) -> npt.NDArray[np.uint8]:
    """Return the curve in a square from (0, 0) to (1, 1) with its diagonal, as RGB pixels."""
    picture = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    low, high = float(_MARGIN), float(_SIDE - 1 - _MARGIN)
    drawing.rectangle(picture, np.array([low, low, high, high]), drawing.GREY, 1)
    drawing.polyline(picture, np.array([low, high]), np.array([high, low]), drawing.GREY)
    if np.isfinite(false_rate).all() and np.isfinite(true_rate).all():
        points = np.rint(np.column_stack([low + false_rate * (high - low), high - true_rate * (high - low)]))
        points = points[np.append(True, (points[1:] != points[:-1]).any(axis=1))]  # as many as there are pixels, not examples
        drawing.polyline(picture, points[:, 0], points[:, 1], drawing.PALETTE[0])
    for text, y, x in (("0", _SIDE - 12, 12), ("1", _SIDE - 12, _SIDE - 1 - _MARGIN), ("1", _MARGIN, 12)):
        drawing.write_number(picture, text, (y, x), 2, drawing.BLACK)
    return picture


def take(
    tag: str,
    labels: Foreign,
    predictions: Foreign,
    weights: Foreign | None,
    step: int,
    wall_time: float,
    description: str,
    report: Callable[[str, str], None],
) -> ROCCurve:
    """Return the curve of one call.

    Raises:
        ValueShapeError: labels, predictions and weights do not fit.
    """
    return ROCCurve(tag, *take_examples(tag, labels, predictions, weights), step, wall_time, description, report)
