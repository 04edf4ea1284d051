r"""Which layer an operation of PyTorch belongs to, and what it is called in the tables of XProf.

XProf lists what has a stat `tf_op` of the form `path:type`. The path is the layer path and the type; the type is the name of the
operation without its namespace. XProf takes a type of the form `[A-Z_]\w*` or `[a-z_][a-z0-9_]*`
(tsl/profiler/utils/tf_op_utils.cc).
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from multiboard.profile.kineto.compiled import GRAPH
from multiboard.profile.kineto.events import integer
from multiboard.profile.op_names import BACKWARD, OPTIMIZER

if TYPE_CHECKING:
    from multiboard.profile.kineto.events import Events, Range, Thread
    from multiboard.profile.op_names import LayerPaths

MODULE: Final = "mb.module:"
"""A range of the adapter: what follows is the whole layer path."""
_PYTHON_MODULE: Final = "nn.Module: "
_WRAPPER: Final = "autograd::engine::evaluate_function: "
_OPTIMIZER: Final = ("Optimizer.step#", "Optimizer.zero_grad#")
_PARALLEL: Final = re.compile(r"(DistributedDataParallel|FullyShardedDataParallel|DataParallel|OptimizedModule)_\d+$")
_NO_OP: Final = ("mb.", "ProfilerStep#", "enumerate(DataLoader)#", "Optimizer.", _WRAPPER)
_NOT_IN_A_PATH: Final = re.compile(r"[^A-Za-z0-9_./>-]")
_NOT_IN_A_TYPE: Final = re.compile(r"[^A-Za-z0-9_]")


def python_modules(events: Events) -> dict[Thread, list[Range]]:
    """Return, by thread, the functions of Python that are modules, if no range says what a layer is called."""
    if any(one.name.startswith(MODULE) for ranges in events.threads.values() for one in ranges):
        return {}
    return {thread: [one for one in ranges if one.name.startswith(_PYTHON_MODULE)] for thread, ranges in events.python.items()}


def name_ops(ranges: list[Range], pairs: list[tuple[Range, Range]], known: LayerPaths) -> None:
    """Set `scope` and `op` of ranges of the host.

    Args:
        ranges: of all threads; those of each thread nest. Sorted in place.
        pairs: operations and the outermost range of their backward.
        known: the layers of the model.
    """
    backward = {id(after): before for before, after in pairs}
    ranges.sort(key=lambda one: (one.start, -one.end))  # an operation comes before its backward, and a parent before its children
    for one in ranges:
        one.scope = _scope(one, backward.get(id(one)))
        if one.layer:
            one.scope = _inside(one.scope, one.layer, known)
        if one.kind == "op":
            one.op = _op(one)


def backward_pairs(events: Events) -> list[tuple[Range, Range]]:
    """Return operations and the outermost range of their backward: what Kineto's arrows join, else what has the same number."""
    places = {place for ends in events.arrows.values() for place in ends.values()}
    at: dict[object, Range] = {}
    for thread, ranges in events.threads.items():
        for one in ranges:
            if (thread, one.start) in places and one.kind == "op":
                at.setdefault((thread, one.start), one)
    found = ((at.get(ends.get("s")), at.get(ends.get("f"))) for ends in events.arrows.values())
    pairs = [(before, _outermost(after)) for before, after in found if before is not None and after is not None]
    return pairs or _pairs_by_number(events)


@lru_cache(maxsize=4096)
def op_type(name: str) -> str:
    """Return the type of an operation from its name.

    >>> op_type("aten::conv2d"), op_type("torch::autograd::AccumulateGrad"), op_type("my::2Op")
    ('conv2d', 'AccumulateGrad', 'Op_2Op')
    >>> op_type("aten::_softmax"), op_type("## Call CompiledFxGraph fabc ##")
    ('_softmax', 'CompiledFxGraph')
    """
    if name.startswith(GRAPH):
        return "CompiledFxGraph"  # without the hash of its code, so that a graph is the same in another run
    kind = _NOT_IN_A_TYPE.sub("_", name.rpartition("::")[2].strip())
    if kind == kind.lower() and not kind[:1].isdigit():
        return kind or "_"
    kind = kind.lstrip("_")  # XProf takes no path that begins with it, unless all is lower case
    return f"Op_{kind}" if kind[:1].isdigit() else kind[:1].upper() + kind[1:] or "_"


@lru_cache(maxsize=65536)
def tf_op(scope: str, kind: str) -> str:
    """Return what XProf lists an operation under.

    >>> tf_op("fc1", "linear"), tf_op("", "add")
    ('fc1/linear:linear', 'add:add')
    """
    return f"{scope}/{kind}:{kind}" if scope else f"{kind}:{kind}"


def enclosing_op(one: Range | None) -> Range | None:
    """Return the innermost operation around a moment on a thread, given the innermost range around it."""
    while one is not None and not one.op:
        one = one.parent
    return one


def _scope(one: Range, before: Range | None) -> str:
    name = one.name
    outside = one.parent.scope if one.parent else ""
    if before is not None:
        return _backward(before.scope)
    if name.startswith(MODULE):
        one.shown = f"layer/{name[len(MODULE) :]}"
        return _NOT_IN_A_PATH.sub("_", name[len(MODULE) :])
    if one.kind == "python":
        return _python_scope(one, outside)
    if name.startswith(_OPTIMIZER):
        return OPTIMIZER
    if name.startswith(_WRAPPER):
        return outside if outside == _backward(outside) else BACKWARD
    return outside


def _inside(scope: str, layer: str, known: LayerPaths) -> str:
    """Return the scope of a layer in another one, both of which may be whole paths, or begin within the model or above it.

    >>> from multiboard.profile.op_names import LayerPaths
    >>> _inside("backward/h/0", "attn", LayerPaths({})), _inside("", "model/h/1", LayerPaths({"layers": ["h/1"]}))
    ('backward/h/0/attn', 'h/1')
    """
    is_backward = scope == _backward(scope)
    outside = scope.removeprefix(BACKWARD).removeprefix("/") if is_backward else scope
    path = f"{outside}/{layer}" if outside else layer
    path = known.locate(path.split("/")) or path
    return _backward(path) if is_backward else path


def _backward(scope: str) -> str:
    """Return the scope of what goes backward through another one, which that of a backward is already."""
    if scope == BACKWARD or scope.startswith(f"{BACKWARD}/"):
        return scope
    return f"{BACKWARD}/{scope}" if scope else BACKWARD


def _python_scope(one: Range, outside: str) -> str:
    """Return the path of a module of which only the class is known. The root, and what wraps it, has none."""
    above = one.parent
    while above is not None and above.kind != "python":
        above = above.parent
    name = one.name[len(_PYTHON_MODULE) :]
    if above is None or (not above.scope and _PARALLEL.search(above.name)):
        return outside
    return f"{outside}/{name}" if outside else name


def _op(one: Range) -> str:
    name = one.name
    if name.startswith(_NO_OP):
        return ""
    if "::" not in name:
        above = enclosing_op(one.parent)
        if above is not None and above.name == f"aten::{name}":
            return ""  # the same call once more, as autograd sees it
    return tf_op(one.scope, op_type(name))


def _pairs_by_number(events: Events) -> list[tuple[Range, Range]]:
    """Pair by the sequence number: of several operations of a number, the last one before the backward has made the node."""
    ops = [one for ranges in events.threads.values() for one in ranges if one.kind == "op" and "Sequence number" in one.args]
    ops.sort(key=attrgetter("start"))
    before: dict[int, Range] = {}
    pairs, seen = [], set()
    for one in ops:
        number = integer(one.args["Sequence number"])
        if not one.args.get("Fwd thread id"):
            before[number] = one
        elif number in before:
            after = _outermost(one)
            if id(after) not in seen:
                seen.add(id(after))
                pairs.append((before[number], after))
    return pairs


def _outermost(after: Range) -> Range:
    """Return the range of the engine around a node of autograd."""
    parent = after.parent
    return parent if parent is not None and parent.name.startswith(_WRAPPER) else after
