"""Which elements of a tensor an exact capture keeps, and how it says so: the same ones in every framework.

Large tensors are kept as a sample at places that follow from their size in the compared layout alone (`multiboard.transforms`):
the same elements, whatever layout a framework has, and whether or not query, key and value are one tensor in it.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from multiboard.arrays import fetch_array
from multiboard.transforms import IDENTITY, canonical, canonical_shape, is_fused

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from multiboard.values import Foreign

GROUP: Final = "exact"
"""First part of the tags."""
_GOLDEN: Final = 0x9E3779B97F4A7C15
"""2**64 over the golden ratio: its multiples lie evenly however many there are, and on no grid that a tensor could have, too."""
_DESCRIBED: Final = re.compile(r"; (\w+) \[([\d, ]*)\](, in thirds)?(?:, sample of (\d+))?$")
_THIRDS: Final = 3


def tag(kind: str, path: str) -> str:
    """Return the tag of a tensor that is kept, e.g. 'exact/grads/conv1/kernel'."""
    return f"{GROUP}/{kind}/{path}"


@lru_cache(maxsize=64)
def sample(size: int, limit: int) -> npt.NDArray[np.int64] | None:
    """Return which elements are kept of a tensor of a size, ascending; None if all are.

    Args:
        size: elements of the tensor.
        limit: of those that are kept; of some sizes they are a few less.

    >>> sample(1000, 4).tolist()
    [0, 236, 618, 854]
    """
    if size <= limit:
        return None
    fractions = (np.arange(limit, dtype=np.uint64) * np.uint64(_GOLDEN)) >> np.uint64(32)
    if size < 2**32:
        return np.unique((fractions * np.uint64(size)) >> np.uint64(32)).astype(np.int64)
    return np.unique(np.array([int(fraction) * size >> 32 for fraction in fractions], np.int64))


def places(shape: Sequence[int], transform: str, limit: int) -> npt.NDArray[np.int64] | None:
    """Return which elements of a tensor in its own layout are kept, in the order of the compared layout; None if all are.

    Of a fused tensor its thirds are sampled one after the other.

    Args:
        shape: in the layout of the framework.
        transform: into the compared layout.
        limit: of elements, of a fused tensor those of a third.
    """
    return _places(tuple(shape), transform, limit)


@lru_cache(maxsize=256)
def _places(shape: tuple[int, ...], transform: str, limit: int) -> npt.NDArray[np.int64] | None:
    found = canonical_shape(shape, transform)
    kept = _kept(found, limit, fused=is_fused(transform))
    if kept is None or not any(step.startswith(("transpose", "flip", "blocks")) for step in transform.split(", ")):
        return kept  # every other step leaves the order of the elements as it is
    size = math.prod(shape)
    numbers = np.arange(size, dtype=np.uint32 if size < 2**32 else np.int64).reshape(shape)
    return canonical(numbers, transform)[np.unravel_index(kept, found)].astype(np.int64)


def _kept(shape: tuple[int, ...], limit: int, *, fused: bool) -> npt.NDArray[np.int64] | None:
    """Return the kept elements of a tensor in the compared layout."""
    size = math.prod(shape)
    if not fused:
        return sample(size, limit)
    kept = sample(size // _THIRDS, limit)
    if kept is None:
        return None
    width = shape[-1] // _THIRDS
    row, column = np.divmod(kept, width)
    return np.concatenate([row * shape[-1] + third * width + column for third in range(_THIRDS)])


class Kept(NamedTuple):
    """What is known of a kept tensor when a step is traced or run, before its values are there.

    Attributes:
        tag: under which it is written.
        shape: in the layout of the framework; None if it is a flat sample.
        transform: into the compared layout.
        description: with dtype, shape and sample.
    """

    tag: str
    shape: tuple[int, ...] | None
    transform: str
    description: str


class Described(NamedTuple):
    """What the description of an exact capture tells.

    Attributes:
        dtype: of the tensor in its framework, e.g. 'bfloat16'.
        shape: in the compared layout.
        fused: whether it holds query, key and value in thirds of its last axis.
        limit: of the elements that are kept; None if all are.
    """

    dtype: str
    shape: tuple[int, ...]
    fused: bool
    limit: int | None


def described(base: str, dtype: object, shape: Sequence[int], transform: str, limit: int) -> str:
    """Return the description of an exact capture.

    Args:
        base: of the tensor, as `multiboard.tags.description` makes it.
        dtype: of its framework.
        shape: in the layout of the framework.
        transform: into the compared layout.
        limit: of elements that are kept.

    >>> described("`fc.weight` of Linear", "torch.float32", (10, 64), "transpose 1 0", 65536)
    '`fc.weight` of Linear; float32 [64, 10]'
    """
    found = canonical_shape(shape, transform)
    fused = is_fused(transform)
    cut = _kept(found, limit, fused=fused) is not None
    name = str(dtype).rpartition(".")[2]
    return f"{base}; {name} {list(found)}{', in thirds' if fused else ''}{f', sample of {limit}' if cut else ''}"


def parse(description: str) -> Described | None:
    """Return what the description of an exact capture tells; None if it is none.

    >>> parse("`wte` of Embedding; bfloat16 [50257, 768], sample of 65536")
    Described(dtype='bfloat16', shape=(50257, 768), fused=False, limit=65536)
    """
    match = _DESCRIBED.search(description)
    if match is None:
        return None
    shape = tuple(int(size) for size in match[2].split(", ") if size)
    return Described(match[1], shape, bool(match[3]), int(match[4]) if match[4] else None)


class Later:
    """A tensor that the writer thread brings to the host and into the compared layout; a `Pending`.

    Args:
        values: as `multiboard.arrays.take_array` returns them: all elements, or flat those that are kept.
        shape: of all elements, in the layout of the framework; None for the kept ones.
        transform: into the compared layout.
        before: what is subtracted from them; None for nothing.
    """

    def __init__(
        self, values: Foreign, shape: Sequence[int] | None, transform: str = IDENTITY, before: Foreign | None = None
    ) -> None:
        self._values, self._shape, self._transform, self._before = values, shape, transform, before
        self.nbytes = sum(int(getattr(one, "nbytes", 0)) for one in (values, before) if one is not None)

    def fetch(self) -> npt.NDArray[Any]:
        """Return the elements on the host."""
        array = _wide(fetch_array(self._values))
        if self._before is not None:
            array = array - _wide(fetch_array(self._before))
        if self._shape is None:
            return array
        return np.asarray(canonical(array.reshape(self._shape), self._transform), order="C")


def _wide(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return halves as float32, in which they and their differences are exact."""
    return array.astype(np.float32) if array.dtype.kind == "V" or array.dtype == np.float16 else array
