"""Numbers and arrays of every framework are accepted everywhere, and keep the value that they had."""

import io

import numpy as np
import pytest
from PIL import Image

import multiboard as mb
from multiboard.buckets import measure


def _torch(value, dtype):
    import torch

    return torch.tensor(value, dtype=getattr(torch, dtype))


def _jax(value, dtype):
    import jax.numpy as jnp

    return jnp.asarray(value, dtype=dtype)


def _tensorflow(value, dtype):
    import tensorflow as tf

    return tf.cast(value, dtype)


def _keras(value, dtype):
    import keras

    return keras.Variable(value, dtype=dtype)


MAKE = {"torch": _torch, "jax": _jax, "tensorflow": _tensorflow, "keras": _keras, "numpy": np.asarray}


@pytest.fixture(params=MAKE)
def make(request):
    return MAKE[request.param]


@pytest.fixture
def written(tmp_path):
    def write(actions):
        with mb.Run(tmp_path / "run") as run:
            actions(run)
        return mb.read(tmp_path / "run")["."]

    return write


@pytest.mark.parametrize(
    ("dtype", "value"), [("float32", 0.1), ("float16", 0.5), ("int32", 7), ("bool", 1), ("bfloat16", 1e6), ("bfloat16", 1e-9)]
)
def test_a_0_d_value_is_a_scalar(written, make, dtype, value):
    if make is MAKE["numpy"] and dtype == "bfloat16":
        import ml_dtypes

        dtype = ml_dtypes.bfloat16
    logged = make(value, dtype)
    data = written(lambda run: run.log({"x": logged, "y": 1.0}, 0))
    if str(dtype) == "bfloat16" or "bfloat16" in repr(dtype):
        import ml_dtypes

        expected = float(ml_dtypes.bfloat16(value))
    else:
        expected = float(np.asarray(value, dtype).astype(np.float32))
    assert data.scalars["x"].value.tolist() == [expected]


def test_an_array_is_no_scalar(written, make):
    with pytest.raises(mb.ValueShapeError, match=r"\[2, 2\]"):
        written(lambda run: run.log({"x": make([[1.0, 2.0], [3.0, 4.0]], "float32")}, 0))


def test_an_array_is_a_histogram(written, make):
    values = np.random.default_rng(0).normal(size=(8, 9)).astype(np.float32)
    rows = written(lambda run: run.histogram("h", make(values, "float32"), 0)).histograms["h"].value[0]
    np.testing.assert_array_equal(rows, measure(values).rows())


def test_an_array_is_an_image(written, make):
    pixels = np.random.default_rng(0).random((5, 6, 3)).astype(np.float32)
    png = written(lambda run: run.image("i", make(pixels, "float32"), 0)).images["i"].value[0][0]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), np.rint(pixels * 255))


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_an_update_in_place_does_not_reach_what_was_logged(written, framework):
    def actions(run):
        value = MAKE[framework](1.0, "float32")
        values = MAKE[framework]([1.0, 2.0], "float32")
        run.log({"x": value}, 0)
        run.histogram("h", values, 0)
        if framework == "torch":
            value.add_(4)
            values.zero_()
        else:
            value.assign(5.0)
            values.assign([0.0, 0.0])

    data = written(actions)
    assert data.scalars["x"].value.tolist() == [1.0]
    assert data.histograms["h"].value[0][:, 0].tolist() == [1.0, 2.0]


def test_a_donated_jax_value_is_one_warning_and_the_step_stays(written):
    import jax
    import jax.numpy as jnp

    def actions(run):
        loss = jnp.float32(3.0)
        jax.block_until_ready(loss)
        loss.delete()  # what donation does to a buffer
        run.log({"x": loss, "y": 1.0}, 0)

    with pytest.warns(mb.MultiboardWarning, match=r"'x' could not be read at step 0.*deleted"):
        data = written(actions)
    assert list(data.scalars) == ["y"]


def test_values_without_a_value_are_refused_by_name(tmp_path):
    import jax
    import keras
    import tensorflow as tf
    import torch

    with mb.Run(tmp_path / "run") as run:
        with pytest.raises(mb.ValueKindError, match="meta device"):
            run.log({"x": torch.zeros((), device="meta")}, 0)
        with pytest.raises(mb.ValueKindError, match="inside jit"):
            jax.jit(lambda x: run.log({"x": x}, 0))(1.0)
        with pytest.raises(mb.ValueKindError, match="symbolic TensorFlow"):
            tf.function(lambda x: run.log({"x": x}, 0), autograph=False)(tf.constant(1.0))
        with pytest.raises(mb.ValueKindError, match="symbolic Keras"):
            run.log({"x": keras.Input(())}, 0)
        with pytest.raises(mb.ValueKindError):
            run.log({"x": torch.tensor(1 + 2j)}, 0)


@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow"])
def test_a_0_d_integer_of_a_framework_is_a_step(tmp_path, framework):
    step = MAKE[framework](4, "int32")
    if framework == "torch":
        with mb.Run(tmp_path / "run") as run:
            run.log({"x": 1.0}, step)
    else:
        with pytest.warns(mb.MultiboardWarning, match="waits for the device"), mb.Run(tmp_path / "run") as run:
            run.log({"x": 1.0}, step)
    assert mb.read(tmp_path / "run")["."].scalars["x"].step.tolist() == [4]
