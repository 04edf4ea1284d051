"""Norms alone: one or two kernels for all tensors of a model, read by the writer thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from multiboard.buckets import BUCKETS, MOMENTS, SPECIALS, SQUARES
from multiboard.values import MeasuredBatch
from multiboard_torch import _compat
from multiboard_torch.arrival import Arrival
from multiboard_torch.buffers import group
from multiboard_torch.distributed import Sums, unpack
from multiboard_torch.packs import Difference, device_of, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from multiboard_torch.distributed import Reducer
    from multiboard_torch.packs import Values


class Norms:
    """L2 norms of the tensors of one capture, taken at the moment of adding; rows are in the order of adding.

    Args:
        reducer: adds up what is shared among processes.
        step: of the capture.
    """

    def __init__(self, reducer: Reducer | None = None, step: int = 0) -> None:
        self._reducer, self._step = reducer, step
        self._parts: list[tuple[list[int], list[bool], Tensor | Arrival, Arrival | None]] = []
        self._size = 0

    def add(self, rows: Sequence[Values], shared: Sequence[bool] | None = None) -> None:
        """Take the norms of rows; waits for no device.

        Args:
            rows: strided tensors, or differences.
            shared: which of them are to be added up over all processes.
        """
        flags = shared or [False] * len(rows)
        for device, chosen in group(device_of(row) for row in rows).items():
            squares = torch.stack(_norms([rows[row] for row in chosen])).double().square()
            of_chosen = [flags[row] for row in chosen]
            reduced = self._enqueue_sum(squares) if device.type != "cpu" and any(of_chosen) else None
            arriving = squares if device.type == "cpu" else Arrival([squares])
            self._parts.append(([self._size + row for row in chosen], of_chosen, arriving, reduced))
        self._size += len(rows)

    def is_ready(self) -> bool:
        """Tell whether `fetch` would not wait for a device."""
        arrivals = [a for part in self._parts for a in part[2:] if isinstance(a, Arrival)]
        return all(arrival.is_ready() for arrival in arrivals)

    def fetch(self) -> MeasuredBatch:
        """Return the norms on the host, as sums of squares without counts; called once, not in the training thread."""
        moments = np.zeros((self._size, MOMENTS))
        for rows, shared, arriving, reduced in self._parts:
            found = arriving.fetch()[0] if isinstance(arriving, Arrival) else arriving
            if any(shared):
                total = self._sum_on_host(found) if reduced is None else _squares(unpack(*_three(reduced.fetch())))
                found = torch.where(torch.tensor(shared, device="cpu"), total, found)
            moments[rows, SQUARES] = found.numpy()
        return MeasuredBatch(np.zeros((self._size, BUCKETS), np.int64), np.zeros((self._size, SPECIALS), np.int64), moments)

    def _sums(self, squares: Tensor) -> Sums:
        moments = squares.new_zeros(len(squares), MOMENTS)
        moments[:, SQUARES] = squares
        return Sums(torch.zeros((len(squares), 1), dtype=torch.int64, device=squares.device), moments)

    def _enqueue_sum(self, squares: Tensor) -> Arrival | None:
        if self._reducer is None:
            return None
        reduction = self._reducer.start(self._sums(squares), self._step, valid=True)
        return Arrival(reduction.tensors(), reduction.wait)

    def _sum_on_host(self, squares: Tensor) -> Tensor:
        if self._reducer is None:
            return squares
        reduction = self._reducer.start(self._sums(squares), self._step, valid=True)
        reduction.wait()
        return _squares(unpack(*reduction.tensors()))


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


def _three(tensors: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    counts, totals, extremes = tensors
    return counts, totals, extremes


def _squares(sums: Sums) -> Tensor:
    return sums.moments[:, SQUARES]
