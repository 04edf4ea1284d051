"""The layers of a model are written so that TensorBoard can draw them; tests/together shows that it does."""

import json

import keras
import pytest

import multiboard as mb
from multiboard_keras.conceptual import conceptual, conceptual_json, draw, layer_graph, log_conceptual, log_layers

layers = keras.layers


def edges(model):
    """Return the sources of every layer by path."""
    config = json.loads(conceptual_json(draw(model.get_config())))["config"]
    return {
        layer["config"]["name"]: [
            tensor["config"]["keras_history"][0] for call in layer["inbound_nodes"] for tensor in call["args"]
        ]
        for layer in config["layers"]
    }


def tower(**options):
    return keras.Sequential([keras.Input((4,), name="in"), layers.Dense(3, name="fc")], **options)


def test_layers_of_a_sequential_model_follow_each_other():
    inner = keras.Model(entry := keras.Input((3,), name="x"), layers.Dense(2, name="y")(entry), name="inner")
    model = keras.Sequential([keras.Input((4,), name="in"), layers.Dense(3, name="fc"), inner, layers.ReLU(name="relu")])
    assert edges(model) == {"in": [], "fc": ["in"], "inner/x": ["fc"], "inner/y": ["inner/x"], "relu": ["inner/y"]}


def test_a_layer_or_model_that_is_called_twice_is_one_node_with_the_edges_of_both_calls():
    left, right, twin = keras.Input((4,), name="left"), keras.Input((4,), name="right"), tower(name="twin")
    both = layers.Add(name="add")([twin(left), twin(right)])
    shared = layers.Dense(3, name="shared")
    model = keras.Model([left, right], [shared(both), layers.Dense(1, name="b")(shared(both))])
    assert edges(model) == {
        "left": [], "right": [], "twin/in": ["left", "right"], "twin/fc": ["twin/in"], "add": ["twin/fc", "twin/fc"],
        "shared": ["add", "add"], "b": ["shared"],
    }  # fmt: skip


def test_each_output_of_a_nested_model_is_followed():
    x, z = keras.Input((4,), name="x"), keras.Input((3,), name="z")
    inner = keras.Model(
        {"x": x, "z": z}, {"first": layers.Dense(3, name="h")(x), "other": layers.ReLU(name="r")(z)}, name="inner"
    )
    found = inner({"x": (one := keras.Input((4,), name="one")), "z": (two := keras.Input((3,), name="two"))})
    model = keras.Model([one, two], [layers.Dense(1, name="a")(found["first"]), layers.Dense(1, name="b")(found["other"])])
    assert edges(model) == {
        "one": [], "two": [], "inner/x": ["one"], "inner/z": ["two"], "inner/h": ["inner/x"], "inner/r": ["inner/z"],
        "a": ["inner/h"], "b": ["inner/r"],
    }  # fmt: skip


def test_operations_with_constants_and_named_arguments_are_drawn():
    entry = keras.Input((5, 4), name="in")
    doubled = keras.ops.multiply(entry, 2.0)
    model = keras.Model(entry, layers.MultiHeadAttention(2, 2, name="attention")(entry, value=doubled))
    (operation,) = (layer.name for layer in model.operations if layer.name.startswith("multiply"))
    assert edges(model) == {"in": [], operation: ["in"], "attention": ["in", operation]}


def test_mixed_precision_is_the_dtype_that_is_computed_in():
    model = keras.Sequential([keras.Input((4,), name="in"), layers.Dense(3, name="fc", dtype="mixed_bfloat16")])
    config = json.loads(conceptual_json(draw(model.get_config())))["config"]
    assert {layer["config"]["name"]: layer["config"]["dtype"] for layer in config["layers"]} == {
        "in": "float32",
        "fc": "bfloat16",
    }


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.fc = layers.Dense(3)

    def call(self, values):
        return self.fc(values)


class Unserializable(layers.Layer):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, values):
        return self.function(values)


def test_both_graphs_are_written_under_their_tags(tmp_path):
    model = tower()
    with mb.Run(tmp_path) as run:
        log_conceptual(conceptual(model), run)
        log_layers(conceptual(model), run)
    graphs = mb.read(tmp_path)["."].graphs
    assert graphs.keys() == {"keras", "Default"}
    assert graphs["keras"].value[0].decode() == conceptual_json(draw(model.get_config()))
    assert graphs["Default"].value[0] == layer_graph(draw(model.get_config()))


def test_graphs_of_the_users_own_stay(tmp_path):
    with mb.Run(tmp_path) as run:
        run.graph(mine := layer_graph(draw(keras.Sequential([keras.Input((4,), name="mine")]).get_config())))
        run.conceptual_graph(conceptual_json(conceptual(tower())))
        log_layers(conceptual(tower()), run)
        log_conceptual(conceptual(tower()), run)
    graphs = mb.read(tmp_path)["."].graphs
    assert graphs.keys() == {"keras", "Default"}
    assert graphs["Default"].value == [mine]


def test_a_subclassed_model_has_none():
    model = Subclassed()
    model(keras.ops.zeros((1, 4)))
    assert conceptual(model) == {}


def test_a_subclassed_model_inside_is_one_layer():
    assert edges(keras.Sequential([keras.Input((4,), name="in"), Subclassed(), layers.ReLU(name="relu")])) == {
        "in": [], "subclassed_1": ["in"], "relu": ["subclassed_1"],
    }  # fmt: skip


def test_a_layer_without_a_config_is_named_in_the_error():
    entry = keras.Input((4,))
    model = keras.Model(entry, Unserializable(lambda values: values)(entry))
    with pytest.raises(NotImplementedError, match="Unserializable"):
        conceptual(model)
