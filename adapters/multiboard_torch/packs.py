"""Tensors of one capture in flat float32 pieces of a good size: large ones cut, small ones joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch

from multiboard.buckets import FLOAT32_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor


class Difference(NamedTuple):
    """Values that are computed piece by piece: `after - before`, two tensors of the same shape and dtype."""

    after: Tensor
    before: Tensor


Values: TypeAlias = "Tensor | Difference"
"""What one row of a capture is measured of."""


class Pack(NamedTuple):
    """Pieces of consecutive tensors, none of them empty.

    Attributes:
        first: the index of the first tensor.
        pieces: one flat piece per tensor.
    """

    first: int
    pieces: list[Values]


def packs(rows: Sequence[Values], elements: int, tensors: int) -> Iterator[Pack]:
    """Cut large rows and join small ones; rows stay in order.

    Args:
        rows: of one capture.
        elements: values per pack at most.
        tensors: rows per pack at most.
    """
    pack, room = Pack(0, []), elements
    for row, values in enumerate(rows):
        for piece in _pieces(values, elements):
            follows = row == pack.first + len(pack.pieces)
            if pack.pieces and not (follows and size_of(piece) <= room and len(pack.pieces) < tensors):
                yield pack
                pack, room = Pack(row, []), elements
            if size_of(piece):
                pack = pack if pack.pieces else Pack(row, [])
                pack.pieces.append(piece)
                room -= size_of(piece)
    if pack.pieces:
        yield pack


def _pieces(values: Values, elements: int) -> Iterable[Values]:
    if isinstance(values, Difference):
        return map(Difference, *(_pieces(side, elements) for side in values))
    flat = values.detach().resolve_conj().resolve_neg().reshape(-1)
    return flat.split(elements) if flat.numel() > elements else (flat,)


def device_of(row: Values) -> torch.device:
    """Return where the values are."""
    return (row.after if isinstance(row, Difference) else row).device


def size_of(row: Values) -> int:
    """Return the number of values."""
    return (row.after if isinstance(row, Difference) else row).numel()


def joined(pieces: Sequence[Values]) -> Tensor:
    """Return the values of flat pieces in one float32 tensor, cast as the scheme says."""
    if len({_kind(piece) for piece in pieces}) > 1:
        return torch.cat([joined([piece]) for piece in pieces])
    if isinstance(pieces[0], Difference):
        after, before = (_cat([piece[side] for piece in pieces]) for side in (0, 1))
        if not after.is_complex() and after.dtype != torch.float64:
            exact = torch.float32 if after.is_floating_point() else torch.float64
            after, before = after.to(exact), before.to(exact)  # the difference of two halves is no half, of unsigned ones wraps
        return to_float32(after - before)
    return to_float32(_cat(pieces))  # type: ignore[arg-type]


def _kind(piece: Values) -> tuple[type, torch.dtype]:
    return type(piece), (piece.after if isinstance(piece, Difference) else piece).dtype


def _cat(pieces: Sequence[Tensor]) -> Tensor:
    return pieces[0] if len(pieces) == 1 else torch.cat(list(pieces))


def to_float32(values: Tensor) -> Tensor:
    """Cast as the scheme says: magnitude of complex, float64 clamped to the finite float32 range, others as they are.

    The magnitude is computed in float64, so that it rounds as the host's does.
    """
    if values.is_complex():
        parts = torch.view_as_real(values).double()
        magnitude = torch.hypot(parts[..., 0], parts[..., 1])
        if values.dtype != torch.complex128:
            return magnitude.float()
        values = magnitude
    if values.dtype == torch.float64:
        values = torch.where(values.isinf(), values, values.clamp(-FLOAT32_MAX, FLOAT32_MAX))
    return values.float()
