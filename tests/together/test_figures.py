"""Figures of matplotlib become pictures, and stay what they were."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import multiboard as mb


def plot(colour="red", size=(2, 1)):
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=50)
    figure.add_axes((0, 0, 1, 1)).set_facecolor(colour)
    return figure


def pictures(log_dir, figure, **arguments):
    with mb.Run(log_dir) as run:
        run.figure("f", figure, 3, **arguments)
    encoded = mb.read(log_dir)["."].images["f"].value[-1]
    return [np.asarray(Image.open(io.BytesIO(data))) for data in encoded]


def test_the_pixels_are_those_of_matplotlibs_own_canvas(tmp_path):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = plot()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    expected = np.array(canvas.buffer_rgba())
    (drawn,) = pictures(tmp_path, figure)
    assert drawn.shape == (50, 100, 4)
    np.testing.assert_array_equal(drawn, expected)


def test_a_list_of_figures_is_a_batch(tmp_path):
    red, blue = pictures(tmp_path, [plot("red"), plot("blue")])
    assert (red != blue).any()


def test_figures_of_two_sizes_are_refused(tmp_path):
    with mb.Run(tmp_path) as run, pytest.raises(mb.ValueShapeError, match="one size"):
        run.figure("f", [plot(), plot(size=(3, 3))], 0)


def test_a_figure_keeps_its_canvas_and_can_be_changed_afterwards(tmp_path):
    figure = plot()
    shown = figure.canvas
    before = pictures(tmp_path, figure)
    assert figure.canvas is shown
    figure.axes[0].set_facecolor("blue")
    assert (pictures(tmp_path, figure)[0] != before[0]).any()


@pytest.mark.parametrize("close", [True, False])
def test_pyplot_forgets_the_figure_if_it_is_told_to(tmp_path, close):
    code = f"""
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt, multiboard as mb
with mb.Run({str(tmp_path)!r}) as run:
    run.figure("f", plt.figure(), 0, close={close})
print(len(plt.get_fignums()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == str(int(not close))


def test_pyplot_is_not_imported_for_a_figure(tmp_path):
    code = f"""
import sys, multiboard as mb
from matplotlib.figure import Figure
with mb.Run({str(tmp_path)!r}) as run:
    run.figure("f", Figure(), 0)
print("matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"
