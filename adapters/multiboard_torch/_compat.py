"""Private names of PyTorch, each with a way around it for the day it is gone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn


def norms(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the L2 norm of each tensor, float32 `[]`, or float64 of float64; few kernels for many tensors.

    Args:
        tensors: floating or complex, all of one device and dtype.
    """
    dtype = _norm_dtype(tensors[0].dtype)
    try:
        return list(torch._foreach_norm(list(tensors), 2, dtype=dtype))  # noqa: SLF001
    except (AttributeError, RuntimeError, TypeError):  # gone, or another signature, or a dtype that it lacks
        return [torch.linalg.vector_norm(tensor, dtype=None if tensor.is_complex() else dtype) for tensor in tensors]


def _norm_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype in {torch.float64, torch.complex128} else torch.float32


def fill_each(tensors: Sequence[Tensor], values: Tensor) -> None:
    """Copy the same values into each tensor; one kernel for many tensors of one device."""
    try:
        torch._foreach_copy_(list(tensors), [values] * len(tensors))
    except (AttributeError, RuntimeError, TypeError):  # gone, or another signature
        for tensor in tensors:
            tensor.copy_(values)


def is_persistent(module: nn.Module, name: str) -> bool:
    """Tell whether a buffer is saved with its module."""
    return name not in getattr(module, "_non_persistent_buffers_set", ())


def in_backward() -> bool:
    """Tell whether this thread is inside a backward pass, where checkpointing computes activations a second time."""
    graph_task = getattr(torch._C, "_current_graph_task_id", None)  # noqa: SLF001
    return graph_task is not None and graph_task() != -1


def is_exporting() -> bool:
    """Tell whether a model is being exported; the operator of this package has no place in a program for others."""
    # Not torch.compiler.is_exporting: the compiler of torch 2.11 takes its answer for True.
    return bool(getattr(torch.compiler, "_is_exporting_flag", False))


def dtensor_class() -> type[Any] | None:
    """Return the class of sharded tensors, None as long as nobody has imported it; before torch 2.5 its module was private."""
    for name in ("torch.distributed.tensor", "torch.distributed._tensor"):
        found: type[Any] | None = getattr(sys.modules.get(name), "DTensor", None)
        if found is not None:
            return found
    return None


def is_capturing() -> bool:
    """Tell whether the current stream is captured into a CUDA graph, which would replay no hooks."""
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()


def is_tracing() -> bool:
    """Tell whether `torch.jit.trace` is recording."""
    tracing = getattr(torch.jit, "is_tracing", None)
    return tracing is not None and bool(tracing())
