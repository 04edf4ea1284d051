"""The callback writes the graph of what the model computes, and a training is the same with it."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import multiboard as mb
import multiboard.keras as mbk
from multiboard.graph import layers as layer_rows
from multiboard_keras.tracing import log

TRACED = {"Default", "layer", "api", "op", "flops"}
X, Y = np.ones((12, 4), "float32"), np.ones((12, 3), "float32")


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = layers.BatchNormalization(name="norm"), layers.Dropout(0.5, seed=1, name="drop")
        self.fc = layers.Dense(3, name="fc")

    def call(self, x: Any, training: bool = False) -> Any:
        return self.fc(self.drop(self.norm(x, training=training), training=training))


class OnlyStep(keras.Model):
    """A model that is no function of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = layers.Dense(3)
        self.fc.build((None, 4))
        self.built = True

    def compute_loss(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        return keras.ops.mean(keras.ops.square(self.fc(x) - y))

    def __call__(self, x: Any, training: bool = False) -> Any:  # noqa: ARG002
        return self.fc(x)


def compiled(model: keras.Model) -> keras.Model:
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    return model


@pytest.fixture
def graphs(monkeypatch):
    """The graphs that are traced, as they are written."""
    traced = []
    original = log.trace
    monkeypatch.setattr(log, "trace", lambda *args, **kwargs: traced.append(original(*args, **kwargs)) or traced[-1])
    return traced


def train(log_dir, model=None, **options):
    model = compiled(model or Subclassed())
    model.fit(X, Y, batch_size=6, epochs=2, verbose=0, shuffle=False, callbacks=[mbk.TensorBoard(log_dir, **options)])
    return mb.read(log_dir)


def test_a_subclassed_model_has_the_graphs_of_its_first_batch(tmp_path, graphs):
    data = train(tmp_path)["."]
    assert data.graphs.keys() == TRACED
    assert "graph/summary" in data.texts
    assert [(row.path, row.shape, row.params) for row in layer_rows(graphs[0])] == [
        ("norm", (6, 4), 8), ("drop", (6, 4), 0), ("fc", (6, 3), 15),
    ]  # fmt: skip
    assert [graph.step for graph in graphs] == [0]


def test_a_functional_model_has_its_conceptual_graph_as_well(tmp_path, dense):
    dense().fit(X, Y, verbose=0, callbacks=[mbk.TensorBoard(tmp_path)])
    assert mb.read(tmp_path)["."].graphs.keys() == {*TRACED, "keras"}


def test_a_later_fit_writes_no_second_graph(tmp_path, graphs):
    model, callback = compiled(Subclassed()), mbk.TensorBoard(tmp_path)
    for _ in range(2):
        model.fit(X, Y, verbose=0, callbacks=[callback])
    assert len(graphs) == 1


def test_two_callbacks_on_one_run_write_one_graph(tmp_path, graphs):
    with mb.Run(tmp_path) as run:
        for _ in range(2):
            compiled(Subclassed()).fit(X, Y, verbose=0, callbacks=[mbk.TensorBoard(run=run)])
    assert len(graphs) == 1


def test_a_model_whose_step_was_compiled_before_has_a_graph(tmp_path, graphs):
    model = compiled(Subclassed())
    model.fit(X, Y, verbose=0)
    model.fit(X, Y, verbose=0, callbacks=[mbk.TensorBoard(tmp_path)])
    assert [row.path for row in layer_rows(graphs[0])] == ["norm", "drop", "fc"]


def test_with_the_naming_of_keras_there_is_the_conceptual_graph_only(tmp_path, dense):
    dense().fit(X, Y, verbose=0, callbacks=[mbk.TensorBoard(tmp_path, naming="keras")])
    assert mb.read(tmp_path)["train"].graphs.keys() == {"Default", "keras"}


def test_without_write_graph_there_is_none(tmp_path):
    assert train(tmp_path, write_graph=False)["."].graphs == {}


def test_weights_statistics_and_random_numbers_are_those_of_a_training_without(tmp_path):
    results = []
    for callbacks in ([], [mbk.TensorBoard(tmp_path)]):
        keras.utils.set_random_seed(0)
        model = compiled(Subclassed())
        history = model.fit(X, Y, batch_size=6, epochs=2, verbose=0, callbacks=callbacks).history
        results.append(([keras.ops.convert_to_numpy(variable) for variable in model.variables], history))
    for one, other in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert results[0][1] == results[1][1]


def test_a_graph_that_cannot_be_traced_is_said_once_and_costs_nothing_else(tmp_path, dense, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("none")

    monkeypatch.setattr(log, "trace", fail)
    with pytest.warns(mb.MultiboardWarning, match="graph not logged: ZeroDivisionError: none"):
        history = dense().fit(X, Y, verbose=0, epochs=2, callbacks=[mbk.TensorBoard(tmp_path)]).history
    assert history == dense().fit(X, Y, verbose=0, epochs=2).history
    assert mb.read(tmp_path)["."].graphs.keys() == {"Default", "keras"}


def test_a_fit_that_ends_before_its_first_batch_has_the_graph_of_the_config(tmp_path, dense):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_begin(self, *_, **__):
            raise KeyboardInterrupt

    callback = mbk.TensorBoard(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        dense().fit(X, Y, verbose=0, callbacks=[callback, Stop()])
    dense().fit(X, Y, verbose=0, callbacks=[callback])
    assert mb.read(tmp_path)["."].graphs.keys() == {"Default", "keras"}


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="the default train step of Keras calls the model there")
def test_a_model_that_cannot_be_called_has_none_and_says_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", mb.MultiboardWarning)
        assert train(tmp_path, OnlyStep())["."].graphs == {}


class Breaking(Subclassed):
    broken = False

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.norm(x, training=training)
        return self.fc(x) if not self.broken else self.fc(x).no_such_thing


def test_a_trace_that_breaks_off_is_written_as_far_as_it_came(tmp_path, monkeypatch):
    original = log.trace

    def trace(model, *args, **kwargs):
        model.broken = True
        found.append(original(model, *args, **kwargs))
        model.broken = False
        return found[-1]

    found = []
    monkeypatch.setattr(log, "trace", trace)
    data = train(tmp_path, Breaking())["."]
    assert data.graphs.keys() == TRACED
    assert [row.path for row in layer_rows(found[0])] == ["norm", "fc"]
    (note,) = found[0].notes
    assert "no_such_thing" in note
    assert note in data.graphs["layer"].description


def test_a_batch_without_shapes_leaves_the_declared_inputs(tmp_path, dense, graphs, monkeypatch):
    monkeypatch.setattr("multiboard_keras.examples._shape", lambda _: None)
    dense().fit(X, Y, batch_size=6, verbose=0, callbacks=[mbk.TensorBoard(tmp_path)])
    assert [(row.path, row.shape[-1]) for row in layer_rows(graphs[0])] == [("fc", 3)]
