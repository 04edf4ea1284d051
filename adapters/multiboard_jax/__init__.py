"""multiboard for JAX and Flax: a training step that logs its metrics, parameters and gradients.

    import multiboard.jax as mbj
    tx = mbj.tap(optax.adam(1e-3))                       # lets gradients, parameters and the learning rate be seen
    step = mbj.wrap_train_step(train_step, run, every=100)
    hidden = mbj.tag("hidden", hidden)                   # inside the model, for anything else

Everything is measured in the compiled step itself, and only at captured steps; the weights are the same as without.
"""

from multiboard_jax.capture import WrappedStep, wrap_train_step
from multiboard_jax.optimizer import tap
from multiboard_jax.tagging import tag

__all__ = ["WrappedStep", "tag", "tap", "wrap_train_step"]
