"""Private names of PyTorch, each with a way around it for the day it is gone."""

from __future__ import annotations

import functools
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

_Function = TypeVar("_Function", bound="Callable[..., Any]")


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


def storage_key(tensor: Tensor) -> int:
    """Return a number of the memory of a tensor, 0 if it has none of its own."""
    try:
        key: int = tensor.untyped_storage()._cdata  # noqa: SLF001
    except (AttributeError, NotImplementedError, RuntimeError):  # gone, or a sparse tensor, or one of a subclass
        return 0
    return key


def weak_storage(tensor: Tensor) -> object | None:
    """Return a reference that frees the values of a tensor's memory but gives its number to no other; None if there is none."""
    try:
        return _storage_reference()(tensor.untyped_storage())
    except (ImportError, AttributeError, NotImplementedError, RuntimeError, TypeError):
        return None


@functools.cache
def _storage_reference() -> Callable[[Any], object]:
    from torch.multiprocessing.reductions import StorageWeakRef

    return StorageWeakRef


def graph_task() -> int:
    """Return the number of the backward pass that this thread is in, -1 outside of any."""
    current = getattr(torch._C, "_current_graph_task_id", None)  # noqa: SLF001
    return -1 if current is None else int(current())


def sequence_counter() -> Callable[[], int] | None:
    """Return what tells the number that the next node of the autograd graph gets; None if it cannot be told."""
    counter: Callable[[], int] | None = getattr(getattr(torch._C, "_autograd", None), "_get_sequence_nr", None)  # noqa: SLF001
    return counter


def autograd_node() -> Any:
    """Return the node of the autograd graph that is computed now, None outside of one."""
    current = getattr(torch._C, "_current_autograd_node", None)  # noqa: SLF001
    return None if current is None else current()


def sequence_of(node: Any) -> int | None:
    """Return the number of a node of the autograd graph, in the order of the forward pass."""
    number = getattr(node, "_sequence_nr", None)
    return None if number is None else int(number())


def flop_rules() -> Mapping[Any, Callable[..., Any]]:
    """Return the FLOPs of operators as PyTorch counts them, by operator without overload."""
    try:
        from torch.utils.flop_counter import flop_registry
    except ImportError:
        return {}
    found: Mapping[Any, Callable[..., Any]] = flop_registry
    return found


def has_compiler() -> bool:
    """Tell whether the compiler is loaded, without which nothing is compiled yet."""
    return "torch._dynamo" in sys.modules


def before_compiling(callback: Callable[..., None]) -> Callable[[], None]:
    """Call something whenever the compiler begins to look at a function, if it is loaded and tells that.

    Args:
        callback: is given what is compiled, by older versions nothing.

    Returns:
        What ends that; not to be called inside of the callback.
    """
    handler = getattr(sys.modules.get("torch._dynamo"), "callback_handler", None)
    callbacks = getattr(handler, "start_callbacks", None)
    if not isinstance(callbacks, list):
        return lambda: None
    callbacks.append(callback)
    return lambda: callbacks.remove(callback) if callback in callbacks else None


def runs_while_compiling(function: _Function) -> _Function:
    """Let the compiler call a function of constants when it meets it, instead of compiling it; what it returns is a constant.

    As `torch.compiler.assume_constant_result` does, which imports the compiler.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]  # noqa: SLF001
    return function


def is_compiled_in_place(module: nn.Module) -> bool:
    """Tell whether `module.compile()` was called: then its hooks are compiled with it, or were."""
    return getattr(module, "_compiled_call_impl", None) is not None


def compiles_itself(function: Any) -> bool:
    """Tell whether a function is one of those that PyTorch compiles by itself, e.g. for `torch.cond`, and cannot run without."""
    return str(getattr(function, "__module__", "")).startswith(("torch._higher_order_ops.", "torch.nn.attention.flex_attention"))


def is_innermost(mode: Any, module: Any) -> bool:
    """Tell whether a mode was entered last; False if that cannot be told.

    Args:
        mode: a dispatch or function mode.
        module: as in `leave_mode`.
    """
    current = getattr(module, f"_get_current_{'function' if module is torch.overrides else 'dispatch'}_mode", None)
    return current is not None and mode is not None and current() is mode


def leave_mode(mode: Any, module: Any) -> None:
    """Take a mode off its stack wherever it is there; the others stay.

    Args:
        mode: a dispatch or function mode that was entered.
        module: `torch.utils._python_dispatch` or `torch.overrides`: whose stack it is.
    """
    functions = module is torch.overrides
    stack = getattr(module, f"_get_current_{'function' if functions else 'dispatch'}_mode_stack", None)
    modes = [mode] if stack is None else stack()
    if not any(one is mode for one in modes):
        return
    base = module.TorchFunctionMode if functions else module.TorchDispatchMode
    above = []
    # Those of the base class: they keep the flags of PyTorch right, and nothing of what a mode itself does happens twice.
    while modes[-1] is not mode:
        above.append(modes.pop())
        base.__exit__(above[-1], None, None, None)
    mode.__exit__(None, None, None)
    for one in reversed(above):
        base.__enter__(one)


def decomposes(function: Any) -> bool:
    """Tell whether an operator is made of others, which inference mode does not show by itself."""
    check = getattr(function, "has_kernel_for_dispatch_key", None)
    key = getattr(getattr(torch._C, "DispatchKey", None), "CompositeImplicitAutograd", None)  # noqa: SLF001
    return check is not None and key is not None and hasattr(function, "decompose") and bool(check(key))


def fake_mode(*, enabled: bool) -> AbstractContextManager[Any]:
    """Compute shapes instead of values for a while, if enabled.

    Raises:
        RuntimeError: this PyTorch has no such mode.
    """
    if not enabled:
        return nullcontext()
    try:
        from torch._subclasses.fake_tensor import FakeTensorMode
    except ImportError as error:
        raise RuntimeError("this PyTorch computes no shapes without values") from error
    mode: AbstractContextManager[Any] = FakeTensorMode(allow_non_fake_inputs=True)
    return mode


def initialises(module: nn.Module) -> bool:
    """Tell whether a lazy layer makes its parameters now, in its first call."""
    return "_initialize_hook" in vars(module)


def bare(tensor: Tensor) -> Tensor:
    """Return the tensor inside what `torch.func.grad`, `torch.vmap` and the like put around it; the operators get this one."""
    functorch = getattr(torch._C, "_functorch", None)  # noqa: SLF001
    is_wrapped, unwrap = (getattr(functorch, name, None) for name in ("is_functorch_wrapped_tensor", "get_unwrapped"))
    while is_wrapped is not None and unwrap is not None and is_wrapped(tensor):
        tensor = unwrap(tensor)
    return tensor
