"""Private names of PyTorch's profilers, each with a way around it for the day it is gone."""

from __future__ import annotations

import gc
import inspect
import sys
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


def profiler_records() -> bool:
    """Tell whether a profiler of PyTorch records in this thread; True where PyTorch does not tell, so that nobody's is ended."""
    enabled = getattr(torch.autograd, "_profiler_enabled", None)
    return bool(enabled()) if callable(enabled) else any_profiler_records()


def any_profiler_records() -> bool:
    """Tell whether a profiler of PyTorch records in any thread; False where PyTorch does not tell."""
    enabled = getattr(torch.autograd, "_profiler_enabled", None)
    here = bool(enabled()) if callable(enabled) else False
    return here or bool(getattr(torch.autograd.profiler, "_is_profiler_enabled", False))


def clear_profiler_flag() -> None:
    """Say that no profiler records, after one that could not start: PyTorch sets the flag before it tries."""
    clear = getattr(torch.autograd.profiler, "_run_on_profiler_stop", None)
    if callable(clear) and not profiler_records():
        clear()


def other_profilers(own: object) -> bool:
    """Tell whether a profiler of somebody else has been prepared, or records: PyTorch tells nobody about the first.

    To start a second one then ends the process where the first one stops (a null pointer in PyTorch 2.13). All objects are
    looked through, which takes some ten milliseconds.

    Args:
        own: the profiler that does not count; None if there is none.
    """
    classes = [*_with_subclasses(torch.autograd.profiler.profile), *_with_subclasses(torch.profiler.profile)]
    inside = getattr(own, "profiler", None)
    found = [one for one in gc.get_referrers(*classes) if type(one) in classes]  # an object refers to its class
    return any(one is not own and one is not inside and _holds_kineto(one) for one in found)


def forget_profiler(own: torch.profiler.profile | None) -> None:
    """Let `other_profilers` take no notice of a profiler that another one has ended, as long as Python holds it."""
    if getattr(own, "profiler", None) is not None:
        own.profiler.entered = False  # type: ignore[union-attr]


def _holds_kineto(profiler: Any) -> bool:
    """Tell whether a profiler of either class has been prepared and has not stopped."""
    if isinstance(profiler, torch.autograd.profiler.profile):
        return bool(getattr(profiler, "entered", False)) and getattr(profiler, "kineto_results", None) is None
    warming = torch.profiler.ProfilerAction.WARMUP  # again, with the results of the cycle before
    return getattr(profiler, "current_action", None) == warming and getattr(profiler, "profiler", None) is not None


def _with_subclasses(cls: type[Any]) -> set[type[Any]]:
    return {cls}.union(*(_with_subclasses(one) for one in cls.__subclasses__()))


def trace_range() -> Callable[[str], AbstractContextManager[Any]]:
    """Return what makes a named range of a trace: the quickest one, a fortieth of what `record_function` costs."""
    found: Callable[[str], AbstractContextManager[Any]] | None
    found = getattr(getattr(torch._C, "_profiler", None), "_RecordFunctionFast", None)  # noqa: SLF001
    return torch.profiler.record_function if found is None else found


def around_compilation(before: Callable[[], None], after: Callable[[], None]) -> Callable[[], None]:
    """Call something before and after the compiler reads a function, until the function that is returned is called.

    Does nothing as long as the compiler is not loaded, or where it tells nobody.
    """
    handler: Any = getattr(sys.modules.get("torch._dynamo.callback"), "callback_handler", None)
    if not hasattr(handler, "register_start_callback"):
        return lambda: None

    def begins(*_: object) -> None:
        before()

    def ends(*_: object) -> None:
        after()

    def remove() -> None:
        handler.remove_start_callback(begins)
        handler.remove_end_callback(ends)

    handler.register_start_callback(begins)
    handler.register_end_callback(ends)
    return remove


def new_profile(*, stacks: bool, **options: Any) -> torch.profiler.profile:
    """Return a profiler whose trace can only be exported: where PyTorch can, it makes no Python objects of events at its end.

    Args:
        stacks: record the functions of Python, which need those objects.
        options: further arguments of `torch.profiler.profile`.
    """
    try:
        from torch._C._profiler import _ExperimentalConfig

        quick = _ExperimentalConfig(trace_only=True)
    except (ImportError, TypeError):
        quick = None
    if quick is not None and not stacks:
        options["experimental_config"] = quick
    if "acc_events" in inspect.signature(torch.profiler.profile).parameters:  # without it older ones warn of what is cleared
        options["acc_events"] = quick is None or not stacks
    return torch.profiler.profile(with_stack=stacks, with_modules=stacks, **options)


def begin_memory_history() -> bool:
    """Let CUDA's allocator remember what it does; False if somebody else has asked for it already, or it cannot."""
    recorded = getattr(torch._C, "_cuda_isHistoryEnabled", None)  # noqa: SLF001
    begin = getattr(torch.cuda.memory, "_record_memory_history", None)
    if begin is None or (recorded is not None and recorded()):
        return False
    begin("all", stacks="python", max_entries=100_000)
    return True


def end_memory_history() -> None:
    """Let CUDA's allocator forget."""
    torch.cuda.memory._record_memory_history(None)  # noqa: SLF001


def save_memory_snapshot(path: str) -> bool:
    """Write what CUDA's allocator holds and remembers, for https://pytorch.org/memory_viz; False if PyTorch cannot."""
    dump = getattr(torch.cuda.memory, "_dump_snapshot", None)
    if dump is None:
        return False
    dump(path)
    return True
