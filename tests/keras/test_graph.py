"""`multiboard.keras.graph` traces a model without computing, and says what it cannot do."""

from __future__ import annotations

import threading
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import multiboard as mb
import multiboard.keras as mbk
from multiboard.errors import ArgumentError
from multiboard.graph import layers as layer_rows
from multiboard.graph import view
from multiboard.graph.ir import ENDS
from multiboard_keras.tracing import frames

BATCH, HEIGHT, CHANNELS, FILTERS, UNITS = 3, 9, 2, 5, 7


class Block(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.fc = layers.BatchNormalization(name="norm"), layers.Dense(4, name="fc")
        self.drop = layers.Dropout(0.5, seed=1, name="drop")

    def call(self, x: Any, training: bool = False) -> Any:
        return self.fc(self.drop(self.norm(x, training=training), training=training))


def flops(model, path, **options):
    return sum(node.flops for node in view(mbk.graph(model, **options), "layer").nodes if node.attrs.get("path") == path)


def state(model):
    return [keras.ops.convert_to_numpy(variable) for variable in model.variables]


def test_flops_are_two_for_each_multiply_add():
    image = keras.Input((HEIGHT, HEIGHT, CHANNELS))
    x = layers.Conv2D(FILTERS, 3, strides=2, name="conv")(image)
    model = keras.Model(image, layers.Dense(UNITS, name="fc")(layers.Flatten(name="flat")(x)))
    example, out = np.zeros((BATCH, HEIGHT, HEIGHT, CHANNELS), "float32"), 4
    assert flops(model, "conv", example=example) == 2 * BATCH * out * out * 3 * 3 * CHANNELS * FILTERS
    assert flops(model, "fc", example=example) == 2 * BATCH * (out * out * FILTERS) * UNITS
    assert flops(model, "flat", example=example) == 0


def test_flops_of_attention_and_of_a_loop_are_those_of_their_products():
    steps, size, heads, head = 6, 4, 2, 3
    inputs = keras.Input((steps, size))
    mixed = layers.MultiHeadAttention(heads, head, name="mix")(inputs, inputs)
    model = keras.Model(inputs, layers.LSTM(UNITS, name="lstm")(mixed))
    projections, products = 4 * steps * size * heads * head, 2 * heads * steps * steps * head
    assert flops(model, "mix") == 2 * (projections + products)
    assert flops(model, "lstm") == 2 * steps * (size + UNITS) * 4 * UNITS


def test_without_an_example_a_batch_of_one_of_the_declared_inputs_is_taken():
    model = keras.Sequential([keras.Input((None, 3)), layers.Conv1D(2, 3, name="conv")])
    graph = mbk.graph(model)
    assert [(row.path, row.shape) for row in layer_rows(graph)] == [("conv", (1, 30, 2))]
    assert graph.notes == ("Sizes of inputs that are not known were taken to be 32.",)


def test_a_subclassed_model_without_an_example_is_an_error_that_says_what_to_pass():
    with pytest.raises(mb.errors.ArgumentError, match="Block declares no inputs: pass what it is called with"):
        mbk.graph(Block())


def test_what_is_no_model_is_an_error_that_says_so():
    with pytest.raises(ArgumentError, match="pass a Keras model"):
        mbk.graph(lambda x: x, example=np.zeros((1, 2), "float32"))


def test_an_error_of_the_model_is_told_in_one_plain_line():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(3)])
    (note,) = [note for note in mbk.graph(model, example=np.zeros((2, 5), "float32")).notes if "ends early" in note]
    assert "expected axis -1 of input shape to have value 8" in note
    assert not {"\n", "\x1b"} & set(note)


def test_the_losses_of_the_last_call_stay_those_of_the_model():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activity_regularizer="l2")])
    model(np.ones((2, 4), "float32"))
    before = [float(ops.convert_to_numpy(loss)) for loss in model.losses]
    mbk.graph(model, training=True)
    assert [float(ops.convert_to_numpy(loss)) for loss in model.losses] == before
    assert len(before) == 1


def test_a_model_that_is_not_built_is_built():
    graph = mbk.graph(model := Block(), example=keras.KerasTensor((None, 4)))
    assert [row.path for row in layer_rows(graph)] == ["norm", "fc"]
    assert model.count_params() == 36


def test_the_model_and_its_random_numbers_stay_as_they_are():
    model = Block()
    model(np.ones((2, 4), "float32"))
    before, keys = state(model), set(vars(model))
    mbk.graph(model, example=np.ones((2, 4), "float32"), training=True)
    for one, other in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(one, other)
    assert set(vars(model)) == keys


def test_every_patch_is_removed_also_after_an_exception():
    class Broken(layers.Layer):
        def call(self, x):
            return x.no_such_thing if armed else x

    armed = False
    patched = (keras.layers.Layer, "__call__"), (keras.Operation, "__call__"), (ops, "relu"), (keras.random.SeedGenerator, "next")
    before = [vars(owner)[name] for owner, name in patched]
    inputs = keras.Input((4,))
    model = keras.Model(inputs, Broken(name="broken")(layers.Dense(3, name="fc")(inputs)))
    armed = True
    graph = mbk.graph(model, example=np.zeros((2, 4), "float32"))
    assert [vars(owner)[name] for owner, name in patched] == before
    assert [row.path for row in layer_rows(graph)] == ["fc"]
    assert len(graph.notes) == 1
    assert "no_such_thing" in graph.notes[0]


def test_calls_in_another_thread_are_not_in_the_graph():
    other = layers.Dense(2, name="other")
    other(np.ones((1, 3), "float32"))

    class Waiting(layers.Layer):
        def call(self, x):
            thread = threading.Thread(target=other, args=(np.ones((1, 3), "float32"),))
            thread.start()
            thread.join()
            return x * 2.0

    inputs = keras.Input((4,))
    graph = mbk.graph(keras.Model(inputs, Waiting(name="waiting")(inputs)))
    assert [row.path for row in layer_rows(graph)] == ["waiting"]
    assert graph.notes == ()


def test_a_frame_that_fails_is_said_and_the_call_goes_on(monkeypatch):
    monkeypatch.setattr(frames, "_time_steps", lambda _: 1 / 0)
    model = keras.Sequential([keras.Input((5, 4)), layers.GRU(2, name="gru"), layers.Dense(3, name="fc")])
    graph = mbk.graph(model)
    assert "fc" in [row.path for row in layer_rows(graph)]
    assert any("has no frame: ZeroDivisionError" in note for note in graph.notes)


def test_inputs_and_outputs_have_the_names_of_their_places():
    inputs = {name: keras.Input((4,), name=name) for name in ("near", "far")}
    both = layers.Concatenate(name="both")([inputs["near"], inputs["far"]])
    graph = mbk.graph(keras.Model(inputs, {"sum": both, "parts": [both * 2.0, both]}))
    ends = [(node.op, node.name) for node in graph.nodes if node.op in ENDS]
    assert [name for op, name in ends if op == "Input"] == ["inputs/far", "inputs/near"]
    assert {name for op, name in ends if op == "Output"} == {"sum", "parts/0", "parts/1"}


def test_conditions_and_loops_are_drawn():
    class Choosing(keras.Model):
        def __init__(self):
            super().__init__()
            self.left, self.right = layers.Dense(4, name="left"), layers.Dense(4, name="right")

        def call(self, x):
            x = ops.cond(ops.sum(x) > 0, lambda: self.left(x), lambda: self.right(x))
            return ops.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * 2.0), (0, x))[1]

    model = Choosing()
    model.left.build((None, 4))
    model.right.build((None, 4))
    graph = mbk.graph(model, example=np.ones((2, 4), "float32"))
    assert sum(node.params for node in graph.nodes) == model.count_params() == 40
    assert {frame.name for node in graph.nodes for frame in node.scope} >= {"cond", "while_loop"}
    assert not any("rror" in note for note in graph.notes)


def test_the_graph_is_written_to_the_run(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="fc")])
    with mb.Run(tmp_path) as run:
        mbk.graph(model, run)
        mbk.graph(model, run, tag="again")
    assert mb.read(tmp_path)["."].graphs.keys() == {
        "Default", "layer", "api", "op", "flops", "again/layer", "again/api", "again/op", "again/flops",
    }  # fmt: skip
