"""Predictions for fixed inputs are logged at the end of epochs, and training does not notice."""

import io

import keras
import numpy as np
import pytest

import multiboard as mb
from multiboard_keras.samples import Samples


class Noisy(keras.layers.Layer):
    """Draws from its seed, also when it is not training, and counts its calls."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seed = keras.random.SeedGenerator(1)
        self.calls = self.add_weight(name="calls", shape=(), initializer="zeros", trainable=False)

    def call(self, values):
        self.calls.assign_add(1.0)
        return values + 0.1 * keras.random.normal(keras.ops.shape(values), seed=self.seed)


class Tail(keras.Model):
    """A subclassed model whose call knows nothing of training, with a dropout inside."""

    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential(
            [keras.layers.Dense(8), keras.layers.BatchNormalization(), Noisy(), keras.layers.Dropout(0.5), keras.layers.Dense(3)]
        )

    def call(self, values):
        return self.inner(values)


def log(model, samples, log_dir, epochs=(0,)):
    """Log samples of a model that is not training; return what was written."""
    with mb.Run(log_dir) as run:
        for epoch in epochs:
            samples.log(model, run, epoch, 10 * epoch)
    return mb.read(log_dir)["."]


def function(*inputs, outputs):
    """Return a model that computes outputs without weights."""
    return keras.Model(list(inputs) if len(inputs) > 1 else inputs[0], outputs)


def pixels(png):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.fixture
def fit(vectors, tmp_path):
    """Train a model with dropout, moving means and seeds; return weights, optimizer, history and what a call has returned."""

    def train(samples):
        keras.utils.set_random_seed(0)
        model = Tail()
        model.compile(keras.optimizers.Adam(0.05), "mse", metrics=["mae"])
        x, y = vectors
        held, options = [], {"batch_size": 16, "epochs": 3, "verbose": 0, "validation_data": (x, y)}
        with mb.Run(tmp_path / str(samples is None)) as run:

            def end(epoch, _):
                if samples is not None and samples.due(epoch):
                    samples.log(model, run, epoch, epoch)
                    held.append(epoch)

            history = model.fit(x, y, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=end)], **options).history
        state = [np.array(v) for v in [*model.variables, *model.optimizer.variables]]
        return state, history, held, np.array(model.predict(x[:5], verbose=0)), mb.read(tmp_path / str(samples is None))["."]

    return train


def test_training_is_the_same_to_the_bit(fit, vectors):
    plain, logged = fit(None), fit(Samples(vectors[0][:5], freq=2))
    assert logged[2] == [0, 2]
    for one, other in zip(plain[0], logged[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert plain[1] == logged[1]
    assert logged[4].texts["samples/predictions"].step.tolist() == [0, 2]
    assert len(set(logged[4].texts["samples/predictions"].value)) == 2


def test_predictions_are_those_of_the_weights_of_each_epoch_without_dropout(vectors, tmp_path):
    x, y = vectors
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential([keras.Input((4,)), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(3)])
    model.compile("sgd", "mse")
    shown, predicted = [], []
    samples = Samples(x[:5], show=lambda inputs, outputs: shown.append((inputs, outputs)))
    with mb.Run(tmp_path) as run:

        def end(epoch, _):
            samples.log(model, run, epoch, epoch)
            predicted.append(np.array(keras.ops.convert_to_numpy(model(x[:5], training=False))))

        model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=end)])
    for (inputs, outputs), expected in zip(shown, predicted, strict=True):
        np.testing.assert_array_equal(inputs, x[:5])
        np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(shown[0][1], shown[1][1])


def test_classes_are_a_table_of_the_first_three_with_their_shares(tmp_path):
    logits = np.log([[0.1, 0.6, 0.05, 0.25], [0.7, 0.1, 0.1, 0.1]]).astype("float32") + 3
    entry = keras.Input((4,))
    model = function(entry, outputs=keras.layers.Activation("linear")(entry))
    (text,) = log(model, Samples(logits, [1, 3], labels=["cat", "dog", "emu"]), tmp_path / "a").texts["samples/predictions"].value
    assert text.splitlines() == [
        "| sample | target | 1. | 2. | 3. |",
        "| --- | --- | --- | --- | --- |",
        "| 0 | dog | dog (60.0 %) | 3 (25.0 %) | cat (10.0 %) |",
        "| 1 | 3 | cat (70.0 %) | dog (10.0 %) | emu (10.0 %) |",
    ]
    shares, hot = np.exp(logits - 3), np.eye(4)[[1, 3]]
    (text,) = log(model, Samples(shares, hot), tmp_path / "b").texts["samples/predictions"].value
    assert text.splitlines()[2] == "| 0 | 1 | 1 (60.0 %) | 3 (25.0 %) | 0 (10.0 %) |"


def test_other_outputs_are_a_table_of_numbers(tmp_path):
    entry = keras.Input((3,))
    model = function(entry, outputs=keras.layers.Rescaling(2.0)(entry))
    inputs = np.array([[0.5, -1, 2], [0, 0, 0.25]])
    (text,) = log(model, Samples(inputs, 3 * inputs), tmp_path).texts["samples/predictions"].value
    assert text.splitlines()[0] == "| sample | target | output |"
    assert text.splitlines()[2:] == ["| 0 | 1.5 -3 6 | 1 -2 4 |", "| 1 | 0 0 0.75 | 0 0 0.5 |"]


def test_pictures_have_the_range_of_their_targets_and_inputs_are_logged_once(tmp_path):
    bytes_in = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
    entry = keras.Input((4, 5, 3))
    model = function(entry, outputs=keras.layers.Rescaling(2 / 255, -1.0)(entry))
    targets = bytes_in.astype("float32") / 127.5 - 1
    data = log(model, Samples(bytes_in, targets), tmp_path, epochs=(0, 1))
    assert {tag: column.step.tolist() for tag, column in data.images.items()} == {
        "samples/inputs": [0], "samples/targets": [0], "samples/predictions": [0, 10],
    }  # fmt: skip
    for found, expected in zip(data.images["samples/predictions"].value[1], bytes_in, strict=True):
        np.testing.assert_allclose(pixels(found), expected.astype(float), atol=1)
    np.testing.assert_array_equal(pixels(data.images["samples/inputs"].value[0][2]), bytes_in[2])
    assert data.images["samples/predictions"].description == "Black and white are -1 and 1."


def test_dicts_of_inputs_and_several_outputs_have_a_card_each(tmp_path):
    left, right = keras.Input((2,), name="left"), keras.Input((4, 4, 1), name="right")
    outputs = {"twice": keras.layers.Rescaling(2.0)(left), "same": keras.layers.Activation("linear")(right)}
    model = keras.Model({"left": left, "right": right}, outputs)
    samples = Samples({"left": np.array([[1.0, 2.0]]), "right": np.full((1, 4, 4, 1), 0.25)}, {"twice": np.array([[2.5, 4.0]])})
    data = log(model, samples, tmp_path)
    assert set(data.images) == {"samples/inputs/right", "samples/same"}
    assert data.texts["samples/twice"].value[0].endswith("| 0 | 2.5 4 | 2 4 |")
    assert (pixels(data.images["samples/same"].value[0][0]) == 64).all()


def test_what_show_returns_is_logged_as_it_says(tmp_path):
    entry = keras.Input((4, 4, 1))
    model = function(entry, outputs=[keras.layers.Rescaling(2.0, name="a")(entry), keras.layers.Flatten(name="b")(entry)])

    def show(inputs, outputs):
        inputs *= 7  # its own copy
        return {"doubled": outputs[0], "one": outputs[0][0], "flat": f"{outputs[1].shape}", "none": None}

    samples = Samples(np.full((2, 4, 4, 1), 0.25, "float32"), show=show)
    data = log(model, samples, tmp_path, epochs=(0, 1))
    assert data.texts["samples/flat"].value == ["(2, 16)", "(2, 16)"]
    assert set(data.images) == {"samples/doubled", "samples/one"}
    assert [len(files) for files in data.images["samples/doubled"].value] == [2, 2]
    assert (pixels(data.images["samples/one"].value[1][0]) == 128).all()


def test_a_show_that_raises_is_said_once(tmp_path):
    entry = keras.Input((4,))
    model = function(entry, outputs=keras.layers.Rescaling(2.0)(entry))

    def show(*_):
        raise KeyError("mine")

    with pytest.warns(mb.MultiboardWarning) as said:
        log(model, Samples(np.zeros((2, 4)), show=show), tmp_path, epochs=(0, 1))
    assert sum("show raised KeyError: 'mine'" in str(warning.message) for warning in said) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": np.zeros((0, 3))}, "at least one"),
        ({"inputs": 3.0}, "with the samples in front"),
        ({"inputs": [np.zeros((2, 3)), np.zeros((3, 3))]}, "same number of samples"),
        ({"inputs": np.zeros((2, 3)), "targets": [1]}, "'targets' got"),
        ({"inputs": np.zeros((2, 3)), "freq": 0}, "'freq' got"),
        ({"inputs": np.zeros((2, 3)), "show": "text"}, "'show' got"),
        ({"inputs": np.zeros((2, 3)), "labels": "abc"}, "'labels' got"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(arguments, message):
    with pytest.raises(mb.ArgumentError, match=message):
        Samples(**arguments)
