"""Values of variables between two steps: the next step must not reach them, and nobody waits for the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from multiboard.arrays import take_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.values import Foreign


def take(variable: Any) -> Foreign:
    """Return what a variable holds now, for a method of `Run` or `multiboard.arrays.fetch_array` in the writer thread.

    Args:
        variable: of Keras, or a tensor of its backend.
    """
    value = variable.value if isinstance(variable, keras.Variable) else variable
    if keras.backend.backend() == "jax":
        import jax.numpy as jnp

        value = jnp.copy(value)  # the next step takes the memory of the original
        value.copy_to_host_async()
    return take_array(getattr(variable, "path", "weight"), value)


def variables_by_layer(model: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the weights of a model, each once, with the layer that the nested models around it tell apart."""
    seen: set[int] = set()
    for layer, variable in _walk(model):
        if id(variable) not in seen:
            seen.add(id(variable))
            yield layer, variable


def _walk(model: Any) -> Iterator[tuple[Any, Any]]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _walk(layer)
        for variable in layer.weights:
            yield layer, variable
    for variable in model.weights:
        yield model, variable
