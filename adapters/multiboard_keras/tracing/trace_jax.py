"""The graph of a model on JAX: its call is traced with shapes instead of arrays, and the jaxpr is read; nothing is computed."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Final

import jax
import jax.numpy as jnp
import keras
import numpy as np

from multiboard_jax.tracing.parts import call_scope, module_scope
from multiboard_jax.tracing.walk import walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.graph.ir import Frame, Scope
    from multiboard_jax.tracing.values import Argument
    from multiboard_keras.tracing.trace import Call


def record(call: Call) -> None:
    """Record a call of a model; what was traced before an exception is recorded, too.

    Raises:
        Exception: whatever the model raises.
    """
    weights = [(variable, weight) for variable in call.model.weights if (weight := call.weights.of(variable)) is not None]
    names, failures = list[str](), list[Exception]()

    def traced(values: Sequence[Any], tensors: Sequence[Any]) -> list[Any]:
        states = [(variable, _nothing(variable)) for variable in call.model.variables if call.weights.of(variable) is None]
        known = [(variable, value) for (variable, _), value in zip(weights, values, strict=True)]
        try:
            with keras.StatelessScope(state_mapping=[*known, *states]):
                outputs = call.run(_Scopes(), tensors)
        except Exception as error:  # noqa: BLE001  # raised below
            failures.append(error)
            return []
        names.extend(name for name, _ in outputs)
        return [tensor for _, tensor in outputs]

    values = [jax.ShapeDtypeStruct(tuple(variable.shape), variable.dtype) for variable, _ in weights]
    tensors = [jax.ShapeDtypeStruct(spec.shape, spec.dtype) for spec in call.inputs.specs]
    jaxpr = jax.make_jaxpr(traced)(values, tensors)
    arguments: list[Argument] = [weight for _, weight in weights]
    arguments += [("input", name) for name in call.inputs.names]
    walk(jaxpr, call.recorder, arguments, outputs=names)
    nodes = call.recorder.nodes
    nodes[:] = [node._replace(scope=_without_scopes_of_keras(node.scope, call.model.name)) for node in nodes]
    if failures:
        raise failures[0]


class _Scopes:
    """Keeps the frames of a call in the name stack of JAX."""

    def __init__(self) -> None:
        self._open: list[contextlib.ExitStack] = []

    def push(self, frame: Frame) -> None:
        """Enter a frame."""
        stack = contextlib.ExitStack()
        stack.enter_context(call_scope(frame.name) if frame.kind == "call" else module_scope(frame.name, frame.cls))
        self._open.append(stack)

    def pop(self) -> None:
        """Leave the innermost frame."""
        self._open.pop().close()


def _nothing(variable: Any) -> Any:
    """Return what stands for a variable that is no weight, e.g. the state of a generator: its values are not looked at."""
    return jnp.asarray(np.zeros(variable.shape, variable.dtype))


def _without_scopes_of_keras(scope: Scope, model: str) -> Scope:
    """Return a scope without the names that Keras itself has given to JAX for the layers that are in it anyway."""
    kept: list[Frame] = []
    for depth, frame in enumerate(scope):
        if not (depth and frame.kind == "call" and _is_scope_of(scope[depth - 1], frame.name, model if depth == 1 else "")):
            kept.append(frame)
    return tuple(kept)


def _is_scope_of(around: Frame, name: str, model: str) -> bool:
    """Return whether Keras has given a name to JAX for the layer around: its own one, without the number that tells it apart."""
    return around.kind == "module" and (name == model or re.fullmatch(rf"{re.escape(name)}_\d+", around.name) is not None)


RECORDERS: Final = (record,)
"""Ways to record a call, the best one first."""
