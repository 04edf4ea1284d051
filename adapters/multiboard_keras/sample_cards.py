"""How samples look where their user does not say it: pictures, ranked classes or numbers, made in the writer thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard.arrays import fetch_array
from multiboard.kinds.table import markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from multiboard.values import Foreign

    Array = npt.NDArray[Any]

_RANKS: Final = 3
"""Classes that are named of each sample."""
_NUMBERS: Final = 8
"""Numbers of a sample that are written."""
_TEXTS: Final = "OUS"
"""Kinds of NumPy's dtypes of names."""
_CHANNELS: Final = {1, 3}
_RANGES: Final = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))


def is_pictures(shape: Sequence[int]) -> bool:
    """Whether an array of this shape is shown as pictures `[N, H, W, 1 or 3]`."""
    return len(shape) == 4 and shape[-1] in _CHANNELS  # noqa: PLR2004


def value_range(pixels: Array) -> tuple[float, float]:
    """Return the values of black and white: the first of 0 to 1, -1 to 1 and 0 to 255 that holds all, else the extremes.

    >>> value_range(np.array([0.5, -0.5])), value_range(np.array([3, 300]))
    ((-1.0, 1.0), (3.0, 300.0))
    """
    finite = pixels[np.isfinite(pixels)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    fitting = ((black, white) for black, white in _RANGES if black <= low and high <= white)
    return next(fitting, (low, high if high > low else low + 1))


class Pictures:
    """Pictures of numbers that may still be on a device; a `Pending`.

    Args:
        taken: `[N, H, W, C]`.
        shape: of it.
        black_white: the values of black and white; None finds them, each time anew.

    Attributes:
        description: markdown that tells what is black and white.
    """

    def __init__(self, taken: Foreign, shape: tuple[int, ...], black_white: tuple[float, float] | None = None) -> None:
        self._taken = taken
        self._range = black_white
        self.shape = shape
        self.nbytes = 4 * int(np.prod(shape))
        ends = "the smallest and largest value, if they are not within 0 to 1, -1 to 1 or 0 to 255"
        self.description = f"Black and white are {ends if black_white is None else '{:g} and {:g}'.format(*black_white)}."

    def fetch(self) -> Array:
        """Return the pixels, 0 to 1, or bytes as they are."""
        pixels = fetch_array(self._taken)
        if pixels.dtype in (np.uint8, np.bool_):
            return pixels
        pixels = pixels.astype(np.float32)
        black, white = self._range or value_range(pixels)
        return (pixels - np.float32(black)) / np.float32(white - black)


class Table:
    """The text of numbers that may still be on a device; a `Pending`.

    Args:
        taken: the output, `[N, ...]`.
        targets: of the samples, `[N, ...]`; None for none.
        classes: whether outputs `[N, K]` are shares of classes, not numbers.
        labels: names of the classes; None takes their numbers.
    """

    def __init__(self, taken: Foreign, targets: Array | None, *, classes: bool, labels: Sequence[str] | None) -> None:
        self._taken, self._targets, self._classes, self._labels = taken, targets, classes, labels

    def fetch(self) -> str:
        """Return a markdown table of one row per sample."""
        outputs = fetch_array(self._taken)
        cells = self._ranked(outputs) if self._classes else [[numbers(row)] for row in outputs]
        names = [f"{place}." for place in range(1, len(cells[0]) + 1)] if self._classes else ["output"]
        if self._targets is not None:
            names = ["target", *names]
            cells = [[self._target(target), *row] for target, row in zip(self._targets, cells, strict=True)]
        rows = [[number, *row] for number, row in enumerate(cells)]
        return markdown("samples", rows, ["sample", *names])

    def _ranked(self, outputs: Array) -> list[list[str]]:
        """Return name and share of the first classes of each sample."""
        found = shares(outputs.astype(np.float64))
        order = np.argsort(-found, axis=1, kind="stable")[:, :_RANKS]
        return [[f"{self._name(k)} ({100 * row[k]:.1f} %)" for k in ranks] for row, ranks in zip(found, order, strict=True)]

    def _target(self, target: Array) -> str:
        if target.dtype.kind in _TEXTS:
            return str(target.reshape(-1)[0])
        if not self._classes:
            return numbers(target)
        return self._name(int(target.argmax() if target.size > 1 else target.reshape(())))

    def _name(self, number: int) -> str:
        return str(self._labels[number]) if self._labels is not None and 0 <= number < len(self._labels) else str(number)


def is_classes(shape: Sequence[int], targets: Array | None) -> bool:
    """Whether outputs `[N, K]` are shares of K classes: unless their targets are K numbers that are no shares themselves."""
    if len(shape) != 2 or shape[1] == 1:  # noqa: PLR2004
        return False
    if targets is None or targets.dtype.kind in _TEXTS:
        return True
    if targets.shape != tuple(shape):
        return targets.size == shape[0] and not np.any(targets % 1)
    return is_shares(targets.astype(np.float64))


def is_shares(rows: Array) -> bool:
    """Whether no number of `[N, K]` is negative and each row sums to 1, within the error of float16."""
    return bool((rows >= 0).all() and np.allclose(rows.sum(axis=1), 1, atol=1e-2))


def shares(outputs: Array) -> Array:
    """Return shares of classes `[N, K]`: the outputs themselves, or their softmax if they are none."""
    if is_shares(outputs):
        return outputs
    with np.errstate(invalid="ignore"):  # infinite outputs are data
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    found: Array = powers / powers.sum(axis=1, keepdims=True)
    return found


def numbers(values: Array) -> str:
    """Return the first numbers of an array as text.

    >>> numbers(np.array([0.25, 1 / 3])), numbers(np.arange(100))
    ('0.25 0.3333', '0 1 2 3 4 5 6 7 … (100 numbers)')
    """
    flat = np.asarray(values).reshape(-1)
    rest = f" … ({flat.size} numbers)" if flat.size > _NUMBERS else ""
    return " ".join(f"{number:.4g}" for number in flat[:_NUMBERS].tolist()) + rest
