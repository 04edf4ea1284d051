"""Values of variables between two steps: the next step must not reach them, and nobody waits for the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from multiboard.arrays import take_array
from multiboard_keras.backend import BACKEND

if TYPE_CHECKING:
    from multiboard.values import Foreign


def take(variable: Any) -> Foreign:
    """Return what a variable holds now, for a method of `Run` or `multiboard.arrays.fetch_array` in the writer thread.

    Args:
        variable: of Keras, or a tensor of its backend.
    """
    value = variable.value if isinstance(variable, keras.Variable) else variable
    if BACKEND == "jax":
        import jax.numpy as jnp

        value = jnp.copy(value)  # the next step takes the memory of the original
        value.copy_to_host_async()
    return take_array(getattr(variable, "path", "weight"), value)
