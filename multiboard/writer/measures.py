"""Distributions, tensors and curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from multiboard.arrays import fetch_array
from multiboard.writer.base import WriterSurface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.values import Foreign


class MeasuresMethods(WriterSurface):
    """Methods of `SummaryWriter` for measurements beyond scalars."""

    def add_histogram(
        self,
        tag: str,
        values: Foreign,
        global_step: Any = None,
        bins: Any = "tensorflow",  # noqa: ARG002  # of the peers' signatures
        walltime: float | None = None,
        max_bins: int | None = None,  # noqa: ARG002
    ) -> None:
        """Log the distribution of an array, see `Run.histogram`.

        Args:
            tag: see the class.
            values: array of any shape and framework; may be empty or hold NaN and infinities.
            global_step: see the class.
            bins: accepted: the bucket edges are the same for all tensors, so that histograms can be compared.
            walltime: see the class.
            max_bins: accepted, as `bins`.
        """
        step, when = self._at(global_step, walltime)
        self.run.histogram(tag, values, step, wall_time=when)

    def add_histogram_raw(
        self,
        tag: str,
        min: float,  # noqa: A002  # the peers' names
        max: float,  # noqa: A002
        num: float,  # noqa: ARG002
        sum: float,  # noqa: A002, ARG002
        sum_squares: float,  # noqa: ARG002
        bucket_limits: Sequence[float],
        bucket_counts: Sequence[float],
        global_step: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log a histogram that was counted elsewhere, see `Run.histogram_raw`.

        Args:
            tag: see the class.
            min: where the first bucket begins.
            max: where the last bucket ends, if its limit is beyond.
            num: accepted: TensorBoard's tensor form has no place for it, nor for the two sums.
            sum: accepted.
            sum_squares: accepted.
            bucket_limits: right edge of each bucket, ascending.
            bucket_counts: as many.
            global_step: see the class.
            walltime: see the class.
        """
        step, when = self._at(global_step, walltime)
        left, right = _edges(min, max, bucket_limits)
        self.run.histogram_raw(tag, left, right, bucket_counts, step, wall_time=when)

    def add_tensor(self, tag: str, tensor: Foreign, global_step: Any = None, walltime: float | None = None) -> None:
        """Log an array as it is, for `multiboard.read`, see `Run.tensor`."""
        step, when = self._at(global_step, walltime)
        self.run.tensor(tag, tensor, step, wall_time=when)

    def add_pr_curve(
        self,
        tag: str,
        labels: Foreign,
        predictions: Foreign,
        global_step: Any = None,
        num_thresholds: int = 127,
        weights: Foreign | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log a precision-recall curve of binary labels and probabilities, see `Run.pr_curve`."""
        step, when = self._at(global_step, walltime)
        run = self.run
        run.pr_curve(tag, labels, predictions, step, num_thresholds=num_thresholds, weights=weights, wall_time=when)

    def add_pr_curve_raw(
        self,
        tag: str,
        true_positive_counts: Foreign,
        false_positive_counts: Foreign,
        true_negative_counts: Foreign,
        false_negative_counts: Foreign,
        precision: Foreign,
        recall: Foreign,
        global_step: Any = None,
        num_thresholds: int = 127,  # noqa: ARG002  # of the peers' signatures
        weights: Foreign | None = None,  # noqa: ARG002
        walltime: float | None = None,
    ) -> None:
        """Log a precision-recall curve that was computed elsewhere, see `Run.pr_curve_raw`.

        Args:
            tag: see the class.
            true_positive_counts: `[n]`, one per threshold; so are the other counts.
            false_positive_counts: `[n]`.
            true_negative_counts: `[n]`.
            false_negative_counts: `[n]`.
            precision: `[n]`.
            recall: `[n]`.
            global_step: see the class.
            num_thresholds: accepted: it is n.
            weights: accepted: the counts are weighted already.
            walltime: see the class.
        """
        step, when = self._at(global_step, walltime)
        counts = (true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts)
        self.run.pr_curve_raw(tag, *counts, precision, recall, step, wall_time=when)


def _edges(low: float, high: float, limits: Foreign) -> tuple[Foreign, Foreign]:
    """Return left and right edges of buckets that are given by their right edges and the range of the values.

    What holds no edges is returned as it is, for `Run.histogram_raw` to refuse.
    """
    try:
        right = np.minimum(fetch_array(limits).astype(np.float64), high)
        return np.minimum(np.concatenate([[low], right[:-1]]), right), right
    except (TypeError, ValueError):
        return limits, limits
