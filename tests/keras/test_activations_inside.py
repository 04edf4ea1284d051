"""Layers inside models and layers have the paths of their parameters; what a layer returns for its time steps counts together."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from multiboard.errors import MultiboardWarning
from multiboard_keras.layer_paths import layer_paths
from multiboard_keras.layers import Names

BACKEND = keras.backend.backend()


class Pair(layers.Layer):
    """Two layers with one name, one of them in a list."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = [layers.Dense(4, name="dense")]
        self.more = {"last": layers.Dense(4, name="dense")}

    def call(self, x):
        return self.more["last"](self.inner[0](x))


class Words(layers.Layer):
    """Hands on a tensor with the mask that another layer has put at it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.embed = layers.Embedding(10, 4, mask_zero=True, name="embed")

    def call(self, x):
        return self.embed(x)


class Around(layers.Layer):
    """Layers in another, without the argument `training`, which TensorFlow's recomputation refuses."""

    def __init__(self, **options):
        super().__init__(**options)
        self.norm, self.last = layers.LayerNormalization(name="norm"), layers.LayerNormalization(name="last")

    def call(self, x):
        return 2 * self.last(self.norm(x))


def nested():
    body = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="fc"), layers.ReLU(name="relu")], name="body")
    inputs = keras.Input((5, 4))
    x = layers.TimeDistributed(body, name="each")(inputs)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.Bidirectional(layers.SimpleRNN(3, name="rnn"), name="both")(x)
    x = keras.Sequential([keras.Input((6,)), layers.Dense(4, name="fc")], name="head")(x)
    return keras.Model(inputs, Pair(name="pair")(x))


def compiled(model):
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    return model


def logged(data):
    return {tag.removeprefix("activations/") for tag in data.histograms if tag.startswith("activations/")}


def sequences():
    rng = np.random.default_rng(0)
    return rng.normal(size=(8, 5, 4)).astype("float32"), rng.normal(size=(8, 3)).astype("float32")


def recurrent(cell, **options):
    keras.utils.set_random_seed(0)
    steps = layers.RNN(cell, return_sequences=True, name="rnn", **options)
    return compiled(keras.Sequential([keras.Input((5, 4)), steps, layers.Flatten(), layers.Dense(3)]))


def test_layers_have_the_paths_of_their_parameters():
    model = nested()
    paths = layer_paths(model)
    named = [Names(model).of(variable) for variable in model.trainable_variables]
    of_parameters = {of.path.rpartition("/")[0] for of in named if "/body/" not in f"/{of.native}"}
    assert len(of_parameters) == 9
    assert of_parameters <= paths.keys()
    inside = {"head", "head/fc", "each", "each/body", "each/body/relu", "attention/query", "both/forward_rnn", "pair/dense_1"}
    assert inside <= paths.keys()
    assert not any(isinstance(layer, layers.InputLayer) or layer is model for layer in paths.values())
    assert len({id(layer) for layer in paths.values()}) == len(paths)


def test_layers_inside_are_seen(fit):
    body = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="fc")], name="body")
    each = layers.TimeDistributed(body, name="each")
    model = keras.Sequential(
        [keras.Input((4,)), Pair(name="pair"), layers.Reshape((2, 2)), each, layers.Flatten(), layers.Dense(3)]
    )
    data = fit(compiled(model), batch_size=56, callback={"every": 1, "log": (), "activations": ["*fc", "pair*"]})
    assert logged(data) == {"each/body/fc", "pair", "pair/dense", "pair/dense_1"}
    assert data.histograms["activations/each/body/fc"].value[0][:, 2].sum() == 56 * 4  # both time steps together


@pytest.mark.parametrize("unroll", [False, True])
def test_a_cell_returns_what_its_layer_returns(unroll, fit):
    model = recurrent(layers.SimpleRNNCell(3, name="cell"), unroll=unroll)
    callback = {"every": 1, "log": (), "activations": ["rnn", "rnn.cell"]}
    if BACKEND == "tensorflow" and not unroll:
        with pytest.warns(MultiboardWarning, match=r"'rnn/cell'.*unroll=True"):
            data = fit(model, *sequences(), callback=callback)
        assert logged(data) == {"rnn"}
        return
    data = fit(model, *sequences(), callback=callback)
    assert logged(data) == {"rnn", "rnn/cell"}
    whole, cell = (data.histograms[f"activations/{path}"].value[0] for path in ("rnn", "rnn/cell"))
    assert cell[:, 2].sum() == 8 * 5 * 3
    np.testing.assert_allclose(*(data.scalars[f"norm/activations/{path}"].value for path in ("rnn", "rnn/cell")), rtol=1e-5)
    assert whole[whole[:, 0] > 0][:, 2].sum() == cell[cell[:, 0] > 0][:, 2].sum()


def test_stacked_cells_count_once_for_a_time_step(fit):
    cells = [layers.SimpleRNNCell(3, name="low"), layers.SimpleRNNCell(2, name="high")]
    model = recurrent(cells, unroll=BACKEND == "tensorflow")
    data = fit(model, *sequences(), callback={"every": 1, "log": (), "activations": ["*.low", "*.high"]})
    sizes = {path.rpartition("/")[2]: data.histograms[f"activations/{path}"].value[0][:, 2].sum() for path in logged(data)}
    assert sizes == {"low": 8 * 5 * 3, "high": 8 * 5 * 2}


def test_what_is_computed_again_for_the_gradient_does_not_count_again(fit, vectors):
    def make():
        keras.utils.set_random_seed(0)
        with keras.RematScope(mode="full"):
            around = Around(name="around")
        return keras.Sequential([keras.Input((4,)), layers.Dense(4), around, layers.Dense(3, name="last")])

    data = fit(compiled(make()), batch_size=56, callback={"every": 1, "log": (), "activations": "around*"})
    assert logged(data) == {"around", "around/norm", "around/last"}
    model = make()
    expected = keras.ops.convert_to_numpy(model.layers[1](model.layers[0](vectors[0])))
    for path in logged(data):
        assert data.histograms[f"activations/{path}"].value[0][:, 2].sum() == expected.size
    np.testing.assert_allclose(data.scalars["norm/activations/around"].value[0], np.linalg.norm(expected), rtol=1e-5)


def test_a_mask_goes_on_behind_a_layer_that_is_seen(fit):
    def make():
        keras.utils.set_random_seed(0)
        words = Words(name="words")
        return compiled(keras.Sequential([keras.Input((5,), dtype="int32"), words, layers.GlobalAveragePooling1D(name="mean")]))

    words, targets = np.array([[1, 2, 0, 0, 0], [3, 0, 0, 0, 0]], "int32"), np.ones((2, 4), "float32")
    seen, plain = make(), make()
    data = fit(seen, words, targets, callback={"every": 1, "activations": "*"})
    plain.fit(words, targets, verbose=0)
    assert logged(data) == {"words", "words/embed", "mean"}
    np.testing.assert_array_equal(seen.get_weights()[0], plain.get_weights()[0])
    np.testing.assert_allclose(seen.history.history["loss"], plain.history.history["loss"])
