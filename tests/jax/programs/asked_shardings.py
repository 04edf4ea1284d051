"""Train with a step whose `jit` says where everything goes, wrapped and not, and print as JSON where it went and what came out.

Arguments: log directory, where the parameters come from ('host', 'device' or 'mesh'), and 'jax' or 'nnx'.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import multiboard as mb
import multiboard.jax as mbj

MESH = Mesh(np.array(jax.devices()), ("data",))
SPLIT, WHOLE = NamedSharding(MESH, P("data")), NamedSharding(MESH, P())
START = np.arange(32, dtype=np.float32).reshape(8, 4) / 8
X = np.ones((16, 8), np.float32)
TX = mbj.tap(optax.sgd(0.125))
PUT = {"host": lambda array: array, "device": jnp.asarray, "mesh": lambda array: jax.device_put(array, SPLIT)}


def update(params, x):
    loss, grads = jax.value_and_grad(lambda p: (x @ p["kernel"]).sum() / 64)(params)
    updates, _ = TX.update(grads, TX.init(params), params)
    return optax.apply_updates(params, updates), {"loss": loss}


def jitted(library):
    jit = nnx.jit if library == "nnx" else jax.jit
    return jit(update, in_shardings=({"kernel": SPLIT}, SPLIT), out_shardings=({"kernel": SPLIT}, WHOLE))


def compiled(step):
    """For how many kinds of arguments the step has been compiled; NNX does not tell."""
    return step._cache_size() if hasattr(step, "_cache_size") else 0


def train(step, put):
    params, seen = {"kernel": put(START)}, []
    for _ in range(4):
        params, metrics = step(params, X)
        seen.append([str(params["kernel"].sharding), str(metrics["loss"].sharding), float(metrics["loss"])])
    return seen, params["kernel"].tolist()


def main(log_dir, source, library):
    expected = train(jitted(library), PUT[source])
    inner = jitted(library)
    before = compiled(inner)
    with mb.Run(log_dir, facts=False) as run:
        found = train(mbj.wrap_train_step(inner, run, every=2), PUT[source])
    more = compiled(inner) - before
    sys.stdout.write(json.dumps({"found": found, "expected": expected, "compiled": more}))


main(*sys.argv[1:])
