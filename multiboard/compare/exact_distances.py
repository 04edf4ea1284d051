"""How far two tensors are apart, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Array = npt.NDArray[Any]

EPSILON: Final = {"bfloat16": 2.0**-9, "float16": 2.0**-12, "float32": 2.0**-24, "float64": 2.0**-53}
"""Unit roundoff of the types whose units in the last place are counted, from the coarsest on."""
_SIGNED: Final[dict[str, type[np.signedinteger[Any]]]] = {
    "bfloat16": np.int16,
    "float16": np.int16,
    "float32": np.int32,
    "float64": np.int64,
}
_HALF_BITS: Final = 16


class Distances(NamedTuple):
    """How far a tensor is from that of the baseline.

    Attributes:
        cosine: of the angle between both, 1 for the same direction; NaN if one of them is 0.
        relative_l2: norm of the difference over the norm of the baseline; Inf if NaN or infinite values are in one of them only.
        max_error: the largest absolute difference.
        ulp_median: of the distances in units in the last place, of the coarser type of both; NaN if it is no floating-point type.
        ulp_max: the largest of these; Inf beside a NaN.
    """

    cosine: float
    relative_l2: float
    max_error: float
    ulp_median: float
    ulp_max: float


def distances(a: Array, b: Array, types: tuple[str, str]) -> Distances:
    """Compare two tensors of the same elements.

    Values that are not finite are equal if they are the same in both, and are left out of the sums then.

    Args:
        a: of the baseline, any shape.
        b: of the other run, as many elements.
        types: in which both were computed; the arrays may be wider.

    >>> distances(np.float32([1, 2]), np.float32([1, 2]), ("float32", "float32"))
    Distances(cosine=1.0, relative_l2=0.0, max_error=0.0, ulp_median=0.0, ulp_max=0.0)
    """
    first, second = (np.asarray(side, np.float64).reshape(-1) for side in (a, b))
    units = ulps(np.reshape(a, -1), np.reshape(b, -1), coarser(*types))
    median, largest = (float(np.median(units)), float(units.max())) if len(units) else (np.nan, np.nan)
    finite = np.isfinite(first) & np.isfinite(second)
    if not _same(first[~finite], second[~finite]):
        return Distances(np.nan, np.inf, np.inf, median, largest)
    first, second = first[finite], second[finite]
    apart = np.abs(first - second)
    return Distances(cosine(first, second), relative_l2(first, second), float(apart.max(initial=0.0)), median, largest)


def _same(a: Floats, b: Floats) -> bool:
    return bool(((a == b) | (np.isnan(a) & np.isnan(b))).all())


def cosine(a: Floats, b: Floats) -> float:
    """Return the cosine of the angle between two vectors; NaN if one of them is 0.

    >>> cosine(np.array([1.0, 0.0]), np.array([0.0, 2.0]))
    0.0
    """
    largest = np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0)
    if not all(largest):
        return np.nan
    a, b = a / largest[0], b / largest[1]  # of tiny values the squares would be 0
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1.0, 1.0))


def relative_l2(a: Floats, b: Floats) -> float:
    """Return the norm of a difference over the norm of the baseline: 0 if both are 0, Inf beside a baseline of 0.

    >>> relative_l2(np.array([3.0, 4.0]), np.array([3.0, 5.0]))
    0.2
    """
    largest = np.abs(a).max(initial=0.0)
    apart = a - b
    if not apart.any():
        return 0.0
    if not largest:
        return np.inf
    return float(np.linalg.norm(apart / largest) / np.linalg.norm(a / largest))


def coarser(a: str, b: str) -> str:
    """Return the type of two with the larger units in the last place; '' if one of them has none.

    >>> coarser("float32", "bfloat16"), coarser("float32", "int32")
    ('bfloat16', '')
    """
    return max((a, b), key=lambda name: EPSILON[name]) if a in EPSILON and b in EPSILON else ""


def ulps(a: Array, b: Array, dtype: str) -> Floats:
    """Return the distances of values in units in the last place: how many numbers of a type lie between them.

    The bits of a floating-point number are in the order of its values, as far as the sign is taken for that of an integer, so
    that the difference of both integers is the distance. Zeros of both signs are one number, and so are all NaN.

    Args:
        a: values.
        b: as many others.
        dtype: type to which both are rounded first; '' for none that has such units.

    Returns:
        float64 `[n]`, whole numbers; Inf where one of both is NaN; empty without a type.

    >>> ulps(np.float32([1.0, 0.0]), np.nextafter(np.float32([1.0, 0.0]), np.float32(2)), "float32")
    array([1., 1.])
    """
    if not dtype:
        return np.zeros(0)
    unknown = np.isnan(a), np.isnan(b)
    ours, theirs = _ordered(a, dtype), _ordered(b, dtype)
    larger = np.maximum(ours, theirs).astype(np.uint64)
    apart = (larger - np.minimum(ours, theirs).astype(np.uint64)).astype(np.float64)  # may need all 64 bits
    return np.where(unknown[0] | unknown[1], np.where(unknown[0] & unknown[1], 0.0, np.inf), apart)


def _ordered(values: Array, dtype: str) -> npt.NDArray[np.int64]:
    """Return integers in the order of values, one apart where these are neighbours."""
    bits = _bits(values, dtype).astype(np.int64)
    lowest = np.int64(np.iinfo(_SIGNED[dtype]).min)
    return np.where(bits < 0, lowest - bits, bits)


def _bits(values: Array, dtype: str) -> npt.NDArray[Any]:
    with np.errstate(over="ignore"):
        if dtype != "bfloat16":
            return np.ascontiguousarray(values.astype(dtype)).view(_SIGNED[dtype])
        bits = np.ascontiguousarray(values.astype(np.float32)).view(np.uint32).astype(np.uint64)
    rounded = bits + np.uint64(0x7FFF) + ((bits >> np.uint64(_HALF_BITS)) & np.uint64(1))  # to nearest, of two to the even one
    return (rounded >> np.uint64(_HALF_BITS)).astype(np.uint16).view(np.int16)
