"""Captures between two steps: of parameters where the steps themselves cannot be seen, and of whatever lies there."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import keras

from multiboard import tags
from multiboard_keras import statistics
from multiboard_keras.backend import BACKEND
from multiboard_keras.layers import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Tensor = Any


def begin(tensors: Sequence[Tensor]) -> Any:
    """Start a capture of tensors as they are now, in one program where there are such; waits for no device.

    Returns:
        Tensors of the backend, for `statistics.pending`.
    """
    return _compiled()(list(tensors))


@functools.cache
def _compiled() -> Callable[[Sequence[Tensor]], Any]:
    if BACKEND == "jax":
        import jax

        compiled: Callable[[Sequence[Tensor]], Any] = jax.jit(statistics.begin)
        return compiled
    if BACKEND == "tensorflow":
        import tensorflow as tf

        graph: Callable[[Sequence[Tensor]], Any] = tf.function(statistics.begin)
        return graph
    return statistics.begin


class ParameterReads:
    """Reads the parameters of a model before a call of its train function.

    Args:
        model: a built model.

    Attributes:
        tags: one per parameter.
        descriptions: by tag: what it is called in Keras.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        names = Names(model)
        named = [names.of(variable) for variable in model.trainable_variables]
        self.tags = tuple(f"{tags.PARAMS}/{name.path}" for name in named)
        described = [tags.description(name.native, name.layer_class) for name in named]
        self.descriptions = dict(zip(self.tags, described, strict=True))

    def begin(self, args: tuple[Any, ...]) -> Any:
        """Start a capture.

        Args:
            args: of the train function: on JAX they hold the parameters, and the model's variables do not.
        """
        on_jax = BACKEND == "jax"
        values = args[0][0] if on_jax else [keras.ops.convert_to_tensor(one) for one in self._model.trainable_variables]
        return begin(values)
