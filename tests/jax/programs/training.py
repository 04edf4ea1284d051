"""Train a small model that is split over four devices, wrapped and not, and print how the two compare as JSON.

The values of the first training are small integers over powers of two: sums of them are exact in whatever order devices add them.

Arguments: log directory, how the model is split, and for one of two processes the address of the first and its number.
"""

import json
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import multiboard as mb
import multiboard.jax as mbj

SPLITS = {
    "data": {"kernel": P(), "bias": P()},
    "fsdp": {"kernel": P(None, ("data", "model")), "bias": P(("data", "model"))},
    "tensor": {"kernel": P("data", "model"), "bias": P("model")},
}
GATHER = re.compile(r" (all-gather|all-to-all|collective-permute)(-start)?\(")


def start():
    """The parameters: a kernel `[8, 96]` and a bias `[96]`."""
    rng = np.random.default_rng(0)
    return {"kernel": rng.integers(-64, 64, (8, 96)).astype(np.float32) / 16, "bias": np.zeros(96, np.float32)}


def batch(step):
    """The inputs of a step: `[16, 8]`."""
    return np.random.default_rng(step + 1).integers(-8, 8, (16, 8)).astype(np.float32)


def exact(outputs):
    """A loss whose gradients are the same in whatever order they are added up."""
    return (outputs * jnp.arange(96.0)).sum() / 1024


def rounded(outputs):
    return jnp.tanh(outputs / 3).sum() / 7


def make_step(tx, loss_of, tag=mbj.tag):
    def step(params, opt_state, x):
        def loss(params):
            return loss_of(tag("outputs", x @ params["kernel"] + params["bias"]))

        value, grads = jax.value_and_grad(loss)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, {"loss": value}

    return step


def train(step, tx, mesh, split):
    """Return the losses, the parameters at the end, and the arguments of the last step."""
    params = {name: put(mesh, spec, start()[name]) for name, spec in SPLITS[split].items()}
    opt_state, losses = tx.init(params), []
    for i in range(3):
        arguments = params, opt_state, put(mesh, P("data"), batch(i))
        params, opt_state, metrics = step(*arguments)
        losses.append(float(metrics["loss"]))
    return losses, params, arguments


def put(mesh, spec, array):
    return jax.make_array_from_callback(array.shape, NamedSharding(mesh, spec), lambda index: array[index])


def here(params):
    """What this process holds of the parameters."""
    return [[shard.data.tolist() for shard in array.addressable_shards] for array in jax.tree.leaves(params)]


def gathers(lowered):
    return len(GATHER.findall(lowered.compile().as_text()))


def main(log_dir, split, address="", number=0):
    if address:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, num_processes=2, process_id=number)
    mesh = Mesh(np.array(jax.devices()).reshape(2, 2), ("data", "model"))
    opens_none = number and split == "data"  # with other splits both processes open the run, and the second one stays silent
    run = None if opens_none else mb.Run(log_dir, on_error=lambda cause, message: sys.exit(f"{cause}: {message}"))
    reports = [compared(loss_of, run, mesh, split, first) for loss_of, first in ((exact, 0), (rounded, 100))]
    if run is not None:
        run.close()
    json.dump({"devices": len(jax.devices()), "trainings": reports}, sys.stdout)


def compared(loss_of, run, mesh, split, first):
    """Train without and with the wrapper, which logs from a step on."""
    tx = optax.sgd(0.25)
    plain = jax.jit(make_step(tx, loss_of))
    losses, params, arguments = train(plain, tx, mesh, split)
    wrapped = mbj.wrap_train_step(make_step(mbj.tap(tx), loss_of), run, every=2, start_step=first)
    wrapped_losses, wrapped_params, _ = train(wrapped, tx, mesh, split)
    untagged = mbj.wrap_train_step(make_step(mbj.tap(tx), loss_of, lambda _, value: value), run)
    measured = [step._measured_variant((arguments, {})) for step in (untagged, wrapped)]
    pairs = list(zip(*map(jax.tree.leaves, (params, wrapped_params)), strict=True))
    return {
        "same": losses == wrapped_losses and here(params) == here(wrapped_params),
        "same_shardings": all(ours.sharding == theirs.sharding for ours, theirs in pairs),
        "gathers": [gathers(step.lower(*arguments)) for step in (plain, *measured)],
    }


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:]))
