"""Tag values inside `shard_map` and `pmap` over four devices, and print what came out as JSON, by case."""

import functools
import json
import re
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import multiboard.jax as mbj
from multiboard.buckets import measure
from multiboard_jax.collected import is_scalar, rows, scalars
from multiboard_jax.distributed import placement_of
from multiboard_jax.harvest import harvest

warnings.filterwarnings("ignore", "The jitted function")  # older versions say that a pmap in a jit is slow
LINE = Mesh(np.array(jax.devices()), "d")
SQUARE = Mesh(np.array(jax.devices()).reshape(2, 2), ("a", "b"))
X = np.arange(1, 9, dtype=np.float32)
LARGE = np.random.default_rng(0).normal(size=(4, 70_000)).astype(np.float32)

tag = functools.partial(mbj.tag, "t")


def over(function, in_specs, out_specs, mesh=LINE, **options):
    if hasattr(jax, "shard_map"):
        return jax.shard_map(function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, **options)
    from jax.experimental.shard_map import shard_map

    mesh = mesh or SQUARE
    auto = frozenset(mesh.axis_names) - options.get("axis_names", set(mesh.axis_names))
    check = options.get("check_vma", True) and not auto
    return shard_map(function, mesh, in_specs, out_specs, check_rep=check, auto=auto)


def double(x):
    return tag(x) * 2


def of_sum(x, axis="d"):
    return double(lax.psum(x, axis))


def nested(x):
    return over(double, P("b"), P("b"), None, axis_names={"b"})(x)


def replicated_in_a_branch(x):
    twos = jnp.full(3, 2.0)
    return x * lax.cond(lax.axis_index("d") < 2, lambda: tag(twos).sum(), lambda: 1.0)


def loss(x):
    def shard(v):
        return lax.psum(lax.scan(lambda c, row: (c + jnp.sin(double(row)).sum(), None), 0 * v[0, 0], v)[0], "d")

    return over(shard, P("d"), P())(x[:, None])


EACH, ALL = P("d"), P()
CASES = {
    "split": (over(double, EACH, EACH), X, X),
    "replicated": (over(double, ALL, ALL), X, X),
    "replicated, unchecked": (over(double, ALL, ALL, check_vma=False), X, X),
    "sum over devices": (over(of_sum, EACH, ALL), X, X.reshape(4, 2).sum(0)),
    "sum over devices, unchecked": (over(of_sum, EACH, ALL, check_vma=False), X, X.reshape(4, 2).sum(0)),
    "gathered": (over(lambda v: double(lax.all_gather(v, "d"))[0], EACH, EACH), X, X),
    "constant": (over(lambda v: tag(jnp.ones(2)) * v, EACH, EACH, check_vma=False), X, np.ones(2)),
    "split over one of two axes": (over(double, P("a"), P("a"), SQUARE), X, X),
    "split over two axes": (over(double, P(("a", "b")), P(("a", "b")), SQUARE), X, X),
    "sum over one of two axes": (over(lambda v: of_sum(v, "b"), P(("a", "b")), P("a"), SQUARE), X, X.reshape(2, 2, 2).sum(1)),
    "other axis left to the compiler": (over(double, P("a"), P("a"), SQUARE, axis_names={"a"}), X, X),
    "shard_map in shard_map": (over(nested, P("a"), P("a"), SQUARE, axis_names={"a"}), X, X),
    "jit": (over(jax.jit(double), EACH, EACH), X, X),
    "vmap": (lambda x: jax.vmap(over(double, EACH, EACH))(jnp.stack([x, x])), X, np.stack([X, X])),
    "branch on some devices": (over(lambda v: lax.cond(v[0] > 4, double, jnp.negative, v), EACH, EACH), X, X[4:]),
    "replicated value in it": (over(replicated_in_a_branch, EACH, EACH), X, np.full(6, 2)),
    "scan": (over(lambda v: lax.map(double, v), EACH, EACH), X, X),
    "grad of scan": (jax.grad(loss), X, X),
    "loop as long as each device needs": (
        over(lambda v: lax.while_loop(lambda c: c[0] < 6, lambda c: tag(c) + 2, v), EACH, EACH),
        X,
        np.array([1, 2, 3, 4, 5, 6, 3, 4, 5, 6, 5, 6]),
    ),
    "replicated loop": (
        over(lambda v: v + lax.while_loop(lambda c: c[0] < 6, double, jnp.ones(2))[0], EACH, EACH),
        X,
        np.array([1, 1, 2, 2, 4, 4]),
    ),
    "large": (over(double, EACH, EACH), LARGE, LARGE),
    "large in scan": (over(lambda v: lax.map(double, v), P(None, "d"), P(None, "d")), LARGE, LARGE),
    "pmap": (lambda x: jax.pmap(double)(x.reshape(4, 2)), X, X),
    "jit that asks for shardings": (jax.jit(double, out_shardings=NamedSharding(LINE, EACH)), X, X),
    "sum in pmap": (lambda x: jax.pmap(lambda v: v * of_sum(v, "i"), "i")(x.reshape(4, 2)), X, X.reshape(4, 2).sum(0)),
}
COMPILER = {
    "loop over split arrays": lambda x: lax.map(double, x),
    "branch over split arrays": lambda x: lax.cond(x.sum() < 1e9, double, jnp.negative, x),
}


def measured(function, placement):
    """Return a function that gives the results and a row for what is tagged in it; its names are noted in `names`."""
    names = []

    def run(x):
        result, found = harvest(function, placement, x)
        names[:] = [*found.found, *(f"{name} is lost in {where}" for name, where in found.lost.items())]
        return result, rows(found.found, placement)

    return jax.jit(run), names


def outcome(function, x, expected, placement=None):
    try:
        plain = jax.jit(function)(x)
    except (AssertionError, NotImplementedError, ValueError) as error:
        return f"this JAX cannot do it without multiboard: {error!r}"
    run, names = measured(function, placement)
    result, row = run(x)
    if not len(row.counts):
        return f"nothing is found: {names}"
    same = jax.tree.map(np.array_equal, result, plain)
    placed = jax.tree.map(lambda ours, theirs: ours.sharding.is_equivalent_to(theirs.sharding, ours.ndim), result, plain)
    statistics = measure(np.asarray(expected, np.float32))
    text = run.lower(x).compile().as_text() if placement else ""
    return {
        "names": names,
        "counts": np.array_equal(row.counts[0], statistics.counts),
        "moments": np.allclose(row.moments[0], statistics.moments, rtol=1e-4),
        "same": all(jax.tree.leaves(same)),
        "placed": all(jax.tree.leaves(placed)),
        "replicated": row.counts.sharding.is_fully_replicated,
        "gathers": len(re.findall(r"all-gather|all-to-all|collective-permute", text)),
    }


def mean_over_shards():
    def run(x):
        _, found = harvest(over(lambda v: v * mbj.log_inside("n", v.sum()), EACH, EACH), None, x)
        assert all(map(is_scalar, found.found.values()))
        return scalars(found.found)

    (mean,) = jax.jit(run)(X)
    return [float(mean.total), int(mean.number)]


def main():
    found = {name: outcome(*case) for name, case in CASES.items()}
    split = jax.device_put(LARGE.reshape(2, 4, -1), NamedSharding(LINE, P(None, "d")))
    found |= {name: outcome(function, split, LARGE, placement_of((split,))) for name, function in COMPILER.items()}
    json.dump({"cases": found, "mean": mean_over_shards()}, sys.stdout)


main()
