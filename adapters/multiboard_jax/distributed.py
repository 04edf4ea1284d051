"""Arrays on several devices: where the arguments of a step live, and what is computed of them where they are.

How the compiler splits a value in the middle of a step is known only when it partitions the program. So the counting is left
to it as one operation, for which it asks `_partition` what each device is to do; no array is moved for it. No collective is
inside: each device returns its share along a first axis, and the compiler adds them up.
"""

from __future__ import annotations

import functools
import itertools
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from multiboard_jax._compat import partitioned, shard_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Measure: TypeAlias = Callable[..., Sequence[jax.Array]]

T = TypeVar("T")
_FLAT: Final = "devices"


class Placement(NamedTuple):
    """The devices that a step runs on, if there are several; hashable.

    Attributes:
        mesh: of an argument of the step.
    """

    mesh: Mesh


def placement_of(arguments: Any) -> Placement | None:
    """Return where the arguments of a step live, None if all are on one device.

    Args:
        arguments: a tree with arrays, which may hold NNX modules.
    """
    for leaf in _leaves(arguments):
        sharding = getattr(leaf, "sharding", None)
        if sharding is None or type(sharding) is SingleDeviceSharding:
            continue
        if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer) and len(sharding.device_set) > 1:
            return Placement(_mesh_of(leaf))
    return None


def over_shards(measure: Measure, arrays: Sequence[jax.Array], placement: Placement) -> tuple[jax.Array, ...]:
    """Measure on each device the parts of arrays that it holds, without moving them.

    Args:
        measure: takes arrays of the same number, which are parts of those; returns arrays with a row for each of them, and is
            told by a bool `[T]` which of the parts are also measured on another device that comes before.
        arrays: split over the devices in any way, or held by all of them.
        placement: the devices.

    Returns:
        What `measure` returns, with the devices as a further, first axis.
    """
    if AxisType.Explicit in placement.mesh.axis_types:
        return _mapped(measure, arrays, placement.mesh)
    return _partitioned(measure, arrays, placement.mesh)


def replicated(tree: T, placement: Placement | None) -> T:
    """Ask for arrays of a traced program to be whole on every device, so that every process can read them."""
    if placement is None:
        return tree
    whole = NamedSharding(placement.mesh, PartitionSpec())
    constrained: T = jax.tree.map(lambda array: lax.with_sharding_constraint(array, whole), tree)
    return constrained


def _mapped(measure: Measure, arrays: Sequence[jax.Array], mesh: Mesh) -> tuple[jax.Array, ...]:
    """Measure where the types of the arrays tell how they are split."""
    specs = tuple(jax.typeof(array).sharding.spec for array in arrays)
    unused = [[name for name in mesh.axis_names if name not in _names(spec)] for spec in specs]

    def local(*parts: jax.Array) -> tuple[jax.Array, ...]:
        again = [sum((lax.axis_index(name) for name in names), jnp.int32(0)) > 0 for names in unused]
        return tuple(array[None] for array in measure(jnp.stack(again), *parts))

    rows = PartitionSpec(mesh.axis_names)
    measured: tuple[jax.Array, ...] = shard_map(local, mesh, specs, rows)(*arrays)
    return measured


def _names(spec: PartitionSpec) -> list[str]:
    parts = [part if isinstance(part, tuple) else (part,) for part in spec if part is not None]
    return [name for part in parts for name in part]


def _partitioned(measure: Measure, arrays: Sequence[jax.Array], mesh: Mesh) -> tuple[jax.Array, ...]:
    """Measure as the compiler splits the arrays, which is not known yet."""
    rows = NamedSharding(mesh, PartitionSpec(mesh.axis_names))

    def whole(*parts: jax.Array) -> tuple[jax.Array, ...]:
        """Have the shapes of the result: what is computed is what `_partition` answers."""
        return tuple(jnp.broadcast_to(array, (mesh.size, *array.shape)) for array in measure(jnp.zeros(len(parts), bool), *parts))

    operation = partitioned(  # compiled, because the operation itself can hold no constants
        jax.jit(whole),
        functools.partial(_partition, measure, rows),
        infer_sharding_from_operands=lambda _, __, results: tuple(rows for _ in results),
        sharding_rule=_rule,
    )
    return tuple(lax.with_sharding_constraint(array, rows) for array in operation(*arrays))


def _partition(measure: Measure, rows: NamedSharding, _: Mesh, arrays: Sequence[Any], results: Sequence[Any]) -> Any:
    """Answer the compiler: the arrays as they are split, and what each device computes of its parts."""
    devices = Mesh(rows.mesh.devices.reshape(-1), (_FLAT,))
    shardings, firsts = zip(*(_split(array, devices) for array in arrays), strict=True)
    again = ~np.array(firsts)

    def local(*parts: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(array[None] for array in measure(jnp.asarray(again)[:, lax.axis_index(_FLAT)], *parts))

    return devices, local, tuple(rows for _ in results), shardings


def _split(array: Any, devices: Mesh) -> tuple[Sharding, list[bool]]:
    """Return the sharding in which an array is to come, and whether a device is the first that holds its part."""
    sharding = array.sharding
    try:
        parts = sharding.devices_indices_map(array.shape)
    except ValueError:  # parts of different sizes would come filled up
        sharding = NamedSharding(devices, PartitionSpec())
        parts = sharding.devices_indices_map(array.shape)
    seen: set[str] = set()
    firsts = []
    for device in devices.devices:
        part = str(parts[device])
        firsts.append(part not in seen)
        seen.add(part)
    return sharding, firsts


def _rule(_: Mesh, arrays: Sequence[Any], results: Sequence[Any]) -> str:
    """Say that no axis of an array is one of another or of a result: none is to be split because of this operation."""
    axes = itertools.count()
    operands, outcomes = (
        [" ".join(f"{letter}{next(axes)}" for _ in value.shape) or "..." for value in values]
        for letter, values in (("a", arrays), ("b", results))
    )
    return f"{', '.join(operands)} -> {', '.join(outcomes)}"


def _leaves(arguments: Any) -> Iterator[Any]:
    leaves = jax.tree.leaves(arguments)
    nnx = sys.modules.get("flax.nnx")
    if nnx is None:
        return iter(leaves)
    objects = (nnx.Module, nnx.Optimizer)  # leaves in older versions
    return itertools.chain(leaves, *(jax.tree.leaves(nnx.state(leaf)) for leaf in leaves if isinstance(leaf, objects)))


def _mesh_of(array: jax.Array) -> Mesh:
    sharding = array.sharding
    if isinstance(sharding, NamedSharding) and isinstance(sharding.mesh, Mesh):
        return sharding.mesh
    return Mesh(np.array(list(sharding.devices_indices_map(array.shape))), (_FLAT,))
