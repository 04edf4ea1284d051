"""Numbers and arrays of every framework are accepted everywhere, and keep the value that they had."""

import io
import re
import threading

import numpy as np
import pytest
from PIL import Image

import multiboard as mb
from multiboard.buckets import measure
from multiboard.values import Row


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
    def write(actions, name="run"):
        with mb.Run(tmp_path / name) as run:
            actions(run)
        return mb.read(tmp_path / name)["."]

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


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(), (1,), (2, 2)], ids=str)
def test_values_of_every_shape_are_a_tensor_and_a_histogram(written, make, dtype, shape):
    import ml_dtypes

    own = np.dtype(getattr(ml_dtypes, dtype, dtype))
    logged = make(np.full(shape, 0.5).tolist(), own if make is np.asarray else dtype)

    def actions(run):
        run.histogram("h", logged, 0)
        run.tensor("t", logged, 0)

    data = written(actions)
    assert data.histograms["h"].value[0][:, 2].sum() == np.prod(shape)
    np.testing.assert_array_equal(np.asarray(data.tensors["t"].value[0], np.float32), np.full(shape, 0.5))


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


def test_a_donated_jax_value_is_one_warning_per_tag_and_the_step_stays(written):
    """The buffers are really donated, in a loop; the loss is not."""
    import jax
    import jax.numpy as jnp

    step_fn = jax.jit(lambda state: (state + 1, state * 2), donate_argnums=0)

    def actions(run):
        state = jnp.float32(0.0)
        for step in range(30):
            run.log({"state": state, "y": 1.0}, step)
            state, loss = step_fn(state)
            run.log({"loss": loss}, step)

    with pytest.warns(mb.MultiboardWarning) as said:
        data = written(actions)
    found = [str(w.message) for w in said if "could not be read" in str(w.message)]
    assert len(found) == 1
    assert re.search(r"'state' could not be read at step \d+.*deleted", found[0])
    assert data.scalars["y"].step.tolist() == data.scalars["loss"].step.tolist() == list(range(30))
    lost = data.scalars["multiboard/dropped/scalar"].value[-1]
    assert lost + len(data.scalars.get("state", ())) == 30


@pytest.mark.parametrize("behind", [[], [99.0]], ids=["alone", "with more behind"])
@pytest.mark.parametrize("framework", ["jax", "tensorflow"])
def test_one_array_with_the_numbers_of_a_step_is_written_as_they_are_one_by_one(written, framework, behind):
    tags = ("a", "b", "c")
    numbers = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    numbers[7] = [np.nan, np.inf, 2.0]

    def stacked(run):
        for step in range(40):
            run.log_again(tags, Row(MAKE[framework](np.append(numbers[step], behind), "float32")), step)

    def apart(run):
        for step in range(40):
            run.log(dict(zip(tags, numbers[step], strict=True)), step)

    with pytest.warns(mb.MultiboardWarning, match="is not finite"):
        found, expected = (written(actions, name) for actions, name in ((stacked, "stacked"), (apart, "apart")))
    assert set(found.scalars) == set(expected.scalars) >= {"a", "b", "c", "nonfinite/a", "nonfinite/b"}
    for tag, series in expected.scalars.items():
        np.testing.assert_array_equal(found.scalars[tag].step, series.step, err_msg=tag)
        np.testing.assert_array_equal(found.scalars[tag].value, series.value, err_msg=tag)


def test_a_lost_array_with_the_numbers_of_a_step_is_one_warning_and_counted(written):
    import jax.numpy as jnp

    def actions(run):
        for step in range(6):
            array = jnp.array([step, step + 0.5], jnp.float32)
            if step == 4:
                array.delete()
            run.log_again(("a", "b"), Row(array), step)

    with pytest.warns(mb.MultiboardWarning, match=r"\['a', 'b'\] could not be read at step 4: .*deleted"):
        data = written(actions)
    for tag in ("a", "b"):
        assert data.scalars[tag].step.tolist() == [0, 1, 2, 3, 5]
    assert data.scalars["multiboard/dropped/scalar"].value[-1] == 2


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


def test_a_jax_value_is_taken_while_it_is_still_being_computed(written):
    """The caller returns before the device has finished: a wait would have made the array ready."""
    import jax
    import jax.numpy as jnp

    slow = jax.jit(lambda x: jax.lax.fori_loop(0, 400, lambda _, y: jnp.tanh(y @ y / 10), x).sum())
    x = jnp.ones((300, 300)) / 300
    slow(x).block_until_ready()
    ready = []

    def actions(run):
        for step in range(4):
            loss = slow(x + step)
            run.log({"loss": loss, "lr": 0.1}, step)
            run.scalar("again", loss, step)
            ready.append(loss.is_ready())

    data = written(actions)
    assert not any(ready)
    assert len(data.scalars["loss"]) == len(data.scalars["again"]) == 4


@pytest.mark.parametrize("place", ["device", "host"])
def test_no_torch_value_on_a_device_is_read_on_the_callers_thread(place, written, monkeypatch):
    """Every way to bring a number of a tensor to Python raises there. One on the host has been computed before."""
    import torch

    caller = threading.get_ident()

    def guarded(name):
        original = getattr(torch.Tensor, name)

        def method(self, *arguments, **options):
            assert threading.get_ident() != caller, f"Tensor.{name} waits for the device"
            return original(self, *arguments, **options)

        monkeypatch.setattr(torch.Tensor, name, method)

    if place == "device":
        monkeypatch.setattr(torch.Tensor, "is_cpu", property(lambda _: False))
        for name in ("item", "tolist", "numpy", "cpu", "__float__", "__int__", "__bool__", "__array__", "__index__"):
            guarded(name)

    def actions(run):
        weight = torch.ones((), requires_grad=True)
        buffer = torch.zeros(())
        for step in range(20):
            buffer += 1
            run.log({"loss": weight * 2 + step, "buffer": buffer, "half": buffer.bfloat16(), "count": torch.tensor(step)}, step)
            run.scalar("one", buffer, step)
            run.scalar("shaped", buffer.reshape(1), step)
            buffer += 100  # in place, after it was logged
            buffer -= 100

    data = written(actions)
    monkeypatch.undo()
    for tag, first in (("loss", 2), ("buffer", 1), ("half", 1), ("count", 0), ("one", 1), ("shaped", 1)):
        np.testing.assert_array_equal(data.scalars[tag].value, np.arange(20) + first, err_msg=tag)


def test_numbers_of_different_types_in_one_call_keep_their_values(written):
    """PyTorch would make bfloat16 of an int64 and a bfloat16, and lose digits."""
    import torch

    metrics = {"count": torch.tensor(1001), "half": torch.tensor(0.5, dtype=torch.bfloat16), "host": 3.25}
    data = written(lambda run: [run.log(metrics, step) for step in range(3)])
    assert {tag: set(column.value) for tag, column in data.scalars.items()} == {"count": {1001.0}, "half": {0.5}, "host": {3.25}}


@pytest.mark.parametrize("shape", [(5,), (2, 3)])
def test_an_array_for_a_number_is_refused_later_as_in_the_first_step(written, shape):
    import torch

    def actions(run):
        for step in range(5):
            run.log({"x": torch.ones(()), "y": torch.ones(())}, step)
        run.log({"x": torch.ones(shape), "y": torch.ones(())}, 5)
        run.log({"x": torch.ones(shape), "y": torch.ones(shape)}, 6)

    with pytest.warns(mb.MultiboardWarning, match="'[xy]' got a value of shape|counted while"):
        data = written(actions)
    assert data.scalars["x"].step.tolist() == list(range(5))
    assert data.scalars["y"].step.tolist() == list(range(6))
