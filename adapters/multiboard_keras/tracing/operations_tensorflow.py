"""What the operations of TensorFlow say of themselves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import keras

from multiboard.graph.ir import TensorSpec
from multiboard_keras._compat import function_graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.graph.ir import Attribute

    Tensor = Any
    Operation = Any

Functions = dict[str, Any]
"""Graphs of functions, by the attribute of the operation that names them."""

_ASSIGNS: Final = re.compile(r"^Assign\w*VariableOp$")
_SCALARS: Final = frozenset({"int", "float", "bool", "string"})
_LONGEST: Final = 100


def spec_of(tensor: Tensor) -> TensorSpec:
    """Return the shape and dtype of a tensor in a graph."""
    rank = tensor.shape.rank
    return TensorSpec(None if rank is None else tuple(tensor.shape.as_list()), tensor.dtype.name)


def handles(variable: Any) -> list[object]:
    """Return the tensors by which functions take a variable of Keras or TensorFlow: one for each of its replicas."""
    value = getattr(variable, "value", variable) if isinstance(variable, keras.Variable) else variable
    replicas = getattr(value, "values", None)
    return [replica.handle for replica in (replicas if isinstance(replicas, (list, tuple)) else [value])]


def is_fixed(operation: Operation, known: Sequence[bool]) -> bool:
    """Return whether an operation computes a constant, or the next state of a generator of random numbers.

    Args:
        operation: not a constant itself.
        known: of each input, whether it is constant or such a state.
    """
    if _ASSIGNS.match(operation.type):
        return known[0]
    return all(known) and "Random" not in operation.type and not (operation.op_def and operation.op_def.is_stateful)


def functions_of(operation: Operation) -> Functions:
    """Return the graphs of the functions that an operation calls; empty if one of them is not known."""
    found: Functions = {}
    for attribute in operation.op_def.attr:
        if attribute.type == "func":
            found[attribute.name] = function_graph(operation.graph, operation.get_attr(attribute.name).name)
        elif attribute.type == "list(func)":
            for number, function in enumerate(operation.get_attr(attribute.name)):
                found[str(number)] = function_graph(operation.graph, function.name)
    return {} if None in found.values() else found


def attributes(operation: Operation) -> dict[str, Attribute]:
    """Return the name of an operation and those of its arguments that are numbers or lists of them, and say something."""
    found: dict[str, Attribute] = {"native": operation.name}
    for attribute in operation.op_def.attr:
        if attribute.type in _SCALARS:
            value = operation.get_attr(attribute.name)
            value = value.decode(errors="replace") if isinstance(value, bytes) else value
            if value not in ("", False, -1) and not attribute.name.startswith("_"):
                found[attribute.name] = value[:_LONGEST] if isinstance(value, str) else value
        elif attribute.type == "list(int)" and (values := operation.get_attr(attribute.name)):
            found[attribute.name] = str(list(values))[:_LONGEST]
    return found
