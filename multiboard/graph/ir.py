"""The records of a traced graph, the same for every framework.

An adapter records nodes in execution order; everything else (views, tables, files) is made of these records. A graph knows
nothing of TensorBoard: `graph_events` turns it into what the Graphs tab draws.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

INPUT: Final = "Input"
OUTPUT: Final = "Output"
PARAMETER: Final = "Const_Parameter"
BUFFER: Final = "Const_Buffer"
CONSTANT: Final = "Const"
ENDS: Final = frozenset({INPUT, OUTPUT, PARAMETER, BUFFER, CONSTANT})
"""Operations that compute nothing. TensorBoard draws what begins with 'Const' as a small circle beside its consumer."""
FORWARD: Final = "forward"
BACKWARD: Final = "backward"
OPTIMIZER: Final = "optimizer"

Attribute: TypeAlias = "str | int | float | bool"


class TensorSpec(NamedTuple):
    """What is known of a tensor without its values.

    Attributes:
        shape: None for a size, or for all of them, that is not known.
        dtype: by its name in NumPy, or 'bfloat16', 'float8_e4m3fn' and so on; '' if it is not known.
    """

    shape: tuple[int | None, ...] | None
    dtype: str


class Frame(NamedTuple):
    """One step of the way from the model to an operation.

    Attributes:
        kind: 'module' for a layer or a container, 'call' for a function of the framework's API, 'region' for a scan, a while
            loop, a branch, the backward pass ('backward') or the optimizer ('optimizer').
        name: of the attribute or function; the outermost module is named by its class.
        cls: native class of a module, e.g. 'Conv2d'; '' if it is not known, as for a list of layers.
        uid: of the call: a module that is called twice has two, and forward and backward share none.
    """

    kind: Literal["module", "call", "region"]
    name: str
    cls: str
    uid: int


Scope: TypeAlias = tuple[Frame, ...]
"""Frames, outermost first."""


class Node(NamedTuple):
    """One operation, or one of `ENDS`.

    Attributes:
        op: in the words of the framework, e.g. 'aten::addmm', 'dot_general', 'MatMul'; or one of `ENDS`.
        scope: where it was called.
        inputs: number of the node that computed it and number of its output.
        outputs: of the node, in order.
        name: what it is labelled with; '' for its op. The canonical role of a parameter, the argument of an input.
        attrs: small facts: 'path' (canonical, as in tags), 'native' (name in the framework), 'trainable', 'tied_to', scalar
            arguments. Those that begin with 'cfg.' survive in views.
        device: in the words of the framework, e.g. 'cuda:1'.
        flops: 2 * multiply-adds of matrix products and convolutions; nothing else counts.
        params: elements of a trainable parameter that no node before this one stands for.
        us: measured time, microseconds.
        mem: bytes that its outputs newly allocate.
    """

    op: str
    scope: Scope
    inputs: tuple[tuple[int, int], ...]
    outputs: tuple[TensorSpec, ...]
    name: str = ""
    attrs: Mapping[str, Attribute] = MappingProxyType({})
    device: str = ""
    flops: int = 0
    params: int = 0
    us: float = 0.0
    mem: int = 0


class Graph(NamedTuple):
    """What one call of a model, or one training step, did.

    Attributes:
        framework: 'torch', 'jax' or 'keras'.
        nodes: in the order of execution: inputs of a node stand before it, but for edges of loops.
        step: the training step that was observed; None if nothing was trained.
        notes: sentences for people: what could not be recorded, and which path was taken.
    """

    framework: str
    nodes: tuple[Node, ...]
    step: int | None = None
    notes: tuple[str, ...] = ()


def modules(scope: Scope) -> Scope:
    """Return the frames of a scope up to its innermost module, without calls of functions below it."""
    for depth in range(len(scope), 0, -1):
        if scope[depth - 1].kind == "module":
            return scope[:depth]
    return ()


def pass_of(scope: Scope) -> str:
    """Return 'forward', 'backward' or 'optimizer'."""
    for frame in scope:
        if frame.kind == "region" and frame.name in {BACKWARD, OPTIMIZER}:
            return frame.name
    return FORWARD


def layer_path(scope: Scope) -> str:
    """Return the canonical path of the innermost module of a scope: what follows the first part of its tags.

    The outermost module is the model itself and has no part in it.
    """
    return "/".join([frame.name for frame in scope if frame.kind == "module"][1:])
