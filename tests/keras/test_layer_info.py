"""A fit writes the table of the layers with its first capture, in the order of their calls, on every backend alike."""

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk
from multiboard.compare.layer_table import logged_rows
from multiboard.transforms import canonical
from multiboard_keras.layer_info import layer_rows, transform

layers = keras.layers
X, Y = np.ones((8, 5, 8), np.float32), np.zeros((8, 3), np.float32)


class Late(keras.Model):
    """Its layers are made in another order than they are called."""

    def __init__(self):
        super().__init__()
        self.head, self.narrow, self.wide = (layers.Dense(size, name=name) for size, name in ((3, "head"), (8, "b"), (16, "a")))
        self.norm = layers.BatchNormalization(name="norm")

    def call(self, x):
        return self.head(self.inner(self.norm(self.narrow(self.wide(x)))))

    def inner(self, x):
        return keras.ops.mean(x, axis=1)


class Deep(Late):
    """The same with layers that hold others."""

    def __init__(self):
        super().__init__()
        self.lstm, self.attn = layers.LSTM(8, name="lstm"), layers.MultiHeadAttention(2, 4, name="attn")

    def inner(self, x):
        return self.lstm(self.attn(x, x))


@pytest.fixture
def fitted(tmp_path):
    """A function that fits a model with the callback and returns what its run holds."""

    def fit(model=None, optimizer=None, epochs=1, model_options=None, **options):
        model = model or Late()
        model.compile(optimizer or keras.optimizers.SGD(0.1), "mse", **(model_options or {}))
        callback = mbk.TensorBoard(tmp_path / "run", **{"every": 1, "write_graph": False} | options)
        model.fit(X, Y, batch_size=4, epochs=epochs, verbose=0, callbacks=[callback])
        return mb.read(tmp_path / "run")["."]

    return fit


def in_order(table):
    order = {layer.path: layer.order for layer in table.layers}
    return sorted((path for path in order if order[path] is not None), key=order.get)


INSIDE = ["attn", "attn/query", "attn/key", "attn/value", "attn/attention_output", "lstm", "lstm/lstm_cell"]


@pytest.mark.parametrize(("make", "activations", "inside"), [(Late, "*", []), (Deep, None, INSIDE)])
def test_layers_are_numbered_in_the_order_of_their_calls(fitted, make, activations, inside):
    table = logged_rows(fitted(make(), activations=activations))
    called = ["a", "b", "norm", *inside, "head"]
    assert [path for path in in_order(table) if path in called] == called
    assert (table.order_from, table.framework) == ("calls", "keras")


def test_roles_have_native_names_shapes_types_and_what_is_trained():
    model = Deep()
    model(X)
    table = layer_rows(model)
    roles = {role.tag: role for layer in table.layers for role in layer.roles}
    query = roles["attn/query/kernel"]
    assert query.native.endswith("attn/query/kernel")
    assert query._replace(native="") == ("kernel", "attn/query/kernel", "", (8, 2, 4), "merge 1", "float32", True)
    shapes = {
        name: roles[f"attn/{name}"].canonical for name in ("query/bias", "attention_output/kernel", "attention_output/bias")
    }
    assert shapes == {"query/bias": (8,), "attention_output/kernel": (8, 8), "attention_output/bias": (8,)}
    assert {tag for tag, role in roles.items() if not role.trainable} == {"norm/mean", "norm/var"}


def test_tags_of_the_table_are_those_of_the_histograms(fitted):
    run = fitted(log=("params", "buffers"))
    tags = {role.tag for layer in logged_rows(run).layers for role in layer.roles}
    assert tags == {tag.partition("/")[2] for tag in run.histograms}


def test_the_table_is_written_once_in_all_epochs_and_fits(fitted, tmp_path):
    model = Late()
    fitted(model, epochs=2)
    model.fit(X, Y, batch_size=4, verbose=0, callbacks=[mbk.TensorBoard(tmp_path / "run", every=1, write_graph=False)])
    run = mb.read(tmp_path / "run")["."]
    assert run.tensors["multiboard/run_info"].step.tolist() == [0]
    assert run.histograms["params/head/kernel"].step.tolist() == list(range(6))


@pytest.mark.parametrize(
    ("options", "stage"),
    [
        ({}, "as the optimizer gets it"),
        ({"clipnorm": 1.0}, "before clipping"),
        ({"global_clipnorm": 1.0}, "before clipping"),
        ({"clipvalue": 1.0}, "before clipping"),
    ],
)
def test_the_stage_of_gradients_is_told(fitted, options, stage):
    model = keras.Sequential([keras.Input((5, 8)), layers.Flatten(), layers.Dense(3)])
    assert logged_rows(fitted(model, keras.optimizers.SGD(0.1, **options))).gradients == stage


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras makes one step at a time on PyTorch")
def test_where_steps_are_hidden_layers_stand_in_the_order_of_their_definition(fitted):
    model = keras.Sequential([keras.Input((5, 8)), layers.Flatten(), layers.Dense(4, name="first"), layers.Dense(3, name="last")])
    with pytest.warns(mb.errors.MultiboardWarning, match="steps"):
        table = logged_rows(fitted(model, model_options={"steps_per_execution": 2}))
    assert table.order_from == "definition"
    assert [layer.path for layer in table.layers if layer.roles] == ["first", "last"]


def test_the_model_calls_its_own_methods_again_afterwards(fitted):
    model = Late()
    fitted(model)
    assert not [layer for layer in model.layers if {"call", "quantized_call"} & vars(layer).keys()]


def test_an_aligned_run_has_the_names_of_the_other(fitted, tmp_path):
    first = fitted(activations="*")
    model = Late()
    for layer, name in ((model.head, "last"), (model.wide, "up"), (model.narrow, "down"), (model.norm, "bn")):
        layer.name = name
    model.compile(keras.optimizers.SGD(0.1), "mse")
    with mb.Run(tmp_path / "other", align_to=tmp_path / "run") as run:
        callback = mbk.TensorBoard(run=run, every=1, write_graph=False, activations="*")
        model.fit(X, Y, batch_size=4, verbose=0, callbacks=[callback])
    assert mb.read(tmp_path / "other")["."].histograms.keys() == first.histograms.keys()


LAYOUTS = {
    "dense": (lambda: layers.Dense(5), (4, 3), (3, 5)),
    "conv": (lambda: layers.Conv2D(5, (2, 3)), (1, 6, 6, 3), (2, 3, 3, 5)),
    "up": (lambda: layers.Conv2DTranspose(5, (2, 3)), (1, 6, 6, 3), (2, 3, 3, 5)),
    "depthwise": (lambda: layers.DepthwiseConv2D((2, 3), depth_multiplier=2), (1, 6, 6, 3), (2, 3, 1, 6)),
    "einsum": (lambda: layers.EinsumDense("abc,dc->abd", (None, 5)), (2, 4, 3), (3, 5)),
    "heads": (lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 5)), (2, 4, 3), (3, 10)),
    "embedding": (lambda: layers.Embedding(7, 5), (2, 3), (7, 5)),
}


@pytest.mark.parametrize(("make", "built", "shape"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_class_decides_how_a_kernel_lies(make, built, shape):
    layer = make()
    layer.build(built)
    kernel = keras.ops.convert_to_numpy(layer.weights[0])
    role = "embedding" if isinstance(layer, layers.Embedding) else "kernel"
    assert canonical(kernel, transform(layer, role, kernel.ndim)).shape == shape


def test_layers_without_weights_are_in_the_table():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="fc"), layers.ReLU(name="act")])
    assert [(layer.path, layer.cls, len(layer.roles)) for layer in layer_rows(model).layers] == [
        ("fc", "Dense", 2),
        ("act", "ReLU", 0),
    ]
