"""Private names of PyTorch's compiler: what it compiles, and what Inductor writes; where they are gone, nothing is known."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.fx import GraphModule

_MARK: Final = "_multiboard_listens"


def listen_to_inductor(before: Callable[[GraphModule], None], after: Callable[[], None]) -> bool:
    """Call something with every graph that Inductor gets to compile from now on, and something when it has done so.

    Once in a process: a second call does nothing. What is called must not raise.

    Args:
        before: gets the graph as Dynamo has traced it.
        after: is called behind it, also if it could not be compiled.

    Returns:
        Whether PyTorch has the class that compiles.
    """
    backend: Any = getattr(torch, "_TorchCompileInductorWrapper", None)
    compile_graph = None if backend is None else vars(backend).get("__call__")
    if compile_graph is None:
        return False
    if getattr(compile_graph, _MARK, False):
        return True

    def compile_heard(self: Any, graph: GraphModule, *args: Any, **kwargs: Any) -> Any:
        before(graph)
        try:
            return compile_graph(self, graph, *args, **kwargs)
        finally:
            after()

    setattr(compile_heard, _MARK, True)
    backend.__call__ = compile_heard
    return True


def inductor_files() -> list[str]:
    """Return the paths of the modules that Inductor has written and loaded, in the order of loading."""
    cache: Any = getattr(sys.modules.get("torch._inductor.codecache"), "PyCodeCache", None)
    loaded: Any = getattr(cache, "modules", None) or getattr(cache, "cache", None) or ()
    modules = loaded.values() if isinstance(loaded, dict) else loaded
    return [path for module in tuple(modules) if isinstance(path := getattr(module, "__file__", None), str)]


def module_path(node: Any) -> str:
    """Return where in the code the innermost module of a node is, e.g. "L['self'].h.0.fc"; '' for a node of none."""
    stack = getattr(node, "meta", {}).get("nn_module_stack")
    innermost = list(stack.values())[-1] if isinstance(stack, dict) and stack else None
    return innermost[0] if isinstance(innermost, tuple) and innermost and isinstance(innermost[0], str) else ""
