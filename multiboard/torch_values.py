"""Tensors of PyTorch: what the caller keeps of them without waiting, and how the writer thread reads it. Imports no PyTorch.

A number in the memory of the host is read by the caller: there is nothing to wait for, and it takes less than a copy.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Final

from multiboard.values import IMMEDIATE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np
    import numpy.typing as npt

    from multiboard.values import Foreign


_HALF_BYTES: Final = 2


def plain_classes() -> frozenset[type]:
    """Return the classes of tensors that can be copied without a look at each; empty while PyTorch is not imported."""
    global _plain  # noqa: PLW0603
    torch = sys.modules.get("torch")
    if torch is not None and not _plain:
        with contextlib.suppress(AttributeError):  # it is being imported
            _plain = frozenset((torch.Tensor, torch.nn.Parameter))
    return _plain


_plain: frozenset[type] = frozenset()


def on_host(values: Collection[Foreign]) -> list[Foreign] | None:
    """Return numbers, with those of plain tensors in the memory of the host; None if a value is neither.

    Args:
        values: anything.
    """
    plain = _plain or plain_classes()
    try:
        numbers = [value.item() if type(value) in plain and value.is_cpu else value for value in values]
    except Exception:  # noqa: BLE001  # shapes that are no number, tensors that hold none: a look at each value will tell
        return None
    return numbers if IMMEDIATE.issuperset(map(type, numbers)) else None


def stacked(values: tuple[Foreign, ...], rows: Sequence[int]) -> tuple[Foreign, ...]:
    """Replace the tensors among some values by pending numbers that share one copy.

    Args:
        values: of one call.
        rows: where the tensors are, each of one element.

    Raises:
        Exception: of PyTorch, if they cannot be stacked, or ValueError if they are no real numbers.
    """
    if not rows:
        return values
    stack = _Stack([values[row] for row in rows])
    taken = list(values)
    for place, row in enumerate(rows):
        taken[row] = _Scalar(stack, place)
    return tuple(taken)


class _Stack:
    """Scalars of one call: one stacked copy in stream order, read by the writer thread.

    The copy is safe against later updates in place, and out of the autograd graph. From an accelerator it goes on into pinned
    memory, behind an event: the writer thread's own current stream knows nothing of the stream on which the caller computed.
    """

    def __init__(self, tensors: Sequence[Any]) -> None:
        torch = sys.modules["torch"]
        try:
            stack = torch.stack(tensors).detach()
            exact = (
                stack.element_size() > _HALF_BYTES or len({tensor.dtype for tensor in tensors}) == 1
            )  # int64 and bfloat16 make bfloat16
        except (RuntimeError, TypeError):  # devices or shapes differ: [] and [1] are both a number
            exact = False
        if not exact:
            flat = [tensor.detach().reshape(()) for tensor in tensors]
            stack = torch.stack([tensor.to(flat[0].device, torch.float64, non_blocking=True) for tensor in flat])
        if stack.numel() != len(tensors) or stack.is_meta or stack.is_complex():
            raise ValueError("one of the tensors is no real number")
        self._numbers: list[float] | None = None
        self._copied = None
        if stack.is_cuda:
            # Pinned by PyTorch, since it must not wait; `tolist` on the device would.
            stack = stack.to("cpu", non_blocking=True)
            self._copied = torch.cuda.current_stream(tensors[0].device).record_event()
        self._stack = stack

    def is_ready(self) -> bool:
        return self._copied is None or bool(self._copied.query())

    def fetch(self) -> list[float]:
        if self._numbers is None:
            if self._copied is not None:
                self._copied.synchronize()
            self._numbers = self._stack.reshape(-1).tolist()
        return self._numbers


class _Scalar:
    """One number of a stack."""

    __slots__ = ("_place", "_stack")

    def __init__(self, stack: _Stack, place: int) -> None:
        self._stack = stack
        self._place = place

    def is_ready(self) -> bool:
        return self._stack.is_ready()

    def fetch(self) -> float:
        return self._stack.fetch()[self._place]


class Array:
    """A clone of a tensor on an accelerator.

    Attributes:
        nbytes: of the clone.
    """

    def __init__(self, tensor: Any) -> None:
        self._clone = tensor.detach().clone()
        self.nbytes: int = self._clone.nbytes
        self._copied = None
        if tensor.is_cuda:
            self._copied = sys.modules["torch"].cuda.current_stream(tensor.device).record_event()

    def fetch(self) -> npt.NDArray[Any]:
        """Wait for the clone and copy it to the host."""
        if self._copied is not None:
            self._copied.synchronize()
        return to_numpy(self._clone)


def to_numpy(tensor: Any) -> npt.NDArray[np.generic[Any]]:
    """Return a tensor as a host array; waits for its device. bfloat16 and float8 keep their exact values as float32."""
    torch = sys.modules["torch"]
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.is_sparse:
        tensor = tensor.to_dense()
    if tensor.is_floating_point() and tensor.dtype not in {torch.float32, torch.float64, torch.float16}:
        tensor = tensor.float()  # NumPy lacks them
    array: npt.NDArray[Any] = tensor.cpu().numpy()
    return array
