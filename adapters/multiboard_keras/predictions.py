"""What a model returns for given inputs, while nothing of the model changes and nobody waits for the device."""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, Any

import keras

from multiboard_keras.backend import BACKEND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager


class Predictions:
    """Computes outputs with `training=False`; what layers change while they run (means, seeds, metrics) is thrown away.

    JAX compiles the model once for this, unless it runs eagerly.
    """

    def __init__(self) -> None:
        self._compiled: tuple[list[int], Callable[..., Any]] = ([], _predict)

    def of(self, model: Any, inputs: Any) -> Any:
        """Return the outputs of a built model, on its device, with the weights of now.

        Args:
            model: that has put its state back into its variables, as at the end of an epoch.
            inputs: arrays of NumPy, in the model's structure.
        """
        variables = list(model.variables)
        values = [variable.value for variable in variables]
        with _no_gradients():
            if BACKEND == "jax":
                return self._function(model, variables)(values, inputs)
            tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
            return _predict(model, variables, values, tensors)

    def _function(self, model: Any, variables: Sequence[Any]) -> Callable[..., Any]:
        """Return the function of values and inputs: what was compiled, as long as the model has the same variables."""
        import jax

        owner, known = weakref.ref(model), [id(model), *map(id, variables)]
        if model.run_eagerly:
            return lambda values, inputs: _predict(model, variables, values, inputs)
        if self._compiled[0] != known:
            self._compiled = (known, jax.jit(lambda values, inputs: _predict(owner(), variables, values, inputs)))
        return self._compiled[1]


def _predict(model: Any, variables: Sequence[Any], values: Sequence[Any], inputs: Any) -> Any:
    with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
        return model(inputs, training=False)


def _no_gradients() -> AbstractContextManager[object]:
    if BACKEND == "torch":
        import torch

        context: AbstractContextManager[object] = torch.no_grad()
        return context
    return contextlib.nullcontext()
