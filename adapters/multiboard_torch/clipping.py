"""Gradient clipping that tells what it did."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from multiboard import tags
from multiboard_torch.distributed import local_part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from multiboard_torch.capture import Watch


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Clip gradients as `torch.nn.utils.clip_grad_norm_` does, and write their norm before and after it.

    The norms go to the run of the watch that holds the parameters, at its captured steps, as `train/grad_norm_before_clip` and
    `train/grad_norm_after_clip`; what the watch writes of gradients is then marked as clipped. The gradients become exactly those
    of PyTorch's function, and nothing waits for a device.

    Args:
        parameters: as for PyTorch.
        max_norm: as for PyTorch.
        norm_type: as for PyTorch.
        error_if_nonfinite: as for PyTorch; True makes PyTorch wait for the device.
        foreach: as for PyTorch.

    Returns:
        The norm before clipping, of all gradients together, `[]`; a DTensor under FSDP2.
    """
    clipped = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
    before = nn.utils.clip_grad_norm_(clipped, max_norm, norm_type, error_if_nonfinite, foreach)
    ids = {id(parameter) for parameter in clipped}
    for watch in watches():
        if watch.holds(ids):
            watch.note_clipping(before, float(max_norm))
    return before


def norms_around(before: Tensor, max_norm: float) -> dict[str, Tensor]:
    """Return the norm before and after clipping by tag, still on their device.

    Args:
        before: as `clip_grad_norm_` returns it.
        max_norm: that was asked for.
    """
    before = local_part(before)
    factor = (max_norm / (before + _EPSILON)).clamp(max=1.0)
    return {tags.GRADS_BEFORE_CLIP: before, tags.GRADS_AFTER_CLIP: before * factor}


_EPSILON: Final = 1e-6
"""As PyTorch has it in `torch.nn.utils.clip_grads_with_norm_`."""
_WATCHES: Final[weakref.WeakSet[Watch]] = weakref.WeakSet()


def listen(watch: Watch) -> None:
    """Tell a watch from now on when gradients of its parameters are clipped; as long as it lives."""
    _WATCHES.add(watch)


def stop_listening(watch: Watch) -> None:
    """Tell it no more."""
    _WATCHES.discard(watch)


def watches() -> list[Watch]:
    """Return the watches that are told."""
    return list(_WATCHES)
