"""How a tensor of a layer is brought from the layout of its framework into the one in which frameworks are compared.

The compared layout: a dense kernel is [in, out], heads merged; a kernel of a convolution is [height, width, in, out], and so is
that of a transposed one, in and out being its own; a bias is one row; embeddings and norms are as they are everywhere;
the gates of a recurrent layer come in the order of Keras.

A transform is a text, so that it can be written into a file: steps with a comma between them, from the native tensor on.

    identity             nothing
    transpose 2 3 1 0    axes in this order, as in `numpy.transpose`
    flip 0 1             these axes backwards
    merge 1              the first axes, so many, become one, and the others another one
    flatten              all axes become one
    blocks 1 0 2         the last axis holds so many parts of one size, which come in this order
    depthwise            [..., channels, multiplier] becomes [..., 1, channels * multiplier]
    thirds               the last axis holds query, key and value one after the other; `pieces` takes them apart

An empty text stands for a tensor of which the layout is not known.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

IDENTITY: Final = "identity"
UNKNOWN: Final = ""
FLATTEN: Final = "flatten"
DEPTHWISE: Final = "depthwise"
THIRDS: Final = "thirds"
_WITH_AXES: Final = ("transpose", "flip", "blocks")
_ALONE: Final = (IDENTITY, FLATTEN, DEPTHWISE, THIRDS)
_PARTS: Final = 3


class _Step(NamedTuple):
    name: str
    numbers: tuple[int, ...]


def transpose(*axes: int) -> str:
    """Return the transform that puts axes in this order.

    >>> transpose(1, 0)
    'transpose 1 0'
    """
    return " ".join(["transpose", *map(str, axes)])


def merge(axes: int) -> str:
    """Return the transform that makes a matrix, of whose rows so many axes are.

    >>> merge(1)
    'merge 1'
    """
    return f"merge {axes}"


def blocks(*order: int) -> str:
    """Return the transform that puts equal parts of the last axis in this order.

    >>> blocks(1, 0, 2)
    'blocks 1 0 2'
    """
    return " ".join(["blocks", *map(str, order)])


def then(*transforms: str) -> str:
    """Return the transform that several make one after the other.

    >>> then(transpose(1, 0), THIRDS), then(IDENTITY, IDENTITY)
    ('transpose 1 0, thirds', 'identity')
    """
    return ", ".join(one for one in transforms if one != IDENTITY) or IDENTITY


def canonical_shape(shape: Sequence[int], transform: str) -> tuple[int, ...]:
    """Return the shape that a tensor of a native shape has in the compared layout.

    Raises:
        ArgumentError: the transform is none, or none of such a shape.

    >>> canonical_shape((24, 4, 6), merge(1)), canonical_shape((8, 3, 5, 5), transpose(2, 3, 1, 0))
    ((24, 24), (5, 5, 3, 8))
    """
    found = tuple(shape)
    for step in _steps(transform):
        _check(step, found, transform, shape)
        if step.name == "transpose":
            found = tuple(found[axis] for axis in step.numbers)
        elif step.name == "merge":
            (count,) = step.numbers
            found = math.prod(found[:count]), math.prod(found[count:])
        elif step.name == FLATTEN:
            found = (math.prod(found),)
        elif step.name == DEPTHWISE:
            found = (*found[:-2], 1, found[-2] * found[-1])
    return found


def canonical(array: npt.NDArray[Any], transform: str) -> npt.NDArray[Any]:
    """Return a tensor in the compared layout; a view of it where that is possible. Fused ones stay fused, see `pieces`.

    Works with any array that has `shape`, `reshape`, `transpose` by axes and slices, such as those of NumPy and JAX.

    Args:
        array: in the layout of its framework.
        transform: as the layer table has it.

    Raises:
        ArgumentError: the transform is none, or none of such a shape.

    >>> import numpy as np
    >>> canonical(np.arange(6).reshape(2, 3), transpose(1, 0)).tolist()
    [[0, 3], [1, 4], [2, 5]]
    """
    found = array
    for step in _steps(transform):
        _check(step, found.shape, transform, array.shape)
        if step.name == "transpose":
            found = found.transpose(step.numbers)
        elif step.name == "flip":
            found = found[tuple(slice(None, None, -1) if axis in step.numbers else slice(None) for axis in range(found.ndim))]
        elif step.name == "blocks":
            parts = found.reshape((*found.shape[:-1], len(step.numbers), -1))
            found = parts[..., list(step.numbers), :].reshape(found.shape)
        elif step.name in {"merge", FLATTEN, DEPTHWISE}:
            found = found.reshape(canonical_shape(found.shape, " ".join([step.name, *map(str, step.numbers)])))
    return found


def pieces(array: npt.NDArray[Any], transform: str) -> list[npt.NDArray[Any]]:
    """Return query, key and value of a fused tensor in the compared layout; of any other that tensor alone.

    Args:
        array: in the layout of its framework.
        transform: as the layer table has it.

    Raises:
        ArgumentError: as for `canonical`.

    >>> import numpy as np
    >>> [part.shape for part in pieces(np.zeros((72, 24)), then(transpose(1, 0), THIRDS))]
    [(24, 24), (24, 24), (24, 24)]
    """
    whole = canonical(array, transform)
    if not is_fused(transform):
        return [whole]
    size = whole.shape[-1] // _PARTS
    return [whole[..., part * size : (part + 1) * size] for part in range(_PARTS)]


def is_fused(transform: str) -> bool:
    """Return whether a tensor holds query, key and value in one."""
    return transform.endswith(THIRDS)


def is_transform(text: str) -> bool:
    """Return whether a text is a transform, or stands for one that is not known."""
    if text == UNKNOWN:
        return True
    try:
        return bool(_steps(text))
    except ArgumentError:
        return False


def _steps(transform: str) -> list[_Step]:
    steps = []
    for text in transform.split(", "):
        name, *words = text.split(" ")
        numbers = tuple(int(word) for word in words if word.isdecimal())
        known = bool(numbers) if name in _WITH_AXES else len(numbers) == 1 if name == "merge" else name in _ALONE and not numbers
        if not known or len(numbers) != len(words):
            raise ArgumentError("transform", transform, "see multiboard.transforms for what there is")
        steps.append(_Step(name, numbers))
    return steps


def _check(step: _Step, found: Sequence[int], transform: str, shape: Sequence[int]) -> None:
    """Refuse a step that a tensor of this shape cannot make."""
    numbers, rank = step.numbers, len(found)
    fits = {
        "transpose": sorted(numbers) == list(range(rank)),
        "flip": len(set(numbers)) == len(numbers) and max(numbers, default=0) < rank,
        "merge": max(numbers, default=0) <= rank,
        "blocks": rank > 0 and sorted(numbers) == list(range(len(numbers))) and found[-1] % max(len(numbers), 1) == 0,
        DEPTHWISE: rank >= 2,  # noqa: PLR2004  # channels and multiplier
        THIRDS: rank > 0,
    }
    if not fits.get(step.name, True):
        raise ArgumentError("transform", transform, f"this one does not fit the shape {tuple(shape)}")
