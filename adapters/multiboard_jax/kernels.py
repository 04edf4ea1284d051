"""Count flat arrays by key on each kind of processor: the same counts in different ways.

Each kernel takes flat arrays of any dtype and returns for each the counts of the 4096 keys of `multiboard.buckets` and the
moments. Keys come from the bits of a value, never from arithmetic on floats: a device may flush subnormal results to zero, and
the scheme counts those as zero anyway. Filling is NaN and is taken off the count of NaN again.

- `count_in_loops`, for the host: chunk after chunk, so that keys and sums stay in the cache.
- `count_in_lanes`, for GPUs: all at once into several tables, because atomic additions to one address queue up.
- `count_in_products`, for TPUs, where a scatter is serial: upper and lower half of a key as one-hot matrices, multiplied.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from multiboard.buckets import FLOAT32_MAX, KEY_SHIFT, KEYS, MOMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Count: TypeAlias = Callable[[jax.Array, jax.Array], jax.Array]

_Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int32]]
Part: TypeAlias = tuple[jax.Array, jax.Array]
"""Key counts int32 `[T, 4096]` and moments float32 `[T, 4]`."""

_ROW: Final = 256
"""Small arrays are padded to rows of this length, so that one reduction serves all of them."""
_HOST_CHUNK: Final = 16_384
_HOST_LOOP: Final = 65_536
"""From this size on a loop of its own is worth its compilation."""
_LANE_VALUES: Final = 16_384
_MOST_LANES: Final = 1024
"""As many tables as make a scatter of 25 million values fastest on an H100: 16 MiB of them."""
_ALONE: Final = 2**20
_TOGETHER: Final = 2**24
"""Values that are copied beside each other at once: 64 MiB."""
_PRODUCT_CHUNK: Final = 2**18
"""So few that float32 sums of products are exact, and that the one-hot matrices are 32 MiB each."""
_HALF_KEYS: Final = 64
_NAN_KEY: Final = int(np.float32(np.nan).view(np.uint32)) >> KEY_SHIFT


def float32(values: jax.Array) -> jax.Array:
    """Cast as `multiboard.buckets.to_float32` does."""
    if values.dtype == jnp.bfloat16:
        bits = lax.bitcast_convert_type(values, jnp.uint16).astype(jnp.uint32)
        return lax.bitcast_convert_type(bits << 16, jnp.float32)
    if jnp.issubdtype(values.dtype, jnp.complexfloating):
        values = jnp.abs(values)
    if values.dtype == jnp.float64:
        values = jnp.where(jnp.isinf(values), values, jnp.clip(values, -FLOAT32_MAX, FLOAT32_MAX))
    return values.astype(jnp.float32)


def no_moments(*shape: int) -> jax.Array:
    """Return the moments of no values: float32 `[*shape, 4]`."""
    return jnp.broadcast_to(jnp.array([0, 0, jnp.inf, -jnp.inf], jnp.float32), (*shape, MOMENTS))


def add_moments(ours: jax.Array, theirs: jax.Array) -> jax.Array:
    """Return the moments of the values of both: float32 `[..., 4]`."""
    ends = jnp.minimum(ours[..., 2], theirs[..., 2]), jnp.maximum(ours[..., 3], theirs[..., 3])
    return jnp.concatenate([ours[..., :2] + theirs[..., :2], jnp.stack(ends, axis=-1)], axis=-1)


def count_in_loops(arrays: Sequence[jax.Array]) -> Part:
    """Count large arrays in chunks that fit the cache, small ones together."""
    looped = [i for i, values in enumerate(arrays) if values.size >= _HOST_LOOP]
    rests = [values[_whole(values, _HOST_CHUNK) :] if i in looped else values for i, values in enumerate(arrays)]
    start = _in_rows(rests, [1] * len(rests))
    return _with_loops(start, arrays, looped, _HOST_CHUNK, _scatter)


def count_in_lanes(arrays: Sequence[jax.Array]) -> Part:
    """Count each large array at once, and small ones beside each other, with the more tables the more values."""
    groups = list(_groups([values.size for values in arrays]))
    parts = [_in_rows([arrays[i] for i in group], [_lanes(arrays[i].size) for i in group]) for group in groups]
    order = [i for group in groups for i in group]
    for i in sorted(set(range(len(arrays))) - set(order)):
        parts.append(_alone(arrays[i]))
        order.append(i)
    return _in_order(parts, order)


def count_in_products(arrays: Sequence[jax.Array]) -> Part:
    """Count without scatter: large arrays chunk by chunk, small ones with others of about their size."""
    looped = [i for i, values in enumerate(arrays) if values.size >= _PRODUCT_CHUNK]
    rests = [values[_whole(values, _PRODUCT_CHUNK) :] if i in looped else values for i, values in enumerate(arrays)]
    return _with_loops(_by_size(rests), arrays, looped, _PRODUCT_CHUNK, _multiply)


def _in_order(parts: Sequence[Part], order: Sequence[int]) -> Part:
    """Join parts whose rows belong to the arrays at these positions."""
    tables, moments = zip(*parts, strict=True)
    places = np.argsort(order)
    return jnp.concatenate(tables)[places], jnp.concatenate(moments)[places]


def _keys(values: jax.Array) -> jax.Array:
    """Return the key of float32 values, int32 in 0 to 4095: sign, exponent and the top three mantissa bits."""
    return (lax.bitcast_convert_type(values, jnp.uint32) >> KEY_SHIFT).astype(jnp.int32)


def _scatter(table: jax.Array, keys: jax.Array) -> jax.Array:
    return table.at[keys].add(1, mode="promise_in_bounds")


def _multiply(table: jax.Array, keys: jax.Array) -> jax.Array:
    halves = np.arange(_HALF_KEYS, dtype=np.int32)
    upper, lower = (half[:, None] == halves for half in (keys // _HALF_KEYS, keys % _HALF_KEYS))
    counts = jnp.einsum("vu,vl->ul", upper.astype(jnp.bfloat16), lower.astype(jnp.bfloat16), preferred_element_type=jnp.float32)
    return table + counts.reshape(KEYS).astype(jnp.int32)


def _reduce(values: jax.Array, axis: int) -> jax.Array:
    """Return the moments of the finite ones of float32 values along one axis, as a last axis."""
    finite = jnp.isfinite(values)
    kept = jnp.where(finite, values, 0)
    smallest = jnp.min(values, axis, initial=jnp.inf, where=finite)
    largest = jnp.max(values, axis, initial=-jnp.inf, where=finite)
    return jnp.stack([jnp.sum(kept, axis), jnp.sum(kept * kept, axis), smallest, largest], axis=-1)


def _whole(values: jax.Array, chunk: int) -> int:
    return int(values.size - values.size % chunk)


def _with_loops(start: Part, arrays: Sequence[jax.Array], looped: list[int], chunk: int, count: Count) -> Part:
    """Add to the statistics of the rests those of the whole chunks of some of the arrays."""
    if not looped:
        return start
    tables, moments = zip(*(_loop(arrays[i], chunk, count) for i in looped), strict=True)
    where = np.array(looped)
    table = start[0].at[where].add(jnp.stack(tables), unique_indices=True)
    return table, start[1].at[where].set(add_moments(start[1][where], jnp.stack(moments)), unique_indices=True)


def _loop(values: jax.Array, chunk: int, count: Count) -> Part:
    """Count the whole chunks of one array: `[4096]` and `[4]`.

    A chunk is a slice, because a reshape of what is left without the rest would copy the array. Sums are kept by place in the
    chunk: that is one pass, and exact enough for billions of values.
    """

    def add(i: jax.Array, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        table, total, squares, smallest, largest = state
        wide = float32(lax.dynamic_slice(values, (i * chunk,), (chunk,)))
        finite = jnp.isfinite(wide)
        kept = jnp.where(finite, wide, 0)
        ends = jnp.where(finite, wide, jnp.inf), jnp.where(finite, wide, -jnp.inf)
        table = count(table, _keys(wide))
        return table, total + kept, squares + kept * kept, jnp.minimum(smallest, ends[0]), jnp.maximum(largest, ends[1])

    zeros = jnp.zeros(chunk, jnp.float32)
    start = jnp.zeros(KEYS, jnp.int32), zeros, zeros, jnp.full_like(zeros, jnp.inf), jnp.full_like(zeros, -jnp.inf)
    zero = _keys(float32(values[:1]))[0] * 0  # inside a shard_map the start has to vary over its axes, as the values do
    start = jax.tree.map(lambda part: part + zero.astype(part.dtype), start)
    table, total, squares, smallest, largest = lax.fori_loop(0, values.size // chunk, add, start)
    return table, jnp.stack([total.sum(), squares.sum(), smallest.min(), largest.max()])


def _lanes(size: int) -> int:
    """Return how many tables serve so many values: a power of two."""
    return min(1 << (max(size // _LANE_VALUES, 1).bit_length() - 1), _MOST_LANES)


def _groups(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Yield the positions of small arrays that are counted together."""
    group: list[int] = []
    for i, size in enumerate(sizes):
        if size > _ALONE:
            continue
        if group and sum(sizes[j] for j in group) + size > _TOGETHER:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _alone(values: jax.Array) -> Part:
    """Count one large array at once: `[1, 4096]` and `[1, 4]`."""
    wide, lanes = float32(values), _lanes(values.size)
    lane = (lax.iota(jnp.uint32, wide.size) & (lanes - 1)).astype(jnp.int32)
    table = _scatter(jnp.zeros(lanes * KEYS, jnp.int32), lane * KEYS + _keys(wide))
    return table.reshape(lanes, KEYS).sum(axis=0, keepdims=True, dtype=jnp.int32), _reduce(wide, 0)[None]


def _in_rows(arrays: Sequence[jax.Array], lanes: Sequence[int]) -> Part:
    """Count arrays beside each other, each in so many tables: every operation per array would cost time to compile."""
    lengths = np.array([-(-values.size // _ROW) for values in arrays], np.int32)
    padding = (lengths * _ROW - [values.size for values in arrays]).astype(np.int32)
    pieces: list[jax.Array | np.ndarray[Any, Any]] = []
    for values, missing in zip(arrays, padding, strict=True):
        pieces += [float32(values), np.full(missing, np.nan, np.float32)]
    rows, owner = jnp.concatenate(pieces).reshape(-1, _ROW), _owners(lengths)
    table = _tables(rows, owner, np.array(lanes, np.int32)).at[:, _NAN_KEY].add(-padding)
    moments, start = _reduce(rows, 1), no_moments(len(arrays))
    options: Any = {"indices_are_sorted": True, "mode": "promise_in_bounds"}
    sums = start[:, :2].at[owner].add(moments[:, :2], **options)
    smallest = start[:, 2].at[owner].min(moments[:, 2], **options)
    return table, jnp.column_stack([sums, smallest, start[:, 3].at[owner].max(moments[:, 3], **options)])


def _owners(lengths: _Ints) -> _Ints:
    return np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)


def _tables(rows: jax.Array, owner: _Ints, lanes: _Ints) -> jax.Array:
    """Count rows `[R, 256]` into tables of their owners, `lanes` of each, and add those up: int32 `[T, 4096]`."""
    first = (np.cumsum(lanes) - lanes).astype(np.int32)
    place = jnp.asarray(np.arange(len(owner), dtype=np.int32))[:, None] * _ROW + lax.iota(jnp.int32, _ROW)
    table = jnp.asarray(first[owner])[:, None] + place % jnp.asarray(lanes[owner])[:, None]
    counts = jnp.zeros(int(lanes.sum()) * KEYS, jnp.int32)
    counts = _scatter(counts, table * KEYS + _keys(rows)).reshape(-1, KEYS)
    if len(counts) == len(lanes):
        return counts
    start = jnp.zeros((len(lanes), KEYS), jnp.int32)
    return start.at[_owners(lanes)].add(counts, indices_are_sorted=True, mode="promise_in_bounds")


def _by_size(arrays: Sequence[jax.Array]) -> Part:
    """Count small arrays, stacked with those that fill the same power of four of rows."""
    sizes = [_ROW * 4 ** max(math.ceil(math.log(max(values.size, 1) / _ROW, 4)), 0) for values in arrays]
    parts, order = [], []
    for size in sorted(set(sizes)):
        members = [i for i, other in enumerate(sizes) if other == size]
        padded = [jnp.pad(float32(arrays[i]), (0, size - arrays[i].size), constant_values=jnp.nan) for i in members]
        parts.append(_stacked(jnp.stack(padded), np.array([size - arrays[i].size for i in members], np.int32)))
        order += members
    return _in_order(parts, order)


def _stacked(stack: jax.Array, padding: _Ints) -> Part:
    """Count float32 `[T, n]`, so many rows at once that the one-hot matrices stay small."""
    empty = jnp.zeros(KEYS, jnp.int32)
    table = lax.map(lambda row: _multiply(empty, _keys(row)), stack, batch_size=max(_PRODUCT_CHUNK // stack.shape[1], 1))
    return table.at[:, _NAN_KEY].add(-padding), _reduce(stack, 1)
