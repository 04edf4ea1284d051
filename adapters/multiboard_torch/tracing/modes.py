"""The two modes of PyTorch that an observer listens with: one sees operators, one sees functions of the API."""

from __future__ import annotations

import contextlib
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from multiboard_torch._compat import decomposes
from multiboard_torch.unseen import UNSEEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard_torch.tracing.scopes import Scopes

_THROUGH: Final = (Tensor.backward,)
"""Functions around others, which get the frames."""


class Operators(TorchDispatchMode):
    """Tells of each operator after it ran. What it is told of cannot change what is returned.

    Args:
        record: called with the operator, its arguments, what it returned and the microseconds it took; raises nothing.
        timing: whether time is taken.
    """

    supports_higher_order_operators = True

    def __init__(self, record: Callable[..., None], *, timing: bool) -> None:
        super().__init__()
        self._record, self._timing = record, timing

    def _listen(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if UNSEEN.depth:
            return func(*args, **kwargs)
        if torch.is_inference_mode_enabled() and _is_plain(args) and decomposes(func):
            with self:
                return func.decompose(*args, **kwargs)
        begin = perf_counter_ns() if self._timing else 0
        out = func(*args, **kwargs)
        elapsed = (perf_counter_ns() - begin) / 1e3 if self._timing else 0.0
        self._record(func, args, kwargs, out, elapsed)
        return out


# Defined in the class, it would be wrapped by PyTorch, at the cost of an import of the compiler and a microsecond per operator.
Operators.__torch_dispatch__ = Operators._listen  # type: ignore[assignment]  # noqa: SLF001


def _is_plain(args: Any) -> bool:
    """Tell whether the first argument is a tensor whose operators have no kernels of their own."""
    first: Any = args[0] if args else None
    if isinstance(first, (list, tuple)) and first:
        first = first[0]
    if type(first) not in {Tensor, torch.nn.Parameter}:
        return False
    return bool(first.layout is torch.strided) and first.device.type in {"cpu", "cuda"}


class Functions(TorchFunctionMode):
    """Keeps a frame on the stack while a function of the API runs.

    Args:
        scopes: the stack.
    """

    def __init__(self, scopes: Scopes) -> None:
        super().__init__()
        self._scopes = scopes

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _THROUGH:
            return func(*args, **(kwargs or {}))
        scopes = self._scopes
        depth = scopes.depth
        with contextlib.suppress(Exception):  # without its name it runs all the same
            scopes.call(func)
        try:
            return func(*args, **(kwargs or {}))
        finally:
            scopes.cut(depth)
