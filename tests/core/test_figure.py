"""A matplotlib figure becomes a picture of what it showed when it was logged."""

import io

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

import multiboard as mb

plt.switch_backend("agg")


def draw(colour):
    figure = Figure(figsize=(2, 1), dpi=50, facecolor=colour)
    figure.add_axes((0, 0, 1, 1)).set_axis_off()
    return figure


def pixels(column):
    return [np.asarray(Image.open(io.BytesIO(png)).convert("RGB")) for png in column.value[0]]


def test_a_figure_is_drawn_as_it_is_at_the_call(written):
    def actions(run):
        figure = draw("red")
        run.figure("f", figure, 3)
        figure.set_facecolor("blue")

    column = written(actions).images["f"]
    (picture,) = pixels(column)
    assert column.step.tolist() == [3]
    assert picture.shape == (50, 100, 3)
    assert (picture == [255, 0, 0]).all()


def test_a_list_of_figures_is_a_batch(written):
    first, second = pixels(written(lambda run: run.figure("f", [draw("red"), draw("lime")], 0)).images["f"])
    assert first[0, 0].tolist() == [255, 0, 0]
    assert second[0, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize("close", [True, False])
def test_a_figure_of_pyplot_is_closed_unless_asked_not_to(written, close):
    figure = plt.figure()
    written(lambda run: run.figure("f", figure, 0, close=close))
    assert plt.fignum_exists(figure.number) is not close
    plt.close(figure)


def test_figures_of_different_sizes_are_refused(written):
    with pytest.raises(mb.ValueShapeError, match="one size"):
        written(lambda run: run.figure("f", [draw("red"), Figure(figsize=(1, 1))], 0))


def test_the_drop_in_writer_takes_figures_too(tmp_path):
    with mb.SummaryWriter(str(tmp_path)) as writer:
        writer.add_figure("f", draw("red"), 5)
    assert mb.read(tmp_path)["."].images["f"].step.tolist() == [5]
