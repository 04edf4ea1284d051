"""What a profile of PyTorch is told of Keras besides its layers: the updates of its optimizers, which are its own."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, Final

from torch.profiler import record_function

from multiboard_keras.rates import find_optimizers
from multiboard_keras.sight import replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RANGE: Final = "Optimizer.step#"
"""How PyTorch begins the names of such ranges of its own."""


@contextlib.contextmanager
def optimizer_ranges(model: Any) -> Iterator[None]:
    """Let what the optimizers of a model do stand in a range of the trace.

    Args:
        model: a compiled model.
    """
    with contextlib.ExitStack() as stack:
        for optimizer in find_optimizers(model).values():
            stack.enter_context(replaced(optimizer, "apply", _in_range(type(optimizer).__name__, optimizer.apply)))
        yield


def _in_range(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def apply(*args: Any, **kwargs: Any) -> Any:
        with record_function(f"{_RANGE}{name}.apply"):
            return original(*args, **kwargs)

    return apply
