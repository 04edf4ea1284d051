"""Norms alone: one or two kernels for all tensors of a model, read by the writer thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from multiboard.buckets import BUCKETS, MOMENTS, SPECIALS, SQUARES, ZERO
from multiboard.values import MeasuredBatch
from multiboard_torch import _compat
from multiboard_torch.arrival import Arrival
from multiboard_torch.buffers import group
from multiboard_torch.packs import Difference, device_of, joined, size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from multiboard_torch.packs import Values


class Norms:
    """L2 norms of the tensors of one capture, taken at the moment of adding; rows are in the order of adding.

    Attributes:
        shared: which rows are to be added up over all processes.
        error: why this process could not measure; `fetch` raises it.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[list[int], Arrival]] = []
        self._sizes: list[int] = []
        self.shared: list[int] = []
        self.error: Exception | None = None

    def add(self, rows: Sequence[Values], shared: Sequence[bool] | None = None) -> None:
        """Take the norms of rows; waits for no device.

        Args:
            rows: strided tensors, or differences.
            shared: which of them are to be added up over all processes.
        """
        first = len(self._sizes)
        for device, chosen in group(device_of(row) for row in rows).items():
            squares = torch.stack(_norms([rows[row] for row in chosen]))
            squares = (squares if device.type == "mps" else squares.double()).square()  # it has no float64
            self._parts.append(([first + row for row in chosen], Arrival(squares)))
        self.shared += [first + row for row, is_shared in enumerate(shared or ()) if is_shared]
        self._sizes += [size_of(row) for row in rows]

    def is_ready(self) -> bool:
        """Tell whether `fetch` would not wait for a device."""
        return all(arrival.is_ready() for _, arrival in self._parts)

    def fetch(self) -> MeasuredBatch:
        """Return the norms on the host as sums of squares, all values in one place; called once, not in the training thread."""
        if self.error is not None:
            raise self.error
        moments, specials = np.zeros((len(self._sizes), MOMENTS)), np.zeros((len(self._sizes), SPECIALS), np.int64)
        specials[:, ZERO] = self._sizes
        for rows, arrival in self._parts:
            moments[rows, SQUARES] = arrival.fetch().numpy()
        return MeasuredBatch(np.zeros((len(self._sizes), BUCKETS), np.int64), specials, moments)


def _norms(rows: Sequence[Values]) -> list[Tensor]:
    found: list[Tensor] = [torch.empty(0)] * len(rows)
    values = [row if _is_plain(row) else joined([_flat(row)]) for row in rows]
    for chosen in group(value.dtype for value in values).values():  # type: ignore[union-attr]
        for row, norm in zip(chosen, _compat.norms([values[row] for row in chosen]), strict=True):  # type: ignore[misc]
            found[row] = norm.float() if norm.dtype != torch.float64 else norm
    return [norm.double() for norm in found] if len({norm.dtype for norm in found}) > 1 else found


def _is_plain(row: Values) -> bool:
    return not isinstance(row, Difference) and ((row.is_floating_point() and row.element_size() > 1) or row.is_complex())


def _flat(row: Values) -> Values:
    return Difference(*(side.reshape(-1) for side in row)) if isinstance(row, Difference) else row.reshape(-1)
