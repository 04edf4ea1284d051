"""What graphs use of Keras that is not public has a fallback where it is missing."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import multiboard.keras as mbk
from multiboard.graph import layers as layer_rows
from multiboard_keras import _compat
from multiboard_keras.tracing import frames


def model() -> keras.Model:
    inputs = keras.Input((6, 4))
    mixed = layers.MultiHeadAttention(2, 3, name="mix")(inputs, inputs) + inputs
    return keras.Model(inputs, layers.GRU(3, name="gru")(mixed))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.fc = layers.Dense(3, name="fc")

    def call(self, x: Any) -> Any:
        return self.fc(x)


def test_without_the_functions_that_keras_itself_calls_the_layers_are_the_same(monkeypatch):
    def rows():
        return [(row.op, row.shape, row.params) for row in layer_rows(mbk.graph(model()))]

    expected = rows()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "keras.src", ModuleType("nothing"))
        found = _compat.modules_of_operations()
    assert found == [keras.ops]
    monkeypatch.setattr(frames, "modules_of_operations", lambda: found)
    assert rows() == expected


def test_without_the_structure_of_inputs_they_are_a_list():
    inputs = {name: keras.Input((4,), name=name) for name in ("near", "far")}
    declaring = SimpleNamespace(inputs=list(inputs.values()))
    assert _compat.declared_inputs(declaring) == list(inputs.values())
    assert _compat.declared_inputs(SimpleNamespace()) is None
    assert _compat.declared_inputs(keras.Model(inputs, keras.ops.add(*inputs.values()))).keys() == {"near", "far"}


def test_without_keras_way_to_build_a_model_it_is_built_all_the_same(monkeypatch):
    others = {name: value for name, value in vars(sys.modules["keras.src.backend"]).items() if name != "compute_output_spec"}
    backend = ModuleType("keras.src.backend")
    vars(backend).update(others)
    monkeypatch.setitem(sys.modules, "keras.src.backend", backend)
    graph = mbk.graph(built := Subclassed(), example=np.zeros((2, 4), "float32"))
    assert built.count_params() == 15
    assert [(row.path, row.params) for row in layer_rows(graph)] == [("fc", 15)]


def test_a_graph_of_tensorflow_that_hides_its_functions_has_none():
    assert _compat.function_graph(SimpleNamespace(), "f") is None


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the other backends have shapes without values anyway")
def test_without_shapes_alone_the_call_runs_with_zeros_and_changes_nothing(monkeypatch):
    import contextlib

    import torch

    from multiboard_keras.tracing import trace_torch

    def fake_mode(*, enabled):
        if enabled:
            raise RuntimeError("this PyTorch computes no shapes without values")
        return contextlib.nullcontext()

    monkeypatch.setattr(trace_torch, "fake_mode", fake_mode)
    noisy = keras.Sequential([keras.Input((4,)), layers.BatchNormalization(name="norm"), layers.GaussianNoise(0.1, seed=1)])
    before, state = [variable.numpy().copy() for variable in noisy.variables], torch.get_rng_state()
    graph = mbk.graph(noisy, training=True)
    assert layer_rows(graph)[0].path == "norm"
    assert graph.notes == ("The model looks at values: this is the path that it takes where all inputs are 0.",)
    assert torch.equal(torch.get_rng_state(), state)
    for one, variable in zip(before, noisy.variables, strict=True):
        np.testing.assert_array_equal(one, variable.numpy())
