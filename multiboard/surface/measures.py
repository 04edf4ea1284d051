"""Numbers of an evaluation: bins, tensors, curves and matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard.arrays import take_array
from multiboard.surface.base import Surface
from multiboard.values import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.buckets import Statistics
    from multiboard.values import Foreign


class MeasuresSurface(Surface):
    """Methods of `Run` for measurements beyond scalars."""

    def histogram(
        self, tag: str, values: Foreign | Statistics, step: int, *, description: str = "", wall_time: float | None = None
    ) -> None:
        """Log the distribution of an array of any shape; NaN and infinities are counted apart.

        Args:
            tag: e.g. 'activations/encoder'.
            values: NumPy, PyTorch, JAX, TensorFlow, Keras or nested lists; or finished `Statistics`.
            step: as in `log`.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """
        self._log_value(
            tag, "histogram", step, wall_time, lambda n, now: Histogram(tag, _take_values(tag, values), n, now, description)
        )

    def histogram_raw(
        self,
        tag: str,
        left: Foreign,
        right: Foreign,
        counts: Foreign,
        step: int,
        *,
        description: str = "",
        wall_time: float | None = None,
    ) -> None:
        """Log a histogram that was binned elsewhere; its bins are kept as they are.

        Args:
            tag: as in `histogram`, and the same kind.
            left: left edges `[k]`, in any order.
            right: right edges `[k]`, each at least the left one.
            counts: `[k]`, at least 0.
            step: as in `log`.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """
        from multiboard.kinds import bins

        self._log_value(
            tag,
            "histogram",
            step,
            wall_time,
            lambda n, now: bins.take(tag, (left, right, counts), n, now, description, self.report),
        )

    def tensor(self, tag: str, values: Foreign, step: int, *, description: str = "", wall_time: float | None = None) -> None:
        """Log a tensor as it is, for `mb.read`: no tab of TensorBoard shows it.

        Args:
            tag: e.g. 'debug/attention'.
            values: bools, integers, floats or complex numbers of any shape. They keep their dtype, but bfloat16 and
                float8 become float32.
            step: as in `log`.
            description: kept with the tag; the first one counts.
            wall_time: as in `log`.
        """
        from multiboard.kinds import tensor

        self._log_value(tag, "tensor", step, wall_time, lambda n, now: tensor.take(tag, values, n, now, description))

    def pr_curve(
        self,
        tag: str,
        labels: Foreign,
        predictions: Foreign,
        step: int,
        *,
        num_thresholds: int = 127,
        weights: Foreign | None = None,
        description: str = "",
        wall_time: float | None = None,
    ) -> None:
        """Log precision and recall of a binary classifier over evenly spaced thresholds.

        Args:
            tag: e.g. 'val/is_cat'.
            labels: true or false, any shape.
            predictions: probabilities, same shape. Examples outside 0..1 or NaN are left out and said.
            step: as in `log`.
            num_thresholds: at least 2, from 0 to 1.
            weights: of the examples: one number, or the same shape. None is 1.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """
        from multiboard.kinds import pr_curve

        self._log_value(
            tag,
            "pr_curve",
            step,
            wall_time,
            lambda n, now: pr_curve.take(tag, labels, predictions, weights, num_thresholds, n, now, description, self.report),
        )

    def pr_curve_raw(
        self,
        tag: str,
        true_positive: Foreign,
        false_positive: Foreign,
        true_negative: Foreign,
        false_negative: Foreign,
        precision: Foreign,
        recall: Foreign,
        step: int,
        *,
        num_thresholds: int | None = None,
        weights: Foreign | None = None,  # noqa: ARG002  # the peers have it and ignore it too
        description: str = "",
        wall_time: float | None = None,
    ) -> None:
        """Log a precision and recall curve that was computed elsewhere.

        Args:
            tag: as in `pr_curve`, and the same kind.
            true_positive: count by threshold, `[n]`, thresholds ascending from 0 to 1.
            false_positive: likewise.
            true_negative: likewise.
            false_negative: likewise.
            precision: likewise, 0 to 1.
            recall: likewise, 0 to 1.
            step: as in `log`.
            num_thresholds: n, if it is to be checked.
            weights: has no effect: the counts are weighted already.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """
        from multiboard.kinds import pr_curve

        rows = (true_positive, false_positive, true_negative, false_negative, precision, recall)
        self._log_value(
            tag,
            "pr_curve",
            step,
            wall_time,
            lambda n, now: pr_curve.take_raw(tag, rows, num_thresholds, n, now, description),
        )

    def confusion_matrix(
        self,
        tag: str,
        labels: Foreign,
        predictions: Foreign,
        step: int,
        *,
        classes: Sequence[object] | None = None,
        description: str = "",
        wall_time: float | None = None,
    ) -> None:
        """Log how often each class was taken for which: a picture, and the numbers as a text under `<tag>/table`.

        Args:
            tag: e.g. 'val/confusion'.
            labels: class numbers from 0, any shape.
            predictions: class numbers, same shape. Examples that are in no class are left out and said.
            step: as in `log`.
            classes: names by class number, at most 1000. None takes the numbers that occur.
            description: markdown, shown with the cards; the first one of a tag counts.
            wall_time: as in `log`.
        """
        from multiboard.kinds import confusion_matrix

        self._log_value(
            tag,
            "image",
            step,
            wall_time,
            lambda n, now: confusion_matrix.take(tag, labels, predictions, classes, n, now, description, self.report),
            also={f"{tag}/table": "text"},
        )

    def roc_curve(
        self,
        tag: str,
        labels: Foreign,
        predictions: Foreign,
        step: int,
        *,
        weights: Foreign | None = None,
        description: str = "",
        wall_time: float | None = None,
    ) -> None:
        """Log true over false positive rate: a picture, and the area and points as a text under `<tag>/table`.

        Args:
            tag: e.g. 'val/roc'.
            labels: as in `pr_curve`.
            predictions: as in `pr_curve`.
            step: as in `log`.
            weights: as in `pr_curve`.
            description: markdown, shown with the cards; the first one of a tag counts.
            wall_time: as in `log`.
        """
        from multiboard.kinds import roc_curve

        self._log_value(
            tag,
            "image",
            step,
            wall_time,
            lambda n, now: roc_curve.take(tag, labels, predictions, weights, n, now, description, self.report),
            also={f"{tag}/table": "text"},
        )


def _take_values(tag: str, values: Foreign | Statistics) -> Foreign:
    from multiboard.buckets import Statistics

    return values if isinstance(values, Statistics) else take_array(tag, values)
