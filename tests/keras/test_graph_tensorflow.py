"""Graphs of TensorFlow: functions inside functions are part of them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import multiboard.keras as mbk
from multiboard.graph import layers as layer_rows
from multiboard_keras.tracing import operations_tensorflow as operations

X = np.ones((2, 4), "float32")


class Functions(keras.Model):
    """A model that calls a function, a loop and a condition of TensorFlow."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = layers.Dense(4, name="fc")
        self(X[:1])  # what TensorFlow has traced before shows no layers

    @tf.function
    def helper(self, x: Any) -> Any:
        return tf.nn.relu(self.fc(x)) + 1.0

    def call(self, x: Any) -> Any:
        x = self.helper(x)
        _, x = tf.while_loop(lambda i, _: i < 5, lambda i, y: (i + 1, tf.matmul(y, self.fc.kernel)), (0, x), maximum_iterations=5)
        return tf.cond(tf.reduce_sum(x) > 0, lambda: self.fc(x), lambda: x * 2.0)


def scopes(graph):
    return {"/".join(frame.name for frame in node.scope): node for node in graph.nodes}


def test_functions_loops_and_conditions_are_read():
    graph = mbk.graph(Functions(), example=X)
    assert graph.notes == ()
    found = scopes(graph)
    assert found.keys() >= {
        "Functions/helper", "Functions/helper/fc", "Functions/while", "Functions/cond", "Functions/cond/then/fc",
        "Functions/cond/else",
    }  # fmt: skip
    assert sum(node.params for node in graph.nodes) == 20
    assert sum(node.op == "If" for node in graph.nodes) == 1
    assert all(slot < len(graph.nodes[number].outputs) for node in graph.nodes for number, slot in node.inputs)


def test_a_loop_counts_as_often_as_it_runs():
    graph = mbk.graph(Functions(), example=X)
    product = 2 * 2 * 4 * 4
    assert sum(node.flops for node in graph.nodes) == product * (1 + 5 + 1)


def test_without_the_graphs_of_functions_a_loop_is_one_operation_with_its_weights(monkeypatch):
    monkeypatch.setattr(operations, "function_graph", lambda *_: None)
    model = keras.Sequential([keras.Input((6, 3)), layers.LSTM(4, name="lstm")])
    graph = mbk.graph(model)
    assert "While" in {node.op for node in graph.nodes}
    assert [(row.path, row.params) for row in layer_rows(graph)] == [("lstm", model.count_params())]


def test_large_constants_are_drawn_and_small_ones_are_not():
    class Constants(keras.Model):
        def call(self, x: Any) -> Any:
            return x * tf.constant(np.arange(40, dtype="float32").reshape(10, 4))[:2] + tf.constant([1.0, 2.0, 3.0, 4.0])

    graph = mbk.graph(Constants(), example=X)
    assert [node.outputs[0].shape for node in graph.nodes if node.op == "Const"] == [(10, 4)]


def test_the_model_of_a_distribution_strategy_has_a_graph():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="fc")])
    graph = mbk.graph(model)
    assert graph.notes == ()
    assert [(row.path, row.params) for row in layer_rows(graph)] == [("fc", 15)]
