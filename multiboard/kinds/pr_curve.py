"""Precision and recall over all thresholds, in the six rows of TensorBoard's PR Curves tab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard import wire
from multiboard.arrays import fetch_array, take_array
from multiboard.errors import ArgumentError
from multiboard.kinds.checks import positive_integer, same_shape, shape_before_fetch
from multiboard.values import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from multiboard.values import Foreign

ROWS: Final = ("true_positive", "false_positive", "true_negative", "false_negative", "precision", "recall")


@dataclass(frozen=True, slots=True)
class PRCurve:
    """Labels and predictions of a binary classifier.

    Attributes:
        labels: true or false, any shape.
        predictions: probabilities, same shape.
        weights: of the examples, same shape; None is 1 each.
        num_thresholds: at least 2, evenly spaced from 0 to 1.
        report: receives cause and message of what is left out.
    """

    tag: str
    labels: Foreign
    predictions: Foreign
    weights: Foreign | None
    num_thresholds: int
    step: int
    wall_time: float
    description: str
    report: Callable[[str, str], None]

    def expand(self) -> Iterator[Summary]:
        """Return the rows of the curve."""
        examples = usable(self.tag, self.labels, self.predictions, self.weights, self.step, self.report)
        rows = curve(*examples, self.num_thresholds)
        yield summary(self.tag, rows, self.step, self.wall_time, self.description)


@dataclass(frozen=True, slots=True)
class RawPRCurve:
    """The finished rows of a curve, `[n]` each."""

    tag: str
    rows: tuple[Foreign, ...]
    step: int
    wall_time: float
    description: str

    def expand(self) -> Iterator[Summary]:
        """Return the rows as one tensor."""
        rows = np.stack([fetch_array(row).astype(np.float64) for row in self.rows])
        yield summary(self.tag, rows, self.step, self.wall_time, self.description)


def take(
    tag: str,
    labels: Foreign,
    predictions: Foreign,
    weights: Foreign | None,
    num_thresholds: object,
    step: int,
    wall_time: float,
    description: str,
    report: Callable[[str, str], None],
) -> PRCurve:
    """Return the curve of one call.

    Raises:
        ArgumentError: fewer than two thresholds.
        ValueShapeError: labels, predictions and weights do not fit.
    """
    number = positive_integer("num_thresholds", num_thresholds)
    if number == 1:
        raise ArgumentError("num_thresholds", num_thresholds, "a curve has at least 2 thresholds")
    taken = take_examples(tag, labels, predictions, weights)
    return PRCurve(tag, *taken, number, step, wall_time, description, report)


def take_examples(
    tag: str, labels: Foreign, predictions: Foreign, weights: Foreign | None
) -> tuple[Foreign, Foreign, Foreign | None]:
    """Return labels, predictions and weights (None, one number, or one per example) as they may be kept.

    Raises:
        ValueShapeError: they do not fit.
    """
    kept = [take_array(tag, part) for part in (labels, predictions)]
    shape = shape_before_fetch(labels, kept[0])
    same_shape(tag, "predictions", shape_before_fetch(predictions, kept[1]), shape)
    if weights is None:
        return kept[0], kept[1], None
    heavy = take_array(tag, weights)
    if (of_weights := shape_before_fetch(weights, heavy)) != ():
        same_shape(tag, "weights", of_weights, shape)
    return kept[0], kept[1], heavy


def take_raw(
    tag: str, rows: tuple[Foreign, ...], num_thresholds: object, step: int, wall_time: float, description: str
) -> RawPRCurve:
    """Return the finished rows of one call.

    Raises:
        ValueShapeError: the rows are not of one length, or not of that of `num_thresholds`.
    """
    kept = tuple(take_array(tag, row) for row in rows)
    shape = shape_before_fetch(rows[0], kept[0])
    number = shape[0] if num_thresholds is None and shape else positive_integer("num_thresholds", num_thresholds)
    for name, row, taken in zip(ROWS, rows, kept, strict=True):
        same_shape(tag, name, shape_before_fetch(row, taken), (number,))
    return RawPRCurve(tag, kept, step, wall_time, description)


def usable(
    tag: str, labels: Foreign, predictions: Foreign, weights: Foreign | None, step: int, report: Callable[[str, str], None]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Fetch examples and return labels, predictions and weights `[n]` without those whose prediction is no probability."""
    truth = fetch_array(labels).reshape(-1)
    scores = fetch_array(predictions).astype(np.float64).reshape(-1)
    heavy = np.broadcast_to(
        np.float64(1) if weights is None else fetch_array(weights).astype(np.float64).reshape(-1), truth.shape
    )
    good = (scores >= 0) & (scores <= 1) & np.isfinite(heavy) & (truth == truth)  # noqa: PLR0124  # NaN labels are unequal to themselves
    if not good.all():
        number = int(good.size - good.sum())
        report(
            f"{tag} examples",
            f"tag {tag!r} got {number} of {good.size} examples at step {step} whose prediction is not in 0..1, or whose label or "
            "weight is not a number; they are left out.",
        )
    return truth[good].astype(bool), scores[good], heavy[good]


def curve(
    labels: npt.NDArray[np.bool_], predictions: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], num_thresholds: int
) -> npt.NDArray[np.float64]:
    """Return the rows of `ROWS` by threshold, float64 `[6, n]`.

    Threshold i is i / (n - 1); an example counts as positive if its prediction is at least that. A ratio of nothing is 0.

    >>> curve(np.array([True, False]), np.array([0.9, 0.4]), np.ones(2), 3)[:, 1].tolist()  # at threshold 0.5
    [1.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    """
    reached = np.floor(predictions * (num_thresholds - 1)).astype(np.int64)
    true_positive, false_positive = (
        np.bincount(reached[of], weights[of], num_thresholds).astype(np.float64)[::-1].cumsum()[::-1] for of in (labels, ~labels)
    )
    true_negative, false_negative = false_positive[0] - false_positive, true_positive[0] - true_positive
    precision = _ratio(true_positive, true_positive + false_positive)
    recall = _ratio(true_positive, true_positive + false_negative)
    return np.stack([true_positive, false_positive, true_negative, false_negative, precision, recall])


def _ratio(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def summary(tag: str, rows: npt.NDArray[np.float64], step: int, wall_time: float, description: str) -> Summary:
    """Return rows as the tensor of the PR Curves tab (PrCurvePluginData, plugins/pr_curve/plugin_data.proto)."""
    tensor = wire.numbers(wire.DT_FLOAT, rows.shape, rows.astype("<f4").tobytes())
    return Summary(tag, "pr_curves", wire.TENSOR, tensor, step, wall_time, wire.integer(2, rows.shape[1]), description)
