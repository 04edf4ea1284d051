"""Tags: names on intermediate values of a traced program.

A tag is an identity primitive. It exists only while a measured variant is traced (or always, on versions of JAX where a
trace for one purpose could be taken for another); it lowers to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from multiboard.errors import ArgumentError
from multiboard.tags import check_tag
from multiboard_jax._compat import is_collecting

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


def tag(name: str, x: T) -> T:
    """Name a value inside a training step; the wrapped step logs it at captured steps.

    Use the value that is returned: what nothing depends on may be removed before it is measured. Elsewhere than in a
    wrapped step this is the identity and costs nothing. Inside `vmap` and `scan` all elements and iterations count together;
    inside `cond` and `while_loop` a tag cannot be collected, which is reported.

    Args:
        name: the tag, e.g. 'activations/encoder'. A name without '/' goes under 'activations/'. A name that is used twice in
            one step gets '#1' the second time.
        x: any array or number. Without axes it is logged as a scalar, else as a histogram.

    Returns:
        The value itself.

    Raises:
        TagError: the name is not a non-empty string.
        ArgumentError: the value is not an array or number.
    """
    full = check_tag(name) if "/" in check_tag(name) else f"activations/{name}"
    if not is_number(x):
        raise ArgumentError("x", x, "tag one array at a time; for a tree, call tag in jax.tree.map")
    return bind(x, Label(full, BY_SHAPE))


def bind(x: T, label: Label) -> T:
    """Name an array or number if a measured variant is being traced, and return it."""
    if not is_collecting():
        return x
    bound: T = tag_p.bind(x, label=label)
    return bound


def is_number(x: object) -> bool:
    """Return whether a value can be measured: an array or number, but neither PRNG keys nor the empty tangents of integers."""
    if isinstance(x, (bool, int, float, complex)):
        return True
    dtype = getattr(x, "dtype", None)
    return dtype is not None and dtype != jax.dtypes.float0 and not jnp.issubdtype(dtype, jax.dtypes.extended)


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
