"""Histograms, images, texts and hyper-parameters arrive as they were logged."""

import io

import numpy as np
import pytest
from PIL import Image

import multiboard as mb
from multiboard.buckets import measure

RNG = np.random.default_rng(0)


def pictures(written, pixels, **arguments):
    encoded = written(lambda run: run.image("i", pixels, 3, **arguments)).images["i"].value[0]
    return [np.asarray(Image.open(io.BytesIO(png))) for png in encoded]


@pytest.mark.parametrize(("dtype", "expected"), [(np.float32, "<f4"), (np.float64, "<f4"), (np.int32, "<f4")])
def test_a_histogram_holds_the_counts_of_the_definition(written, dtype, expected):
    values = (RNG.normal(size=(30, 40)) * 100).astype(dtype)
    rows = written(lambda run: run.histogram("h", values, 5)).histograms["h"].value[0]
    np.testing.assert_array_equal(rows, measure(values).rows().astype(expected))


def test_finished_statistics_are_a_histogram_too(written):
    statistics = measure(RNG.normal(size=50)) + measure(RNG.normal(size=70))
    rows = written(lambda run: run.histogram("h", statistics, 0)).histograms["h"].value[0]
    assert rows[:, 2].sum() == 120


def test_counts_that_float32_cannot_hold_are_exact(written):
    statistics = measure([1.0])
    statistics.counts[:] *= 2**24 + 1
    rows = written(lambda run: run.histogram("h", statistics, 0)).histograms["h"].value[0]
    assert rows[0, 2] == 2**24 + 1


@pytest.mark.parametrize("values", [[], [np.nan, np.inf], np.zeros((0, 4))])
def test_a_histogram_of_nothing_finite_is_an_empty_table(written, values):
    assert written(lambda run: run.histogram("h", values, 0)).histograms["h"].value[0].shape == (0, 3)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 500, 1), (200, 200, 3), (200, 300, 4)])
@pytest.mark.parametrize("colours", [1, 16, 250, 256])
def test_a_picture_of_noise_or_of_few_colours_keeps_every_pixel(written, shape, colours):
    pixels = RNG.integers(0, colours, shape, np.uint8)
    (picture,) = pictures(written, pixels, dataformats="HWC")
    np.testing.assert_array_equal(picture.reshape(shape), pixels)


def test_values_that_are_overwritten_afterwards_keep_what_was_logged(written):
    def actions(run):
        values = np.ones(10)
        run.histogram("h", values, 0)
        values[:] = 5

    np.testing.assert_array_equal(written(actions).histograms["h"].value[0], [[1, 1.125, 10]])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_uint8_pixels_survive_exactly(written, channels):
    pixels = RNG.integers(0, 256, (13, 17, channels), np.uint8)
    np.testing.assert_array_equal(pictures(written, pixels)[0].reshape(pixels.shape), pixels)


@pytest.mark.parametrize("axes", ["HW", "HWC", "CHW", "NHW", "NHWC", "NCHW"])
@pytest.mark.parametrize("stated", [True, False])
def test_axes_are_stated_or_inferred(written, axes, stated):
    sizes = {"N": 6, "H": 9, "W": 7, "C": 3}
    pixels = RNG.integers(0, 256, [sizes[axis] for axis in axes], np.uint8)
    got = pictures(written, pixels, dataformats=axes if stated else None)
    canonical = pixels if "C" not in axes else np.moveaxis(pixels, axes.index("C"), -1)
    np.testing.assert_array_equal(np.array(got), canonical if "N" in axes else canonical[None])


def test_floats_are_scaled_clipped_and_nan_is_black(written):
    got = pictures(written, np.array([[0.0, 0.5, 1.0, 2.0, -1.0, np.nan]]))
    assert got[0].tolist() == [[0, 128, 255, 255, 0, 0]]


def test_a_pil_image_is_a_picture(written):
    assert pictures(written, Image.new("RGB", (4, 3), (9, 8, 7)))[0].tolist() == [[[9, 8, 7]] * 4] * 3


def test_text_is_kept_as_it_is(written):
    text = "# Title\n\n<script>alert(1)</script> | ä | `code`"
    column = written(lambda run: run.text("run/notes", text, 0, description="what it is")).texts["run/notes"]
    assert column.value == [text]
    assert column.description == "what it is"


def test_hyper_parameters_keep_their_types_and_become_flat(written):
    config = {
        "lr": 3e-4,
        "layers": 4,
        "amp": True,
        "name": "a",
        "none": None,
        "optimizer": {"betas": (0.9, 0.99)},
        "np": np.float32(0.5),
    }
    data = written(lambda _: None, config=config)
    assert data.hparams == {
        "lr": 3e-4,
        "layers": 4.0,
        "amp": True,
        "name": "a",
        "none": "None",
        "optimizer/betas": "(0.9, 0.99)",
        "np": 0.5,
    }
    assert data.hparams["amp"] is True
    assert data.status == "success"


def test_numbers_that_the_table_would_lose_become_text(written):
    data = written(lambda _: None, config={"nan": float("nan"), "inf": float("inf"), "big": 2**60})
    assert data.hparams == {"nan": "nan", "inf": "inf", "big": str(2**60)}


def test_a_second_set_of_hyper_parameters_is_refused(log_dir):
    with mb.Run(log_dir, config={"a": 1}) as run, pytest.raises(mb.ValueKindError, match="all of them at once"):
        run.hparams({"b": 2})


def test_an_exception_in_the_with_block_ends_the_session_as_failed(log_dir):
    with pytest.raises(ZeroDivisionError), mb.Run(log_dir, config={"a": 1}) as run:
        run.log({"x": 1.0}, 0)
        _ = 1 / 0
    data = mb.read(log_dir)["."]
    assert data.status == "failure"
    assert len(data.scalars["x"]) == 1
