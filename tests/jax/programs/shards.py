"""Measure arrays that are split over four devices, and print what came out as JSON, by case."""

import json
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from multiboard.buckets import measure as expected_of
from multiboard_jax.distributed import placement_of
from multiboard_jax.statistics import measure, merge, nothing, pack

COLLECTIVE = re.compile(r"= (.*?) (all-gather|all-to-all|collective-permute|all-reduce|reduce-scatter)(-start)?\(")


def values(*shape, seed=0):
    """Values of which every tenth is zero, NaN or infinite."""
    rng = np.random.default_rng(seed)
    array = (rng.standard_t(2, shape) * 10.0 ** rng.integers(-20, 20, shape)).astype(np.float32)
    special = rng.choice(np.float32([0, np.nan, np.inf, -np.inf]), shape)
    return np.where(rng.random(shape) < 0.1, special, array)


def mesh_of(*shape, kind=AxisType.Auto):
    names = ("data", "model")[: len(shape)]
    return Mesh(np.array(jax.devices()).reshape(shape), names, axis_types=(kind,) * len(shape))


def put(mesh, spec, array):
    return jax.device_put(array, NamedSharding(mesh, spec))


def data_parallel():
    mesh = mesh_of(4)
    return [put(mesh, P(), values(300, 400)), put(mesh, P(), values(7)), put(mesh, P("data"), values(8, 100))]


def fully_sharded():
    mesh = mesh_of(4)
    specs = [P("data"), P(None, "data"), P(None, None, "data"), P(None, None, None, "data")]
    return [put(mesh, spec, values(*(4, 8, 12, 1200)[: i + 1])) for i, spec in enumerate(specs)]


def tensor_parallel(kind=AxisType.Auto):
    mesh = mesh_of(2, 2, kind=kind)
    specs = [P("data", "model"), P(("model", "data")), P(None, "model"), P("model"), P(), P(("data", "model"), None)]
    return [put(mesh, spec, values(600, 800, seed=i)) for i, spec in enumerate(specs)]


def explicit_types():
    return tensor_parallel(AxisType.Explicit)


def many_dtypes():
    mesh = mesh_of(4)
    dtypes = ["bfloat16", "float16", "int32", "bool", "float8_e5m2", "complex64"]
    with np.errstate(all="ignore"):
        return [put(mesh, P("data"), jnp.asarray(values(400)).astype(dtype)) for dtype in dtypes]


def empty_and_scalar():
    mesh = mesh_of(4)
    return [put(mesh, P(), values()), put(mesh, P("data"), values(0)), put(mesh, P("data"), values(4))]


def plain(arrays, placement):
    return measure(arrays, placement), arrays


def middle(arrays, placement):
    """Measure values of which only the compiler knows how they are split."""
    (x,) = arrays
    seen = [x * 2, x.T, jnp.sin(x).reshape(-1), x @ jnp.ones((1200, 64))]
    return measure(seen, placement), seen


def uneven(arrays, placement):
    """Measure a value that the compiler splits into parts of different sizes."""
    seen = jax.lax.with_sharding_constraint(arrays[0][:10] * 3, NamedSharding(placement.mesh, P("data")))
    return measure([seen], placement), [seen]


def loop(arrays, placement):
    """Measure what each iteration of a loop makes, and then the same in a branch."""
    (x,) = arrays

    def body(total, factor):
        made = x * factor
        once = jax.lax.cond(factor > 1, lambda: measure([made], placement), lambda: nothing(1))
        return merge(total, once), made

    measured, made = jax.lax.scan(body, nothing(1), jnp.array([1.0, 2.0, 3.0]))
    return measured, [made[1:]]


def report(arrays, inside=plain):
    placement = placement_of({"arguments": arrays})

    def program(arrays):
        measured, seen = inside(arrays, placement)
        return pack(measured), seen

    compiled = jax.jit(program).lower(arrays).compile()
    packed, seen = compiled(arrays)
    rows, moments = np.asarray(packed), np.asarray(packed)[:, 1028:].view(np.float32)
    expected = [expected_of(np.asarray(array)) for array in seen]
    with np.errstate(over="ignore"):
        return {
            "counts": all(np.array_equal(row[:1024], e.counts) for row, e in zip(rows, expected, strict=True)),
            "specials": all(np.array_equal(row[1024:1028], e.specials) for row, e in zip(rows, expected, strict=True)),
            "moments": [moments.tolist(), [e.moments.tolist() for e in expected]],
            "replicated": packed.is_fully_replicated,
            "collectives": [match.group(1, 2) for match in COLLECTIVE.finditer(compiled.as_text())],
            "callbacks": re.findall(r"\S*callback\S*", compiled.as_text()),
        }


CASES = [data_parallel, fully_sharded, tensor_parallel, explicit_types, many_dtypes, empty_and_scalar]


def placed_in_module():
    """Tell whether the devices of the parameters of a module are found."""
    mesh = mesh_of(4)
    layer = nnx.Linear(4, 8, rngs=nnx.Rngs(0))
    nnx.update(layer, jax.tree.map(lambda array: put(mesh, P(), array), nnx.state(layer)))
    placement = placement_of((1, {"model": layer}))
    return placement is not None and placement.mesh == mesh


INSIDE = [middle, uneven, loop]

if __name__ == "__main__":
    results = {case.__name__: report(case()) for case in CASES}
    x = put(mesh_of(4), P("data"), values(400, 1200))
    results |= {case.__name__: report([x], case) for case in INSIDE}
    results |= {"module": placed_in_module()}
    json.dump(results, sys.stdout)
