"""What a model is called with when its graph is drawn: shapes and dtypes, no values."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import keras

from multiboard.graph.ir import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_UNKNOWN: Final = 32
"""Stands for a size other than that of the batch that is not known: convolutions and poolings need some."""


class Inputs(NamedTuple):
    """The first argument of a model.

    Attributes:
        structure: nested, with anything at its leaves; only those that are tensors are inputs.
        names: of the tensors.
        specs: of the tensors; all sizes are known.
        guessed: whether a size other than that of the batch was not known.
    """

    structure: Any
    names: tuple[str, ...]
    specs: tuple[TensorSpec, ...]
    guessed: bool

    def with_tensors(self, tensors: Sequence[Any]) -> Any:
        """Return the argument with other tensors."""
        given = iter(tensors)
        flat = [next(given) if _is_tensor(leaf) else leaf for leaf in keras.tree.flatten(self.structure)]
        return keras.tree.pack_sequence_as(self.structure, flat)


def inputs_of(model: Any, example: Any, batch: int | None = None) -> Inputs:
    """Return what a model is called with.

    Args:
        model: a model.
        example: its first argument: arrays, tensors or anything else with shape and dtype, in any structure.
        batch: size of the batch where the example does not tell; None for 1.
    """
    leaves = keras.tree.flatten(example)
    names = [f"{_argument(model)}{path}" for path in paths(example)]
    if len(names) != len(leaves):  # a structure that only Keras knows
        names = [f"{_argument(model)}/{number}" for number in range(len(leaves))]
    found = [(name, leaf) for name, leaf in zip(names, leaves, strict=True) if _is_tensor(leaf)]
    guessed = any(size is None for _, leaf in found for size in tuple(leaf.shape)[1:])
    return Inputs(example, tuple(name for name, _ in found), tuple(_spec(leaf, batch or 1) for _, leaf in found), guessed)


def first_of_batch(data: Any) -> Any:
    """Return what a default train step passes to the model, of `(x, y, sample_weight)`."""
    return keras.utils.unpack_x_y_sample_weight(data)[0]


def paths(structure: Any) -> Iterator[str]:
    """Yield where each leaf is in a nested structure, e.g. '/image' or '/0/mask'; '' for a single one."""
    if isinstance(structure, dict):
        parts: list[tuple[Any, Any]] = [(key, structure[key]) for key in sorted(structure)]  # the order in which Keras flattens
    elif isinstance(structure, tuple) and hasattr(structure, "_fields"):
        parts = list(zip(structure._fields, structure, strict=True))
    elif isinstance(structure, (list, tuple)):
        parts = list(enumerate(structure))
    else:
        yield ""
        return
    for key, part in parts:
        for path in paths(part):
            yield f"/{key}{path}"


def _argument(model: Any) -> str:
    return next(iter(inspect.signature(model.call).parameters), "inputs")


def _is_tensor(leaf: Any) -> bool:
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def _spec(leaf: Any, batch: int) -> TensorSpec:
    rank = leaf.shape.rank if hasattr(leaf.shape, "rank") else len(leaf.shape)
    sizes = tuple(leaf.shape) if rank is not None else (None,)
    known = tuple(int(size) if size is not None else _UNKNOWN if place else batch for place, size in enumerate(sizes))
    dtype = str(keras.backend.standardize_dtype(leaf.dtype))
    return TensorSpec(known, keras.config.floatx() if dtype == "float64" and type(leaf).__module__ == "numpy" else dtype)
