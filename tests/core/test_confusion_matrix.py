"""A confusion matrix counts every example, as a picture and as a table."""

import io

import numpy as np
import pytest
from PIL import Image

import multiboard as mb

LABELS = [0, 0, 1, 2, 2, 2]
PREDICTIONS = [0, 1, 1, 2, 2, 0]


def test_the_table_holds_the_counts(written):
    data = written(lambda run: run.confusion_matrix("c", LABELS, PREDICTIONS, 4, classes=["ant", "bee", "cat"]))
    assert data.texts["c/table"].value[0].splitlines() == [
        "| label \\ prediction | ant | bee | cat |",
        "| --- | --- | --- | --- |",
        "| **ant** | 1 | 1 | 0 |",
        "| **bee** | 0 | 1 | 0 |",
        "| **cat** | 1 | 0 | 2 |",
    ]


def test_the_shade_of_a_cell_is_the_share_of_its_row(written):
    (png,) = written(lambda run: run.confusion_matrix("c", LABELS, PREDICTIONS, 4)).images["c"].value[0]
    picture = np.asarray(Image.open(io.BytesIO(png))).astype(int)
    cell = picture.shape[0] // 3
    corner = picture[3::cell, 3::cell].sum(axis=-1)
    expected = [[0.5, 0.5, 0], [0, 1, 0], [1 / 3, 0, 2 / 3]]
    order = np.argsort(-np.ravel(expected), kind="stable")
    assert (np.diff(np.ravel(corner)[order]) >= 0).all()
    assert corner[0, 2] == 3 * 255


def test_examples_in_no_class_are_left_out_and_said(written):
    with pytest.warns(mb.MultiboardWarning, match=r"'c' got 3 of 4 examples at step 4"):
        data = written(lambda run: run.confusion_matrix("c", [0, 1, 7, 1.0], [0, -1, 0, np.nan], 4, classes=["a", "b"]))
    assert "| **a** | 1 | 0 |" in data.texts["c/table"].value[0]


@pytest.mark.parametrize("classes", [1, 10, 300])
def test_every_number_of_classes_can_be_drawn(written, classes):
    labels = np.arange(classes)
    (png,) = written(lambda run: run.confusion_matrix("c", labels, labels, 0)).images["c"].value[0]
    assert Image.open(io.BytesIO(png)).size[0] >= classes * 4


def test_nothing_to_compare_is_an_empty_matrix(written):
    assert "| **0** | 0 |" in written(lambda run: run.confusion_matrix("c", [], [], 0)).texts["c/table"].value[0]
