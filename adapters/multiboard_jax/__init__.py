"""multiboard for JAX and Flax: a training step that logs its metrics, parameters and gradients.

    import multiboard.jax as mbj
    tx = mbj.tap(optax.adam(1e-3))                       # lets gradients, parameters and the learning rate be seen
    step = mbj.wrap_train_step(train_step, run, every=100)   # optimizers in a TrainState or nnx.Optimizer need no tap
    hidden = mbj.tag("hidden", hidden)                   # inside the model, for anything else
    mbj.graph(step, params, opt_state, batch, run=run)      # the Graphs tab; traces shapes, computes nothing
    for batch in mbj.loop(loader, run, watching=step):   # step times, waiting for data, memory

Everything is measured in the compiled step itself, and only at captured steps; the weights are the same as without.
"""

from multiboard_jax.capture import WrappedStep
from multiboard_jax.graph import graph
from multiboard_jax.loop import Loop, loop
from multiboard_jax.memory import memory_stats
from multiboard_jax.meter import Meter
from multiboard_jax.naming import name_layers
from multiboard_jax.optimizer import tap
from multiboard_jax.reads import watch_params
from multiboard_jax.tagging import log_inside, tag, tag_tree
from multiboard_jax.wrapping import wrap_train_step

__all__ = [
    "Loop", "Meter", "WrappedStep", "graph", "log_inside", "loop", "memory_stats", "name_layers", "tag", "tag_tree", "tap",
    "watch_params", "wrap_train_step",
]  # fmt: skip
