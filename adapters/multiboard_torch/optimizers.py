"""What is read of an optimizer around its step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from multiboard import tags
from multiboard_torch.draft import Found, found_parameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor
    from torch.optim import Optimizer

    from multiboard_torch.layers import Named


def held_by(groups: Iterable[Mapping[str, Any]]) -> set[int]:
    """Return the ids of the parameters of parameter groups."""
    return {id(parameter) for group in groups for parameter in group["params"]}


def has_closure(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether a step is given a function that computes the gradients."""
    return any(callable(value) and value is not optimizer for value in (*args, *kwargs.values()))


def unscaled(optimizer: Optimizer, grad: Tensor) -> Tensor:
    """Undo the loss scale that a fused optimizer takes off inside its step, where GradScaler leaves it as an attribute."""
    scale = getattr(optimizer, "grad_scale", None)
    return grad.detach() / scale.to(grad.device, non_blocking=True) if isinstance(scale, torch.Tensor) else grad


def was_skipped(optimizer: Optimizer) -> bool:
    """Tell whether a fused optimizer found infinite gradients and left the parameters alone; known at once on a CPU only.

    Reading it from an accelerator would wait, so there such a step counts as one.
    """
    found_inf = getattr(optimizer, "found_inf", None)
    return isinstance(found_inf, torch.Tensor) and found_inf.device.type == "cpu" and bool(found_inf.item())


def states(optimizer: Optimizer, own: Iterable[Named]) -> list[Found]:
    """Return the tensors of an optimizer's state that belong to one parameter each; no counters, no state of all parameters."""
    held = held_by(optimizer.param_groups)
    return [
        found_parameter(named, value, f"{name} of {type(optimizer).__name__}", f"/{tags.state(name)}")
        for named in own
        if id(named.parameter) in held
        for name, value in optimizer.state.get(named.parameter, {}).items()
        if isinstance(value, torch.Tensor) and name != "step" and _belongs(value, named.parameter)
    ]


def _belongs(state: Tensor, parameter: Tensor) -> bool:
    """Tell whether a state is that of one parameter, also as rows or columns, and not of all of them."""
    return state.ndim == parameter.ndim and state.numel() <= parameter.numel()
