"""What chosen layers return in the training forward pass is logged as 'activations/<layer>'."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import multiboard.keras as mbk
from multiboard.errors import MultiboardWarning

BACKEND = keras.backend.backend()
MODES = {
    "torch": [{}],
    "jax": [{"jit_compile": True}, {"jit_compile": False}],
    "tensorflow": [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}],
}


def check(data, tag, expected, rtol=1e-5):
    """Compare the first histogram of a tag with values; last bits may differ between two compilations of one formula."""
    expected = np.asarray(keras.ops.convert_to_numpy(expected), np.float64)
    rows = data.histograms[tag].value[0]
    assert rows[:, 2].sum() == expected.size
    assert rows[rows[:, 0] > 0][:, 2].sum() == (expected > 0).sum()
    np.testing.assert_allclose(data.scalars[f"norm/{tag}"].value[0], np.linalg.norm(expected), rtol=rtol)


def compiled(model, **options):
    model.compile(keras.optimizers.Adam(0.01), **{"loss": "mse", **options})
    return model


def logged(data):
    return {tag for tag in data.histograms if tag.startswith("activations/")}


class Parts(layers.Layer):
    """Returns a dict that is not in the order of its keys."""

    def call(self, x):
        return {"b": x, "a": ([], 2 * x)}


class Block(layers.Layer):
    """A transformer block with layers in attributes, a list and a dict."""

    def __init__(self, **options):
        super().__init__(**options)
        self.attention = layers.MultiHeadAttention(2, 4, name="attention")
        self.norm = layers.LayerNormalization(name="norm")
        self.mlp = [layers.Dense(8, "gelu", name="up"), layers.Dense(8, name="down")]
        self.drops = {"last": layers.Dropout(0.1, name="drop")}

    def call(self, x):
        x = self.norm(x + self.attention(x, x))
        return x + self.drops["last"](self.mlp[1](self.mlp[0](x)))


def vision_transformer():
    keras.utils.set_random_seed(0)
    body = keras.Sequential([keras.Input((3, 3, 8)), layers.Reshape((9, 8)), Block(name="block")], name="body")
    stem = [layers.Conv2D(8, 3, 3, padding="same", name="patches"), layers.BatchNormalization(name="norm")]
    return compiled(keras.Sequential([keras.Input((8, 8, 1)), *stem, body, layers.Flatten(), layers.Dense(1, name="fc")]))


def normalised():
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(5, name="first"), layers.BatchNormalization(name="norm"), layers.ReLU(name="relu")]
    return keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(3, name="last")])


@pytest.mark.parametrize("mode", MODES[BACKEND])
def test_outputs_are_those_before_the_update_with_the_statistics_of_the_batch(mode, fit, vectors):
    names = ["first", "norm", "relu", "last"]
    own = normalised()
    outputs = keras.Model(own.inputs[0], [own.get_layer(name).output for name in names])(vectors[0], training=True)
    data = fit(compiled(normalised(), **mode), batch_size=56, callback={"every": 1, "log": (), "activations": names})
    assert logged(data) == {f"activations/{name}" for name in names}
    for name, output in zip(names, outputs, strict=True):
        check(data, f"activations/{name}", output)
    assert data.histograms["activations/norm"].description == "`norm` of BatchNormalization, output"


def test_every_call_counts_with_the_first_tensor_that_it_returns(fit, vectors):
    def make():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4,))
        twice = layers.Dense(4, "tanh", name="twice")
        parts = Parts(name="parts")(twice(twice(inputs)))
        return keras.Model(inputs, layers.Dense(3)(parts["b"] + parts["a"][1]))

    layer = make().get_layer("twice")
    once = layer(vectors[0])
    data = fit(compiled(make()), batch_size=56, callback={"every": 1, "log": (), "activations": ["twice", "parts"]})
    assert logged(data) == {"activations/twice", "activations/twice#1", "activations/parts"}
    check(data, "activations/twice", once)
    check(data, "activations/twice#1", layer(once))
    check(data, "activations/parts", 2 * layer(once))


def test_half_precision_outputs_are_counted(fit, vectors):
    def make():
        keras.utils.set_random_seed(0)
        first = layers.Dense(4, "relu", name="first", dtype="mixed_float16")
        return keras.Sequential([keras.Input((4,)), first, layers.Dense(3, dtype="float32", name="last")])

    data = fit(compiled(make()), batch_size=56, callback={"every": 1, "log": (), "activations": "first"})
    expected = make().layers[0](vectors[0])
    assert keras.backend.standardize_dtype(expected.dtype) == "float16"
    check(data, "activations/first", expected, rtol=2e-3)


def test_training_is_the_same_to_the_bit(fit, images):
    x, y = images[0], images[1].astype("float32")
    runs = []
    for callback in [{"every": 1, "activations": "*"}, None]:
        model, options = vision_transformer(), {"batch_size": 28, "verbose": 0, "shuffle": False}
        if callback:
            data = fit(model, x, y, callback=callback, **options)
            assert {f"activations/{path}" for path in ("patches", "norm", "body/block/attention", "body/block/up")} < logged(data)
        else:
            model.fit(x, y, **options)
        runs.append([*model.get_weights(), *(v.numpy() for v in model.optimizer.variables), model.history.history["loss"]])
    for with_callback, without in zip(*runs, strict=True):
        np.testing.assert_array_equal(with_callback, without)


def test_a_pattern_that_means_no_layer_is_told_once(fit, dense):
    with pytest.warns(MultiboardWarning) as warned:
        data = fit(dense(), batch_size=28, callback={"every": 1, "activations": ["fcc", "f*"]})
    told = "no layer of the model is meant by 'fcc' in activations; there are fc. Did you mean 'fc'?"
    assert [str(warning.message) for warning in warned].count(told) == 1
    assert logged(data) == {"activations/fc"}


def test_a_function_that_raises_ends_no_training(fit, dense):
    with pytest.warns(MultiboardWarning, match="ZeroDivisionError"):
        data = fit(dense(), batch_size=28, callback={"every": 1, "activations": lambda *_: 1 / 0})
    assert not logged(data)
    assert len(data.histograms["params/fc/kernel"].value) == 2


class Failing(layers.Dense):
    """Fails at the second training step at the latest."""

    def call(self, x, training=None):
        if training:
            raise FloatingPointError("of the layer")
        return super().call(x)


def test_layers_are_as_before_also_after_an_error_of_theirs(tmp_path, vectors):
    model = compiled(keras.Sequential([keras.Input((4,)), layers.Dense(4), Failing(3)]))
    before = [set(vars(layer)) for layer in model.layers]
    with pytest.raises(FloatingPointError, match="of the layer"):
        model.fit(*vectors, verbose=0, callbacks=[mbk.TensorBoard(tmp_path, every=1, activations="*")])
    assert [set(vars(layer)) for layer in model.layers] == before


@pytest.mark.skipif(BACKEND != "torch", reason="elsewhere nothing is copied")
def test_outputs_that_are_too_large_to_be_copied_are_counted_at_once(fit, dense, vectors, monkeypatch):
    from multiboard_keras import activations_torch

    monkeypatch.setattr(activations_torch, "COPIED_BYTES", 0)
    expected = dense().layers[0](vectors[0]).detach()
    check(fit(dense(), batch_size=56, callback={"every": 1, "log": (), "activations": "fc"}), "activations/fc", expected)
