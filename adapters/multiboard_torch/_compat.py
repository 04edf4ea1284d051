"""Private names of PyTorch, each with a way around it for the day it is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def is_persistent(module: nn.Module, name: str) -> bool:
    """Tell whether a buffer is saved with its module."""
    return name not in getattr(module, "_non_persistent_buffers_set", ())


def in_backward() -> bool:
    """Tell whether this thread is inside a backward pass, where checkpointing computes activations a second time."""
    graph_task = getattr(torch._C, "_current_graph_task_id", None)  # noqa: SLF001
    return graph_task is not None and graph_task() != -1
