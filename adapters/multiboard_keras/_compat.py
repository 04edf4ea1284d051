"""What Keras and JAX do not offer publicly: each use is guarded and has a fallback.

- The compiled loss of a model (`_compile_loss`) tells the loss of each output. Without it these metrics are Keras' running means.
- The trace that JAX is in tells whether a tensor may leave the train step. Without it nothing is taken out of the step.
"""

from __future__ import annotations

from typing import Any

import keras


def compiled_loss(model: Any) -> Any | None:
    """Return the loss object of a compiled model that tracks the losses of several outputs, or None."""
    loss = getattr(model, "_compile_loss", None)
    return loss if callable(loss) and getattr(loss, "metrics", None) else None


def trace_level() -> object:
    """Return a token that is equal for two places of one train step if tensors of one may be returned from the other."""
    backend = keras.backend.backend()
    if backend == "jax":
        try:
            from jax.extend.core import get_opaque_trace_state
        except ImportError:
            return object()  # equal to no other
        return get_opaque_trace_state(convention="flax")
    if backend == "tensorflow":
        import tensorflow as tf

        return id(tf.compat.v1.get_default_graph())
    return None
