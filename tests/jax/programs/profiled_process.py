"""One of two processes with two devices each: train on all of them, donate the parameters, and profile two steps.

Arguments: the address of the first process, the number of this one, the directory of the run.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import multiboard as mb
import multiboard.jax as mbj


def train_step(params, x):
    loss, grads = jax.value_and_grad(lambda params: jnp.square(x @ params["dense"]["kernel"]).mean())(params)
    return jax.tree.map(lambda a, b: a - 0.1 * b, params, grads), {"loss": loss}


def main(address, number, log_dir):
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, num_processes=2, process_id=number)
    mesh = Mesh(np.array(jax.devices()), "data")

    def put(array, spec):
        return jax.make_array_from_callback(array.shape, NamedSharding(mesh, spec), lambda index: array[index])

    params = {"dense": {"kernel": put(np.ones((4, 3), np.float32), P())}}
    x = put(np.arange(32, dtype=np.float32).reshape(8, 4) / 32, P("data"))
    run = mb.Run(log_dir) if number == 0 else None
    profiler = mb.Profiler(run or log_dir, start=4, steps=2, convert="now")
    step = mbj.wrap_train_step(train_step, run, every=1000, log=["params"], donate_argnums=0, profiler=profiler)
    losses = []
    for _ in range(8):
        params, metrics = step(params, x)
        losses.append(float(metrics["loss"]))
    profiler.close()
    if run is not None:
        run.close()
    json.dump(losses, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
