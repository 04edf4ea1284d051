"""The graph of what a model computes: the same layers on JAX, PyTorch and TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from multiboard.arguments import check_flag, check_run
from multiboard.errors import ArgumentError
from multiboard_keras._compat import build, declared_inputs
from multiboard_keras.layer_paths import layer_paths
from multiboard_keras.tracing.inputs import inputs_of
from multiboard_keras.tracing.trace import trace

if TYPE_CHECKING:
    from multiboard.graph.ir import Graph
    from multiboard.run import Run


def graph(model: Any, run: Run | None = None, *, example: Any = None, tag: str | None = None, training: bool = False) -> Graph:
    """Return the graph of one call of a model, and show it in the Graphs tab.

    Nothing is computed: weights, statistics of normalisation and random numbers stay as they are. A model that has no weights yet
    is built.

    Args:
        model: a Functional, Sequential or subclassed model.
        run: where the graph is written; None for nowhere.
        example: what the model is called with: its first argument, or anything of the same structure that has shapes and
            dtypes, e.g. a `keras.KerasTensor`. None for the inputs that a Functional or Sequential model declares, with a batch
            of one.
        tag: see `Run.graph`.
        training: whether the model is called as in training.

    Returns:
        The graph. What could not be recorded is said in its notes.

    Raises:
        ArgumentError: the model is none, it declares no inputs and there is no example, or another argument is not one of the
            possible ones.
    """
    if not isinstance(model, keras.Layer):
        raise ArgumentError("model", model, "pass a Keras model")
    if run is not None:
        check_run(run)
    check_flag("training", training)
    given = declared_inputs(model) if example is None else example
    if given is None:
        raise ArgumentError("example", example, f"{type(model).__name__} declares no inputs: pass what it is called with")
    inputs = inputs_of(model, given)
    if not all(layer.built for layer in (model, *layer_paths(model).values())):
        build(model, inputs.with_tensors([keras.KerasTensor(spec.shape, spec.dtype) for spec in inputs.specs]))
    found = trace(model, inputs, training=training)
    if run is not None:
        run.graph(found, tag=tag)
    return found
