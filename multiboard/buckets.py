"""The bucket scheme: one definition of a distribution for the host and for every device.

A bucket is the top of the float32 bit pattern: sign, exponent, top three mantissa bits. The edges are exact floats that
never depend on the data, so counts add across chunks, shards and processes and can be compared across frameworks.

The counting pass takes `key = (bits32(x) >> 20) & 0xfff` (4096 keys: sign 1, exponent 8, mantissa 3 bits). `fold_keys`
turns the key counts into 1024 bucket counts and four special counts. Adapters repeat the pass on their device with the
constants of this file, and are tested to give exactly the counts of `measure`.

- Zero is every value whose float32 exponent field is 0: +-0 and |x| < 2**-126. Devices may flush subnormals to zero;
  with this definition they agree all the same.
- The lowest bucket of a sign is open: it holds 2**-126 <= |x| < 2**-40 * 1.125; the highest holds all from 2**23 * 1.875.
- float64 beyond the float32 range is clamped to it first, so it falls into the highest bucket and is not counted as Inf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

KEY_SHIFT: Final = 20
KEYS: Final = 4096
EXPONENTS: Final = 64
MANTISSAS: Final = 8
SIDE: Final = EXPONENTS * MANTISSAS
BUCKETS: Final = 2 * SIDE
LOWEST_EXPONENT: Final = -40
FIRST_FIELD: Final = LOWEST_EXPONENT + 127
"""Biased float32 exponent of the lowest bucket."""
END_FIELD: Final = FIRST_FIELD + EXPONENTS
"""Biased float32 exponent just above the highest bucket."""
ZERO, NAN, POS_INF, NEG_INF = range(4)
SPECIALS: Final = 4
SUM, SQUARES, SMALLEST, LARGEST = range(4)
MOMENTS: Final = 4
FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
CHUNK: Final = 65_536
"""Elements per counting pass on the host: the keys stay in the cache (4 to 7 times faster than whole arrays)."""


def _magnitude_edges() -> npt.NDArray[np.float64]:
    exponents = np.repeat(np.arange(LOWEST_EXPONENT, LOWEST_EXPONENT + EXPONENTS), MANTISSAS)
    lower = np.ldexp(1 + np.tile(np.arange(MANTISSAS), EXPONENTS) / MANTISSAS, exponents)
    lower = np.append(lower, np.ldexp(1.0, LOWEST_EXPONENT + EXPONENTS))
    lower[0] = 0.0
    return lower


EDGES: Final = _magnitude_edges()
"""513 magnitudes; bucket j of a side holds EDGES[j] <= |x| < EDGES[j + 1]."""


def _ascending_edges() -> npt.NDArray[np.float64]:
    """Return left and right edge of all 1024 buckets in ascending order, `[1024, 2]`."""
    positive = np.stack([EDGES[:-1], EDGES[1:]], axis=1)
    return np.concatenate([-positive[::-1, ::-1], positive])


_EMPTY_ROWS: Final = np.insert(np.pad(_ascending_edges(), ((0, 0), (0, 1))), SIDE, 0.0, axis=0)
"""Left edge, right edge and count 0 of all buckets in ascending order, zeros in the middle: `[1025, 3]`."""


def _slots() -> npt.NDArray[np.int32]:
    sign, field, mantissa = (part.reshape(-1) for part in np.indices((2, 256, MANTISSAS)))
    exponent = np.clip(field - FIRST_FIELD, 0, EXPONENTS - 1)
    mantissa = np.where(field < FIRST_FIELD, 0, np.where(field >= END_FIELD, MANTISSAS - 1, mantissa))
    slots = sign * SIDE + exponent * MANTISSAS + mantissa
    slots[field == 0] = BUCKETS + ZERO
    infinite = np.where(sign == 0, POS_INF, NEG_INF)
    special = field == 255  # noqa: PLR2004  # the exponent field of NaN and the infinities
    is_infinity = np.arange(KEYS) % MANTISSAS == 0
    slots[special] = BUCKETS + np.where(is_infinity, infinite, NAN)[special]
    result: npt.NDArray[np.int32] = slots.astype(np.int32)
    return result


SLOTS: Final = _slots()
"""By key the place among the 1024 bucket counts and the four special counts after them: int32 `[4096]`."""
_FIRST_KEY: Final = FIRST_FIELD * MANTISSAS
"""Key of the lowest bucket of the positive side; on both sides, as in SLOTS, smaller keys that are not zero belong to it too."""
_END_KEY: Final = END_FIELD * MANTISSAS
_INFINITE_KEY: Final = 255 * MANTISSAS


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """What one tensor yields: bucket counts, special counts and the moments of its finite values.

    Attributes:
        counts: int64 `[1024]`; index = sign * 512 + exponent * 8 + mantissa, sign 1 is negative.
        specials: int64 `[4]`; zeros, NaN, +Inf, -Inf. Zeros are finite and in no bucket.
        moments: float64 `[4]`; sum, sum of squares, smallest, largest, over finite values (+Inf and -Inf if there are none).
    """

    counts: npt.NDArray[np.int64]
    specials: npt.NDArray[np.int64]
    moments: npt.NDArray[np.float64]

    @property
    def finite(self) -> int:
        """Number of finite values."""
        return int(self.counts.sum() + self.specials[ZERO])

    @property
    def nonfinite(self) -> int:
        """Number of NaN and infinite values."""
        return int(self.specials[NAN] + self.specials[POS_INF] + self.specials[NEG_INF])

    @property
    def norm(self) -> float:
        """L2 norm of all values: NaN or Inf if one of them is, as the framework's own norm would tell."""
        if self.specials[NAN]:
            return float("nan")
        return float("inf") if self.nonfinite else float(np.sqrt(self.moments[SQUARES]))

    @property
    def mean(self) -> float:
        """Mean of the finite values, NaN if there are none."""
        return float(self.moments[SUM] / self.finite) if self.finite else float("nan")

    @property
    def std(self) -> float:
        """Population standard deviation of the finite values, NaN if there are none."""
        if not self.finite:
            return float("nan")
        return float(np.sqrt(max(self.moments[SQUARES] / self.finite - self.mean**2, 0.0)))

    def __add__(self, other: Statistics) -> Statistics:
        """Merge with the statistics of other values: the result is that of all values together."""
        ours, theirs = self.moments, other.moments
        moments = ours + theirs
        moments[SMALLEST] = min(ours[SMALLEST], theirs[SMALLEST])
        moments[LARGEST] = max(ours[LARGEST], theirs[LARGEST])
        return Statistics(self.counts + other.counts, self.specials + other.specials, moments)

    def rows(self) -> npt.NDArray[np.float64]:
        """Return the occupied buckets, ascending, as rows left edge, right edge, count: float64 `[k, 3]`.

        Zeros are a row of width zero. The outer ends of the two open buckets are the observed extremes.
        """
        counts = np.concatenate((self.counts[: SIDE - 1 : -1], self.specials[:1], self.counts[:SIDE]))  # ascending
        occupied = counts.nonzero()[0]
        rows = _EMPTY_ROWS.take(occupied, 0)
        rows[:, 2] = counts.take(occupied)
        if counts[0]:
            rows[0, 0] = min(self.moments[SMALLEST], rows[0, 1])
        if counts[-1]:
            rows[-1, 1] = max(self.moments[LARGEST], rows[-1, 0])
        return rows

    def quantile(self, q: float) -> float:
        """Return the q-quantile (0 to 1) of the finite values, clipped to the extremes; NaN if nothing is finite.

        Inside a bucket the density is taken as linear with the slope of its neighbours. The error is at most one bucket width
        (12.5 %) and below 0.5 % for smooth distributions.
        """
        rows = self.rows()
        if not len(rows):
            return float("nan")
        reached = np.concatenate([[0.0], np.cumsum(rows[:, 2])])
        target = q * reached[-1]
        index = min(int(np.searchsorted(reached, target, side="right")) - 1, len(rows) - 1)
        value = rows[index, 0] + _way_into_bucket(rows, index, target - reached[index])
        return float(np.clip(value, self.moments[SMALLEST], self.moments[LARGEST]))


def _way_into_bucket(rows: npt.NDArray[np.float64], index: int, count: float) -> float:
    """Return how far from its left edge a bucket has collected `count` values."""
    left, right, total = rows[index]
    width = right - left
    if width == 0:
        return 0.0
    density = total / width
    at_left = density - _slope(rows, index, density) * width / 2
    slope = 2 * (density - at_left) / width
    return float(2 * count / (at_left + np.sqrt(max(at_left**2 + 2 * slope * count, 0.0)) or 1.0))


def _slope(rows: npt.NDArray[np.float64], index: int, density: float) -> float:
    """Return the slope of the density over a bucket, so small that the density stays positive; 0 at gaps and ends."""
    before, here, after = rows[max(index - 1, 0)], rows[index], rows[min(index + 1, len(rows) - 1)]
    if before[1] != here[0] or here[1] != after[0] or before[0] == before[1] or after[0] == after[1]:
        return 0.0
    densities = [row[2] / (row[1] - row[0]) for row in (before, after)]
    slope = 2 * (densities[1] - densities[0]) / (after[0] + after[1] - before[0] - before[1])
    limit = 2 * density / (here[1] - here[0])
    return float(np.clip(slope, -limit, limit))


def fold_keys(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Fold counts of keys into counts of buckets and, after them, special counts: `[..., 4096]` to `[..., 1028]`."""
    sides = counts.reshape(*counts.shape[:-1], 2, KEYS // 2)
    folded = np.empty((*counts.shape[:-1], BUCKETS + SPECIALS), np.int64)
    buckets, specials = folded[..., :BUCKETS].reshape(*counts.shape[:-1], 2, SIDE), folded[..., BUCKETS:]
    buckets[...] = sides[..., _FIRST_KEY:_END_KEY]
    buckets[..., 0] += sides[..., MANTISSAS:_FIRST_KEY].sum(-1)
    buckets[..., -1] += sides[..., _END_KEY:_INFINITE_KEY].sum(-1)
    specials[..., ZERO] = sides[..., :MANTISSAS].sum((-1, -2))
    specials[..., NAN] = sides[..., _INFINITE_KEY + 1 :].sum((-1, -2))
    specials[..., POS_INF:] = sides[..., _INFINITE_KEY]
    return folded


def measure(values: npt.ArrayLike) -> Statistics:
    """Count the values of one array: the definition that every device kernel must reproduce exactly.

    Args:
        values: any shape; bool, integer, float (also bfloat16 and float8 of ml_dtypes) or complex (measured as magnitude).

    Returns:
        The statistics; for an empty array all counts are zero.
    """
    array = np.asarray(values).reshape(-1)
    keys = np.zeros(KEYS, np.int64)
    moments = np.array([0.0, 0.0, np.inf, -np.inf])
    for chunk in _float32_chunks(array):
        chunk_keys = np.bincount(chunk.view(np.uint32) >> np.uint32(KEY_SHIFT), minlength=KEYS)
        keys += chunk_keys
        _add_moments(moments, chunk, chunk_keys)
    counts = fold_keys(keys)
    return Statistics(counts[:BUCKETS], counts[BUCKETS:], moments)


def _float32_chunks(array: npt.NDArray[np.generic]) -> Iterator[npt.NDArray[np.float32]]:
    for start in range(0, array.size, CHUNK):
        yield to_float32(array[start : start + CHUNK])


def to_float32(chunk: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Cast as the scheme says: magnitude of complex, float64 clamped to the finite float32 range, others as they are."""
    if np.iscomplexobj(chunk):
        chunk = np.abs(chunk)
    if chunk.dtype in {np.dtype(np.float64), np.dtype(np.longdouble)}:
        chunk = np.where(np.isinf(chunk), chunk, np.clip(chunk, -FLOAT32_MAX, FLOAT32_MAX))
    return np.ascontiguousarray(chunk, dtype=np.float32)


def _add_moments(moments: npt.NDArray[np.float64], chunk: npt.NDArray[np.float32], keys: npt.NDArray[np.int64]) -> None:
    cube = keys.reshape(2, 256, MANTISSAS)
    if cube[:, 255].any():
        chunk = chunk[np.isfinite(chunk)]
    if chunk.size:
        moments[SUM] += chunk.sum(dtype=np.float64)
        with np.errstate(over="ignore"):  # a sum of squares beyond float32 is Inf, as in every framework
            moments[SQUARES] += np.square(chunk).sum()
        moments[SMALLEST] = min(moments[SMALLEST], chunk.min())
        moments[LARGEST] = max(moments[LARGEST], chunk.max())
