"""Tensors that runs kept element by element: what of them can be compared, and how far they are apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from multiboard import exact_samples
from multiboard.compare.exact_distances import EPSILON, distances
from multiboard.compare.joining import join, latest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from multiboard.compare.tensor_matches import Match
    from multiboard.reader import RunData

    Array = npt.NDArray[Any]
    Indices = npt.NDArray[np.int64]
    Shape = tuple[int, ...]


_THIRDS: Final = 3
_WITH_PLACES: Final = 3


class ExactRow(NamedTuple):
    """One tensor at one step in two runs, compared element by element.

    Attributes:
        run: the other run.
        kind: 'params', 'grads', 'updates' or 'activations'.
        name: of the tensor without its group, in the baseline.
        other: the same in the other run.
        step: that both runs have.
        cosine: of the angle between both.
        relative_l2: norm of the difference over the norm in the baseline.
        max_error: the largest absolute difference.
        ulp_median: of the distances in units in the last place of the coarser type; NaN if it has none.
        ulp_max: the largest of these.
    """

    run: str
    kind: str
    name: str
    other: str
    step: int
    cosine: float
    relative_l2: float
    max_error: float
    ulp_median: float
    ulp_max: float


class Kept(NamedTuple):
    """What a run kept of a tensor at one step.

    Attributes:
        values: flat; of several pieces one after the other.
        places: which elements these are; None if they are all.
        shape: of the tensor in the compared layout; of several pieces their number of elements.
        dtype: in which it was computed.
    """

    values: Array
    places: Indices | None
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Elements of the tensor."""
        return math.prod(self.shape)

    @property
    def norm(self) -> float:
        """Of the kept values that are finite."""
        values = np.asarray(self.values, np.float64)
        return float(np.linalg.norm(values[np.isfinite(values)]))


class Series(NamedTuple):
    """What a run kept of a tensor.

    Attributes:
        step: int64 `[n]`, ascending.
        kept: at each step.
    """

    step: Indices
    kept: Sequence[Kept]


def series(run: RunData, kind: str, paths: Sequence[str], pieces: Sequence[Shape]) -> Series:
    """Return what a run kept of a tensor; empty if nothing, or not of all pieces.

    Args:
        run: with raw tensors.
        kind: 'params', 'grads', 'updates' or 'activations'.
        paths: of its pieces, without the group.
        pieces: shapes of those that the other run has: if one has query, key and value in one tensor, that is taken apart.
    """
    columns = [run.tensors.get(exact_samples.tag(kind, path)) for path in paths]
    steps: Indices | None = None
    found = []
    for column in columns:
        described = None if column is None else exact_samples.parse(column.description)
        if column is None or described is None:
            return _NOTHING
        own, last = latest(column.step)
        parts = pieces if len(paths) == 1 < len(pieces) else ()
        found.append((own, [_kept(column.value[at], described, parts) for at in last]))
        steps = own if steps is None else np.intersect1d(steps, own)
    if steps is None:
        return _NOTHING
    return Series(steps, [_together([kept[int(np.searchsorted(own, step))] for own, kept in found]) for step in steps])


def _kept(values: Array, described: exact_samples.Described, pieces: Sequence[Shape]) -> Kept:
    """Return what was kept of one tensor, its parts one after the other."""
    shape, dtype = described.shape, described.dtype
    size = math.prod(shape)
    if described.limit is None:
        array = np.asarray(values).reshape(shape)
        if not pieces or not array.ndim:
            return Kept(array.reshape(-1), None, shape, dtype)
        return Kept(_parted(array, pieces), None, (size,), dtype)
    thirds = _THIRDS if described.fused else 1
    sample = exact_samples.sample(size // thirds, described.limit)
    if sample is None:
        return Kept(np.zeros(0), np.zeros(0, np.int64), shape, dtype)
    places = np.concatenate([sample + third * (size // thirds) for third in range(thirds)])
    if thirds == 1 and pieces:
        return Kept(np.asarray(values).reshape(-1), _places_in(places, shape, pieces), (size,), dtype)
    return Kept(np.asarray(values).reshape(-1), places, (size,) if thirds > 1 else shape, dtype)


def _parted(array: Array, pieces: Sequence[Shape]) -> Array:
    """Return the elements of pieces one after the other: side by side on the last axis, or stacked if they have fewer axes."""
    if array.ndim > len(pieces[0]):
        return array.reshape(-1)
    ends = np.cumsum([piece[-1] for piece in pieces])
    return np.concatenate([part.reshape(-1) for part in np.split(array, ends[:-1], axis=-1)])


def _places_in(places: Indices, shape: Shape, pieces: Sequence[Shape]) -> Indices:
    """Return where elements of a tensor stand if its pieces follow one another as `_parted` has them."""
    if len(shape) > len(pieces[0]):
        return places
    widths = np.array([piece[-1] for piece in pieces])
    begins = np.cumsum(widths) - widths
    row, column = np.divmod(places, shape[-1])
    piece = np.searchsorted(begins, column, side="right") - 1
    found: Indices = begins[piece] * (math.prod(shape) // shape[-1]) + row * widths[piece] + column - begins[piece]
    return found


def _together(pieces: Sequence[Kept]) -> Kept:
    """Return several pieces as one, one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    begins = np.cumsum([0, *(piece.size for piece in pieces)])
    places = None
    if any(piece.places is not None for piece in pieces):
        places = np.concatenate([begin + _places(piece) for begin, piece in zip(begins, pieces, strict=False)])
    dtype = max((piece.dtype for piece in pieces), key=lambda name: EPSILON.get(name, np.inf))
    return Kept(np.concatenate([piece.values for piece in pieces]), places, (int(begins[-1]),), dtype)


def _places(kept: Kept) -> Indices:
    return np.arange(kept.size) if kept.places is None else kept.places


def common(a: Kept, b: Kept) -> tuple[Array, Array] | None:
    """Return the values of the elements that both have; None if there are none, or the tensors are of different shapes.

    Outputs of layers whose classes do not tell may have their channels in front or behind.
    """
    shapes = [tuple(size for size in side.shape if size > 1) for side in (a, b)]
    if shapes[0] != shapes[1] and len(shapes[0]) > 1 and len(shapes[1]) > 1:
        turned = _channels_last(a, b), _channels_last(b, a)
        return None if turned == (None, None) else ((turned[0] or a).values, (turned[1] or b).values)
    if a.size != b.size or not (len(a.values) and len(b.values)):
        return None
    ours, theirs = a.places, b.places
    if ours is theirs or (ours is not None and theirs is not None and np.array_equal(ours, theirs)):
        return a.values, b.values
    _, left, right = np.intersect1d(_places(a), _places(b), assume_unique=True, return_indices=True)
    return (a.values[left], b.values[right]) if len(left) else None


def _channels_last(kept: Kept, other: Kept) -> Kept | None:
    """Return a tensor with its second axis as the last one, if that is the shape of another one and all elements are there."""
    if kept.places is not None or other.places is not None or len(kept.shape) < _WITH_PLACES:
        return None
    turned = np.moveaxis(kept.values.reshape(kept.shape), 1, -1)
    return kept._replace(values=turned.reshape(-1), shape=turned.shape) if turned.shape == other.shape else None


class Compared(NamedTuple):
    """One tensor that both runs kept.

    Attributes:
        match: the tensor.
        rows: by step.
        norms: in the baseline and in the other run, by step.
        dtypes: in which both were computed.
    """

    match: Match
    rows: Sequence[ExactRow]
    norms: Sequence[tuple[float, float]]
    dtypes: tuple[str, str]


def compare_kept(run: str, a: RunData, b: RunData, matches: Iterable[Match]) -> Iterator[Compared]:
    """Yield the tensors that two runs kept, compared at the steps that both have.

    Args:
        run: name of the other run.
        a: the baseline.
        b: the other run.
        matches: tensors that belong together.
    """
    for match in matches:
        ours = series(a, match.kind, match.a, _shapes(b, match.kind, match.b))
        theirs = series(b, match.kind, match.b, _shapes(a, match.kind, match.a))
        joined = join(ours.step, theirs.step)
        rows: list[ExactRow] = []
        norms: list[tuple[float, float]] = []
        dtypes = "", ""
        for step, i, j in zip(joined.step.tolist(), joined.a, joined.b, strict=True):
            pair = ours.kept[i], theirs.kept[j]
            values = common(*pair)
            if values is not None:
                dtypes = pair[0].dtype, pair[1].dtype
                rows.append(ExactRow(run, match.kind, match.name, match.other, step, *distances(*values, dtypes)))
                norms.append((pair[0].norm, pair[1].norm))
        if rows:
            yield Compared(match, rows, norms, dtypes)


def _shapes(run: RunData, kind: str, paths: Sequence[str]) -> list[Shape]:
    columns = [run.tensors.get(exact_samples.tag(kind, path)) for path in paths]
    described = [exact_samples.parse(column.description) for column in columns if column is not None]
    return [one.shape for one in described if one is not None]


_NOTHING: Final = Series(np.zeros(0, np.int64), [])
