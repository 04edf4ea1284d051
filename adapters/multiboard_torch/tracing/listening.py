"""What an observer enters to listen, and leaves again: hooks of all modules and optimizers, the compiler, and the two modes."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn
from torch.optim import optimizer as optimizer_hooks
from torch.utils import _python_dispatch as dispatch

from multiboard_torch._compat import is_innermost, leave_mode
from multiboard_torch.tracing.compiler import begin_eager, end_eager
from multiboard_torch.tracing.hooks import begin_modules, end_modules, silence_compiled
from multiboard_torch.tracing.modes import Functions, Operators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from multiboard_torch.tracing.hooks import Listener
    from multiboard_torch.tracing.scopes import Scopes

_FAST: Final = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder)
_WRAPPER: Final = re.compile(r"(_op|_hop)?_wrapper$")


class Listening:
    """Hooks and modes, left in reverse.

    Attributes:
        to_operators: whether operators are heard.
    """

    def __init__(self) -> None:
        self.to_operators = False
        self._exits = contextlib.ExitStack()
        self._functions: Functions | None = None
        self._operators: Operators | None = None
        self._suspended: list[nn.Module] = []

    def end(self) -> None:
        """Leave everything; a second call does nothing."""
        self._exits.close()

    def begin_modules(self, listener: Listener) -> None:
        """Hear of all modules."""
        self._exits.callback(silence_compiled())
        self._exits.callback(end_modules, listener)  # first, so that a failure on the way leaves nothing behind
        begin_modules(listener)

    def begin_optimizers(self, before: Callable[..., None], after: Callable[..., None]) -> None:
        """Hear of the steps of all optimizers."""
        self._exits.callback(optimizer_hooks.register_optimizer_step_pre_hook(before).remove)
        self._exits.callback(optimizer_hooks.register_optimizer_step_post_hook(after).remove)

    def begin_compiler(self, record: Callable[[str, Any, Any], None]) -> None:
        """Run compiled functions eagerly, and hear of those that cannot be: with a name, the arguments and the result."""

        def apart(name: str, compiled: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                with self._silence():  # the compiler would compile what listens
                    result = compiled(*args, **kwargs)
                record(_WRAPPER.sub("", name).strip("_"), (args, kwargs), result)
                return result

            return call

        self._exits.callback(end_eager, apart)
        begin_eager(apart)

    def begin_operators(self, record: Callable[..., None], *, timing: bool) -> None:
        """Hear of operators, see `Operators`."""
        self._operators = Operators(record, timing=timing)
        self._operators.__enter__()
        self._exits.callback(leave_mode, self._operators, dispatch)
        self.to_operators = True

    def begin_functions(self, scopes: Scopes) -> None:
        """Keep the functions of the API on a stack."""
        self._functions = Functions(scopes)
        self._functions.__enter__()
        self._exits.callback(leave_mode, self._functions, torch.overrides)

    def suspend_functions(self, module: nn.Module) -> None:
        """Stop to hear of functions in a module that would compute something else, to the last bits, because of that.

        Layers of attention run as one fused operator in evaluation, but not if anything overrides functions.
        """
        if _has_fast_path(module) and self._functions is not None and is_innermost(self._functions, torch.overrides):
            self._suspended.append(module)
            self._functions.__exit__(None, None, None)

    def resume_functions(self, module: nn.Module) -> None:
        """Hear of functions again at the end of that module."""
        if self._suspended and self._suspended[-1] is module and self._functions is not None:
            self._suspended.pop()
            self._functions.__enter__()

    @contextlib.contextmanager
    def _silence(self) -> Iterator[None]:
        stacks = ((self._functions, torch.overrides), (self._operators, dispatch))
        left = [(mode, module) for mode, module in stacks if mode is not None and is_innermost(mode, module)]
        for mode, module in left:
            leave_mode(mode, module)
        try:
            yield
        finally:
            for mode, _ in reversed(left):
                mode.__enter__()


def _has_fast_path(module: nn.Module) -> bool:
    if not isinstance(module, _FAST) or module.training:
        return False
    return not torch.is_grad_enabled() or not any(parameter.requires_grad for parameter in module.parameters())
