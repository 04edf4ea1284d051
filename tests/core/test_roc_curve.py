"""A ROC curve has the points and the area of its definition."""

import io

import numpy as np
import pytest
from PIL import Image

import multiboard as mb
from multiboard.kinds.roc_curve import curve

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 300)
PREDICTIONS = np.round(np.clip(LABELS * 0.3 + RNG.random(300) * 0.7, 0, 1), 2)


def area_by_pairs():
    """The oracle: how often a positive example is above a negative one; ties count half."""
    positive, negative = PREDICTIONS[LABELS == 1][:, None], PREDICTIONS[LABELS == 0]
    return ((positive > negative) + 0.5 * (positive == negative)).mean()


def test_the_area_is_the_chance_that_a_positive_is_above_a_negative(written):
    text = written(lambda run: run.roc_curve("r", LABELS, PREDICTIONS, 5)).texts["r/table"].value[0]
    assert text.startswith(f"Area under the curve: **{area_by_pairs():.6g}**")
    assert "| inf | 0 | 0 |" in text
    assert text.endswith("| 1 | 1 |")


def test_each_point_counts_what_is_at_or_above_its_threshold():
    false_rate, true_rate, thresholds = curve(LABELS.astype(bool), PREDICTIONS, np.ones(300))
    for point in range(0, len(thresholds), 7):
        above = thresholds[point] <= PREDICTIONS
        assert true_rate[point] == pytest.approx(above[LABELS == 1].mean())
        assert false_rate[point] == pytest.approx(above[LABELS == 0].mean())


def test_a_perfect_classifier_goes_through_the_corner(written):
    (png,) = written(lambda run: run.roc_curve("r", [0, 1], [0.1, 0.9], 5)).images["r"].value[0]
    picture = np.asarray(Image.open(io.BytesIO(png)))
    assert (picture[30, 200] == [255, 255, 255]).all()
    assert (picture[24, 30:370] == picture[24, 200]).all()


@pytest.mark.parametrize("labels", [[], [1, 1]])
def test_a_rate_of_nothing_is_no_exception(written, labels):
    data = written(lambda run: run.roc_curve("r", labels, [0.5] * len(labels), 5))
    assert "**nan**" in data.texts["r/table"].value[0]
    assert len(data.images["r"].value[0]) == 1


def test_predictions_that_are_no_probabilities_are_left_out_and_said(written):
    with pytest.warns(mb.MultiboardWarning, match=r"'r' got 1 of 3 examples at step 5"):
        written(lambda run: run.roc_curve("r", [0, 1, 1], [0.1, np.nan, 0.9], 5))
