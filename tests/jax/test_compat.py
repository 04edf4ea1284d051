"""What differs between versions of JAX and Flax is asked for in one place, with a fallback that works."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from flax import linen
from packaging.requirements import Requirement
from packaging.version import Version

import multiboard as mb
import multiboard_jax
from multiboard_jax import _compat

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SOURCES = sorted(Path(multiboard_jax.__file__).parent.glob("*.py"))
X = jnp.arange(3.0)

PRIVATE = {
    "_compat": {"jax._src.core.trace_ctx.is_top_level"},
    "_compat_profiler": {
        "jax._src.lib",
        "jax._src.profiler._profile_state.profile_session",
        "jax._src.profiler._profile_state.reset",
    },
}
UNSTABLE = ("jax.core", "jax.experimental", "jax.extend", "jax.interpreters", "jax.lib")
"""The parts of JAX that may change without notice; all that is used of them:"""
USED = {
    "jax.core.Tracer",
    "jax.experimental.custom_partitioning.custom_partitioning",
    "jax.experimental.shard_map.shard_map",
    "jax.extend.core.ClosedJaxpr",
    "jax.extend.core.Jaxpr",
    "jax.extend.core.JaxprEqn",
    "jax.extend.core.Literal",
    "jax.extend.core.Primitive",
    "jax.extend.core.jaxpr_as_fun",
    "jax.interpreters.ad.primitive_jvps",
    "jax.interpreters.ad.primitive_transposes",
    "jax.interpreters.batching.primitive_batchers",
    "jax.interpreters.mlir.register_lowering",
}


def dotted(node):
    """The names in a chain of attributes, or nothing."""
    if isinstance(node, ast.Attribute):
        return [*dotted(node.value), node.attr] if dotted(node.value) else []
    return [node.id] if isinstance(node, ast.Name) else []


def entry_points(source):
    """The full names of what a module takes from the frameworks."""
    tree, origins = ast.parse(source.read_text()), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            origins |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            origins |= {name.asname: name.name for name in node.names if name.asname}
    chains = filter(None, map(dotted, ast.walk(tree)))
    names = {*origins.values(), *(".".join([origins.get(first, first), *rest]) for first, *rest in chains)}
    return {name for name in names if name.partition(".")[0] in {"jax", "jaxlib", "flax", "optax", "equinox"}}


def longest(names):
    return {name for name in names if not any(other.startswith(f"{name}.") for other in names)}


def test_private_entry_points_are_few_and_where_they_have_fallbacks():
    names = {source.stem: entry_points(source) for source in SOURCES}
    assert sum(map(len, names.values())) > 50
    private = {stem: longest({name for name in found if "._" in name}) for stem, found in names.items()}
    assert {stem: found for stem, found in private.items() if found} == PRIVATE


def test_of_what_may_change_without_notice_only_this_is_used():
    names = {name for source in SOURCES for name in entry_points(source) if name.startswith(UNSTABLE)}
    assert longest(names) == USED


def test_what_is_only_in_some_versions_is_asked_for_in_one_place():
    of_some = {"jax.make_user_context", "jax.shard_map"}
    found = {s.stem for s in SOURCES for name in entry_points(s) if name in of_some or name.startswith("jax.experimental")}
    assert found == {"_compat"}


WITHOUT = """
import sys, jax
vars(jax).pop("make_user_context", None)
import jax.numpy as jnp, multiboard as mb, multiboard.jax as mbj
assert "multiboard_tag" in str(jax.make_jaxpr(lambda x: mbj.tag("hidden", x))(1.0))
def tagged(x): return jnp.sin(mbj.tag("hidden", x + 1)).sum()
def program(x): return jnp.sin(x + 1).sum()
texts = [jax.jit(f).lower(jnp.ones(3)).as_text() for f in (tagged, program)]
assert texts[0].replace("jit_tagged", "jit_program") == texts[1]
inner = jax.jit(lambda x: mbj.tag("hidden", x + 1))
with mb.Run(sys.argv[1]) as run:
    step = mbj.wrap_train_step(lambda x: inner(x).sum(), run, every=2)
    assert [float(step(jnp.ones(3))) for _ in range(3)] == [6.0] * 3
"""


def run_script(script, *arguments, devices=1):
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, **flags}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_without_make_user_context_tags_stay_compile_to_nothing_and_are_collected(log_dir):
    run_script(WITHOUT, log_dir)
    column = mb.read(log_dir)["."].histograms["activations/hidden"]
    assert column.step.tolist() == [0, 2]
    assert column.value[0].tolist() == [[2.0, 2.25, 3.0]]


WITHOUT_TRACE_CONTEXT = """
import jax, jax.numpy as jnp, optax, flax.nnx
from jax._src import core
context = vars(core).pop("trace_ctx")
from multiboard_jax._compat import is_outside, is_traced
core.trace_ctx = context  # JAX needs it
seen = []
x = jnp.ones(3)
note = lambda x: (seen.append(not is_outside() and is_traced((x, 1))), x.sum())[1]
note(x), jax.jit(note)(x), jax.grad(note)(x), jax.vmap(note)(x[None])
assert seen == [False, True, True, True], seen
"""


def test_without_the_private_context_a_trace_is_known_by_its_arguments():
    run_script(WITHOUT_TRACE_CONTEXT)


@pytest.mark.parametrize("transform", [jax.jit, jax.grad, lambda f: lambda x: jax.vmap(f)(x[None])])
def test_a_call_in_a_transformation_is_known_also_by_arguments_that_are_not_transformed(transform):
    seen = []

    def note(x):
        seen.append(_compat.is_traced((1.0, X)))
        return x.sum()

    note(X)
    transform(note)(X)
    assert seen == [False, True]


WITHOUT_SHARD_MAP = """
import warnings, jax
vars(jax).pop("shard_map", None)
import jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
from multiboard_jax._compat import shard_map
warnings.simplefilter("ignore")  # newer versions say that the experimental one is old
mesh = Mesh(np.array(jax.devices()), "d")
sums = shard_map(lambda v: v.sum()[None], mesh, (P("d"),), P("d"))(jnp.arange(4.0))
assert sums.tolist() == [1.0, 5.0], sums
"""


def test_without_jax_shard_map_the_experimental_one_is_used():
    run_script(WITHOUT_SHARD_MAP, devices=2)


WITHOUT_PARTITIONING = """
import sys, warnings, jax
sys.modules["jax.experimental.custom_partitioning"] = None
import jax.numpy as jnp, numpy as np, multiboard as mb, multiboard.jax as mbj
from jax.sharding import Mesh, NamedSharding, PartitionSpec
def train_step(x): return mbj.tag("hidden", x).sum()
split = NamedSharding(Mesh(np.array(jax.devices()), "d"), PartitionSpec("d"))
with mb.Run(sys.argv[1]) as run:
    assert float(mbj.wrap_train_step(train_step, run)(jnp.arange(4.0))) == 6.0
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        step = mbj.wrap_train_step(train_step, run, every=1, start_step=1)
        assert float(step(jax.device_put(jnp.arange(4.0), split))) == 6.0
assert len(said) == 1 and "custom_partitioning" in str(said[0].message), said
"""


def test_without_custom_partitioning_steps_on_one_device_are_measured_and_others_run_plain(log_dir):
    run_script(WITHOUT_PARTITIONING, log_dir, devices=2)
    assert mb.read(log_dir)["."].histograms["activations/hidden"].step.tolist() == [0]


def test_methods_that_linen_has_transformed_are_known():
    class Layer(linen.Module):
        @linen.jit
        @linen.compact
        def __call__(self, x):
            return linen.Dense(2)(x)

        def plain(self, x):
            return x

    assert _compat.is_lifted(vars(Layer)["__call__"])
    assert not _compat.is_lifted(vars(Layer)["plain"])
    assert not _compat.is_lifted(vars(linen.Dense)["__call__"])


def test_the_lowest_versions_that_are_tested_are_those_that_the_package_allows():
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["jax"]
    pins = dict(line.split("==") for line in (ROOT / "constraints-lowest.txt").read_text().splitlines() if "==" in line)
    for requirement in map(Requirement, extra):
        (bound,) = requirement.specifier
        assert (bound.operator, Version(bound.version)) == (">=", Version(pins[requirement.name]))


def test_every_gap_of_old_versions_names_a_test_that_there_is():
    names = [name for gap in tomllib.loads((HERE / "gaps.toml").read_text())["gap"] for name in gap["tests"]]
    for name in names:
        file, _, test = name.partition("::")
        assert f"def {test.partition('[')[0]}(" in (HERE / file).read_text(), name
