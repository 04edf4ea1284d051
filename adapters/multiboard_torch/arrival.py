"""A tensor on its way from an accelerator to the host."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Arrival:
    """Copies a tensor to the host, behind what computes it and beside what comes next; a `Pending`.

    On CUDA it goes into pinned memory on a stream of its own, so that the training's stream has nothing to wait for. An event
    tells when it is there: the writer thread's own current stream knows nothing of the one on which it was computed.

    Args:
        tensor: on any device.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._event: torch.cuda.Event | None = None
        if tensor.is_cuda:
            self._start_copy(tensor)

    def _start_copy(self, tensor: Tensor) -> None:
        side = _side_stream(tensor.device)
        side.wait_stream(torch.cuda.current_stream(tensor.device))
        with torch.cuda.stream(side):
            # Into pinned memory, or the copy waits. Recorded, or the memory is used again before it is copied.
            self._tensor = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu", pin_memory=True)
            self._tensor.copy_(tensor, non_blocking=True)
            tensor.record_stream(side)
            self._event = side.record_event()

    def is_ready(self) -> bool:
        """Tell whether `fetch` would not wait."""
        return self._event is None or self._event.query()

    def fetch(self) -> Tensor:
        """Wait for the tensor and return it, on the host."""
        if self._event is not None:
            self._event.synchronize()
        return self._tensor.cpu()


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
