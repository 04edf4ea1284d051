"""One call of a model for its graph alone, with an example: without values where that is possible."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import torch

from multiboard_torch._compat import fake_mode
from multiboard_torch.tracing.kept import kept
from multiboard_torch.tracing.modules import unwrapped
from multiboard_torch.tracing.trees import arguments, tensors

if TYPE_CHECKING:
    from torch import nn

    from multiboard_torch.tracing.observer import Observer

_SHARDED: Final = "_fsdp_wrapped_module"


class Call:
    """A call of a model.

    Args:
        model: that is called.
        args: its arguments.
        kwargs: its arguments by name.
    """

    def __init__(self, model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.model, self.args, self.kwargs = model, args, kwargs

    def named(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return arguments(unwrapped(self.model).forward, self.args, self.kwargs)

    def observe(self, observer: Observer, *, fake: bool, backward: bool) -> None:
        """Run the call under an observer.

        Args:
            observer: that records it.
            fake: compute shapes only.
            backward: also compute the gradients of all parameters, of the sum of all outputs; needs `fake`.
        """
        observer.learn(self.model)
        with kept(self.model), fake_mode(enabled=fake), torch.set_grad_enabled(backward), observer:
            observer.take_inputs(self.named())
            out = self.model(*self.args, **self.kwargs)
            observer.take_outputs(out)
            if backward:
                self._derive(out)

    def _derive(self, out: Any) -> None:
        outputs = [tensor for _, tensor in tensors(out) if tensor.requires_grad]
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if outputs and parameters:
            ones = [torch.ones_like(tensor) for tensor in outputs]
            torch.autograd.grad(outputs, parameters, ones, allow_unused=True)


def call_of(model: nn.Module, example: Any) -> Call:
    """Return the call that an example stands for.

    Args:
        model: that is called; without a wrapper that only distributes or compiles.
        example: a tuple of arguments, whose last part may be a dict of those by name; a dict of arguments by name; or the only
            argument. A dict whose keys are no names of arguments is an argument itself.
    """
    inner, called = unwrapped(model), without_processes(model)
    if isinstance(example, tuple):
        *first, last = example or (None,)
        if isinstance(last, Mapping) and _fits(inner, first, last):
            return Call(called, tuple(first), last)
        return Call(called, example, {})
    if isinstance(example, Mapping) and _fits(inner, (), example):
        return Call(called, (), example)
    return Call(called, (example,), {})


def without_processes(model: nn.Module) -> nn.Module:
    """Return what computes the same as a model in this process alone: without a wrapper that talks to others or compiles."""
    sharded = any(_SHARDED in module._modules for module in model.modules())  # noqa: SLF001
    return model if sharded else unwrapped(model)


def _fits(model: nn.Module, args: Any, kwargs: Mapping[Any, Any]) -> bool:
    """Tell whether a dict holds arguments by name."""
    if not all(isinstance(key, str) for key in kwargs):
        return False
    try:
        inspect.signature(model.forward).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return False
    return True
