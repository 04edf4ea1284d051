"""Weights as pictures, drawn in the writer thread.

Axes of length 1 are left out. A vector is one row, a matrix lies on its longer side and is reduced to at most 1024 pixels a side
by the means of blocks. Of three and more axes the last one, the output channels, tells kernels apart. Each kernel is a tile, in
colour if it has three input channels; with another number of them it is a row of tiles. What has no room within 1024 pixels is
left out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from multiboard.arrays import fetch_array
from multiboard_keras import weights

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from multiboard.run import Run
    from multiboard.values import Foreign

    Pixels = npt.NDArray[np.float32]

SIDE: Final = 1024
"""Pixels of a picture's side at most."""
_MATRIX: Final = 2
_IN_ONE_TILE: Final = {1, 3}
"""Input channels of a kernel that is one tile, in grey or colour."""
_SCALE: Final = "the smallest value of each step is black, the largest white"


def log_weight_images(model: Any, run: Run, step: int, tag: Callable[[Any], str]) -> None:
    """Log each weight of a model as a picture.

    Args:
        model: a built model.
        run: to write to.
        step: of the pictures.
        tag: returns the tag of a variable.
    """
    for variable in model.weights:
        shape = tuple(variable.shape)
        if 0 not in shape:
            picture = WeightPicture(weights.take(variable), shape)
            run.image(tag(variable), picture, step, dataformats="HWC", description=describe(shape))


def describe(shape: tuple[int, ...]) -> str:
    """Return the markdown that tells how a weight of this shape is drawn."""
    axes = tuple(size for size in shape if size > 1)
    how = ""
    if len(axes) > _MATRIX:
        per_row = _kernel_sizes(axes)[2] not in _IN_ONE_TILE
        how = "; one row of tiles per output channel" if per_row else "; one tile per output channel"
    return f"`{list(shape)}`{how}; {_SCALE}."


class WeightPicture:
    """The picture of a weight that may still be on a device; a `Pending`.

    Args:
        taken: the weight, as `weights.take` returns it.
        shape: of the weight.

    Attributes:
        shape: of the picture, `[H, W, 1]` or `[H, W, 3]`.
        nbytes: of the weight as float32.
    """

    def __init__(self, taken: Foreign, shape: tuple[int, ...]) -> None:
        self._taken = taken
        self.shape = picture_shape(shape)
        self.nbytes = 4 * math.prod(shape)

    def fetch(self) -> Pixels:
        """Return the pixels, 0 to 1."""
        return draw(fetch_array(self._taken).astype(np.float32))


def draw(weight: Pixels) -> Pixels:
    """Return a weight of any shape as a picture `[H, W, 1]` or `[H, W, 3]` of values from 0 to 1."""
    weight = weight.squeeze()
    if weight.ndim > _MATRIX:
        return _draw_tiles(weight)
    matrix = np.atleast_2d(weight)
    matrix = matrix.T if len(matrix) > matrix.shape[1] else matrix
    return scale(block_means(matrix))[..., None]


def picture_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the shape of the picture of a weight."""
    axes = tuple(size for size in shape if size > 1)
    if len(axes) > _MATRIX:
        tiles = _arrange(axes)
        return tiles.rows * (tiles.height + 1) - 1, tiles.columns * (tiles.width + 1) - 1, tiles.colours
    height, width = sorted([1, 1, *axes][-2:])
    return -(-height // _block(height)), -(-width // _block(width)), 1


def scale(values: Pixels) -> Pixels:
    """Return values from 0 for the smallest finite one to 1 for the largest; 0.5 if they are equal."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if low == high:
        return np.where(np.isfinite(values), np.float32(0.5), values)
    return ((values.astype(np.float64) - low) / (high - low)).astype(np.float32)


def block_means(matrix: Pixels) -> Pixels:
    """Return a matrix of at most SIDE rows and columns: means of equal blocks, of which the last ones may be smaller."""
    for axis, length in enumerate(matrix.shape):
        if _block(length) > 1:
            starts = np.arange(0, length, _block(length))
            sizes = np.diff(starts, append=length).astype(np.float32)
            with np.errstate(invalid="ignore", over="ignore"):  # infinite weights are data
                means = np.add.reduceat(matrix, starts, axis=axis) / (sizes[:, None] if axis == 0 else sizes)
            matrix = means.astype(np.float32)
    return matrix


def _block(length: int) -> int:
    return -(-length // SIDE)


class _Tiles(NamedTuple):
    """How kernels are laid out: sizes of a tile, and how many of them are shown."""

    height: int
    width: int
    colours: int
    rows: int
    columns: int


def _arrange(axes: tuple[int, ...]) -> _Tiles:
    height, width, inputs, outputs = (min(size, SIDE) for size in _kernel_sizes(axes))
    most_rows, most_columns = (SIDE + 1) // (height + 1), (SIDE + 1) // (width + 1)
    if inputs not in _IN_ONE_TILE:
        return _Tiles(height, width, 1, min(outputs, most_rows), min(inputs, most_columns))
    columns = min(math.isqrt(outputs - 1) + 1, most_columns)
    return _Tiles(height, width, inputs, min(-(-outputs // columns), most_rows), columns)


def _kernel_sizes(axes: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return height, width, input and output channels; the depth of a 3-D kernel is laid out in its height."""
    plane, inputs = (axes[:-2], axes[-2]) if len(axes) > 3 else (axes[:-1], 1)  # noqa: PLR2004
    return math.prod(plane[:-1]), plane[-1], inputs, axes[-1]


def _draw_tiles(weight: Pixels) -> Pixels:
    """Return tiles with a black line between them."""
    tiles = _arrange(weight.shape)
    height, width, colours, rows, columns = tiles
    kernels = scale(weight.reshape(_kernel_sizes(weight.shape))[:height, :width])
    cells = np.zeros((rows * columns, height + 1, width + 1, colours), np.float32)
    if kernels.shape[2] == colours:
        shown = kernels.transpose(3, 0, 1, 2)[: len(cells)]
    else:  # a row of tiles per output channel
        shown = kernels[:, :, :columns, :rows].transpose(3, 2, 0, 1).reshape(-1, height, width, 1)
    cells[: len(shown), :-1, :-1] = shown
    grid = cells.reshape(rows, columns, *cells.shape[1:]).swapaxes(1, 2)
    return grid.reshape(rows * (height + 1), columns * (width + 1), colours)[:-1, :-1]
