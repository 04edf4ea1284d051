"""One of two processes with two devices each: measure arrays that are split over both, and print what each can read.

Arguments: the address of the first process, the number of this one.
"""

import json
import sys

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from multiboard_jax.distributed import placement_of
from multiboard_jax.statistics import Arrival, measure, pack

SPLITS = {"rows": P("data"), "columns": P(None, "model"), "both": P("data", "model"), "all": P(("model", "data")), "whole": P()}


def values():
    """Values of which each process holds a part: float32 `[64, 3000]`."""
    rng = np.random.default_rng(0)
    array = rng.standard_t(2, (64, 3000)).astype(np.float32)
    array[::7, ::5] = np.nan
    array[::9, ::4] = 0
    return array


def main(address, number):
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, num_processes=2, process_id=number)
    mesh = Mesh(np.array(jax.devices()).reshape(2, 2), ("data", "model"))
    whole = values()
    arrays = [
        jax.make_array_from_callback(whole.shape, NamedSharding(mesh, spec), lambda index: whole[index])
        for spec in SPLITS.values()
    ]
    placement = placement_of(arrays)
    batch = Arrival(jax.jit(lambda arrays: pack(measure(arrays, placement)))(arrays)).fetch()
    arrived = {name: array.tolist() for name, array in batch._asdict().items()}
    json.dump({"devices": len(jax.devices()), **arrived}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
