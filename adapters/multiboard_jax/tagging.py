"""Tags: names on intermediate values of a traced program.

A tag is an identity primitive. It exists only while a measured variant is traced (or always, on versions of JAX where a
trace for one purpose could be taken for another); it lowers to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from multiboard.errors import ArgumentError
from multiboard.tags import ACTIVATIONS, check_tag, description, train
from multiboard_jax._compat import is_collecting
from multiboard_jax.paths import places

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

HISTOGRAM: Final = "histogram"
SCALAR: Final = "scalar"
BY_SHAPE: Final = "by shape"
"""A scalar if the collected value has no axes, else a histogram."""

tag_p: Final = Primitive("multiboard_tag")


class Label(NamedTuple):
    """What a tag says about its value: the one parameter of the primitive.

    Attributes:
        name: the whole tag.
        kind: HISTOGRAM, SCALAR or BY_SHAPE.
        description: markdown that goes with the tag.
    """

    name: str
    kind: str
    description: str = ""


class Mean(NamedTuple):
    """The mean of a scalar that was tagged several times, or perhaps not at all.

    Attributes:
        total: sum, float32 or with `jax_enable_x64` float64.
        number: of values, int32.
    """

    total: jax.Array
    number: jax.Array


def tag(name: str, x: T) -> T:
    """Name a value inside a training step; the wrapped step logs it at captured steps.

    Use the value that is returned: what nothing depends on may be removed before it is measured. Elsewhere than in a
    wrapped step this is the identity and costs nothing. All examples of a `vmap`, iterations of a loop and shards of a
    `shard_map` count together, with values that are replicated over devices once, and what `jax.checkpoint` computes again not
    again. A branch of `cond` or `switch` counts when it is taken, and leaves nothing at other steps; under `vmap` with a
    condition of its own for each example JAX computes all branches, and runs a `while_loop` for all examples until the last one
    ends, and so they all count. In the condition of a `while_loop`, in linear solvers and in kernels a tag cannot be collected,
    which is reported.

    Args:
        name: the tag, e.g. 'activations/encoder'. A name without '/' goes under 'activations/'. A name that is used twice in
            one step gets '#1' the second time, except in several branches of one `cond`.
        x: any array or number; of complex ones the magnitude counts. Without axes it is logged as a scalar, else as a histogram;
            without axes it is a scalar in a branch or shard, too (the mean over the shards), but under `vmap` and in loops one
            value of a histogram.

    Returns:
        The value itself.

    Raises:
        TagError: the name is not a non-empty string.
        ArgumentError: the value is not an array or number: e.g. a tree, PRNG keys, an empty tangent of an integer.
    """
    full = _activation(name)
    if not is_number(x):
        raise ArgumentError("x", x, "tag one array of numbers at a time; for a tree, use tag_tree")
    return bind(x, Label(full, BY_SHAPE))


def tag_tree(name: str, tree: T) -> T:
    """Name all arrays of a tree inside a training step, as `tag` does.

    Args:
        name: what is in front of the path of each array, e.g. 'ema' for 'ema/dense1/kernel'. Paths are spelled like those of
            parameters.
        tree: any pytree. Leaves that are no arrays or numbers, PRNG keys and empty tangents stay as they are, unnamed. A single
            array is named as by `tag`.

    Returns:
        The same tree; use it.

    Raises:
        TagError: the name is not a non-empty string.
    """
    leaves, structure = jax.tree.flatten(tree)
    if jax.tree_util.treedef_is_leaf(structure):
        return tag(name, tree) if is_number(tree) else tree
    check_tag(name)
    bound = [
        bind(leaf, Label(f"{name}/{place.layer}", BY_SHAPE, description(place.native, "")) if is_number(leaf) else None)
        for leaf, place in zip(leaves, places(tree), strict=True)
    ]
    named: T = jax.tree.unflatten(structure, bound)
    return named


def log_inside(name: str, scalar: T) -> T:
    """Log a number from inside a training step at captured steps.

    Use the value that is returned, as for `tag`. Several values at one step, of iterations of a loop, examples of a `vmap` or
    shards of a `shard_map`, are averaged; in a branch that is not taken nothing is logged.

    Args:
        name: the tag; a name without '/' goes under 'train/'. A name that is used twice gets '#1' the second time.
        scalar: a real number without axes.

    Returns:
        The number itself.

    Raises:
        TagError: the name is not a non-empty string.
        ArgumentError: the value is not a real number without axes.
    """
    full = train(check_tag(name))
    if not is_number(scalar) or getattr(scalar, "shape", ()) != () or jnp.iscomplexobj(scalar):
        raise ArgumentError("scalar", scalar, "pass one real number, e.g. x.mean() or abs(x); for a distribution, use tag")
    return bind(scalar, Label(full, SCALAR))


def bind(x: T, label: Label | None) -> T:
    """Name an array or number if a measured variant is being traced, and return it; None names nothing.

    Numbers and arrays of NumPy are constants of the program: they are named, but stay what they are.
    """
    if label is None or not is_collecting():
        return x
    bound: T = tag_p.bind(x, label=label)
    return bound if isinstance(x, jax.Array) else x


def is_number(x: object) -> bool:
    """Return whether a value can be measured: an array or number, but neither PRNG keys nor the empty tangents of integers."""
    if isinstance(x, (bool, int, float, complex)):
        return True
    if not isinstance(x, (jax.Array, np.ndarray, np.generic)):
        return False
    return bool(jnp.issubdtype(x.dtype, jnp.number) or x.dtype == jnp.bool_)


def _activation(name: str) -> str:
    return name if "/" in check_tag(name) else f"{ACTIVATIONS}/{name}"


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    return tag_p.bind(*primals, **params), tangents[0]


def _transpose(cotangent: Any, _: Any, **__: Any) -> list[Any]:
    return [cotangent]


def _batch(values: Sequence[Any], axes: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    return tag_p.bind(*values, **params), axes[0]


tag_p.def_impl(lambda x, **_: x)
tag_p.def_abstract_eval(lambda x, **_: x)
ad.primitive_jvps[tag_p] = _jvp
ad.primitive_transposes[tag_p] = _transpose
batching.primitive_batchers[tag_p] = _batch
mlir.register_lowering(tag_p, lambda _, x, **__: [x])
