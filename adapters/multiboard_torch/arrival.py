"""Tensors on their way from an accelerator to the host."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


class Arrival:
    """Copies tensors to the host, behind what computes them and beside what comes next; a `Pending`.

    On CUDA they go into pinned memory on a stream of its own, so that the training's stream has nothing to wait for. An event
    tells when they are there: the writer thread's own current stream knows nothing of the one on which they were computed.

    Args:
        tensors: on one device.
        before: called on the copying stream before the copies, to let it wait for something else.
    """

    def __init__(self, tensors: Sequence[Tensor], before: Callable[[], None] | None = None) -> None:
        self._event: torch.cuda.Event | None = None
        self._before = before
        self._tensors = list(tensors)
        if self._tensors[0].is_cuda:
            self._start_copies(self._tensors[0].device)

    def _start_copies(self, device: torch.device) -> None:
        side = _side_stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            if self._before is not None:
                self._before()
            for place, tensor in enumerate(self._tensors):
                # Into pinned memory, or the copy waits. Recorded, or the memory is used again before it is copied.
                pinned = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu", pin_memory=True)
                pinned.copy_(tensor, non_blocking=True)
                tensor.record_stream(side)
                self._tensors[place] = pinned
            self._event = side.record_event()

    def is_ready(self) -> bool:
        """Tell whether `fetch` would not wait."""
        return self._event is None or self._event.query()

    def fetch(self) -> list[Tensor]:
        """Wait for the tensors and return them, on the host."""
        if self._event is not None:
            self._event.synchronize()
        elif self._before is not None:
            self._before()
        return [tensor.cpu() for tensor in self._tensors]


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
