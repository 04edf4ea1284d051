"""Recurrent cells: PyTorch has a stack of them as one layer, Keras each as one, Flax each as a dense layer per gate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from multiboard.compare.signatures import Unit
from multiboard.compare.tokens import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from multiboard.compare.layer_table import Layer, Role

_WEIGHT: Final = re.compile(r"weight_(ih|hh)_l(\d+)(_reverse)?$")
_GATES: Final = ({"ii", "if", "ig", "io", "hi", "hf", "hg", "ho"}, {"ir", "iz", "in", "hr", "hz", "hn"})
"""Dense layers that Flax makes a cell of."""
_WHOLE: Final = ("dense_i", "dense_h")
"""The two dense layers of NNX's optimized cell."""


def cells_of(layer: Layer, roles: Mapping[str, Role], path: str) -> list[Unit]:
    """Return the cells that a layer is, none if it is no recurrent one.

    Args:
        layer: any.
        roles: its parameters by name.
        path: that is read for its words.
    """
    if "recurrent_kernel" in roles:
        return [_keras_cell(layer, roles, path)]
    return list(_torch_cells(layer, roles, path))


def gated_cells(layers: Sequence[Layer]) -> list[Unit]:
    """Return the cells that are made of a dense layer per gate."""
    below: dict[str, dict[str, Layer]] = {}
    for layer in layers:
        parent, _, name = layer.path.rpartition("/")
        below.setdefault(parent, {})[name] = layer
    found = []
    for parent, children in below.items():
        gates = next((gates for gates in _GATES if gates <= children.keys()), None)
        if gates:
            found.append(_flax_cell(parent, [children[name] for name in sorted(gates)], len(gates) // 2))
        elif children.keys() >= set(_WHOLE):
            found.append(_nnx_cell(parent, [children[name] for name in _WHOLE]))
    return found


def _torch_cells(layer: Layer, roles: Mapping[str, Role], path: str) -> Iterator[Unit]:
    """Return one unit per layer of a stack of recurrent ones."""
    for name, role in roles.items():
        match = _WEIGHT.match(name)
        if match and match[1] == "ih":
            inner = roles.get(name.replace("_ih_", "_hh_"))
            shape = _cell_shape(role.shape and role.shape[::-1], inner and inner.shape and inner.shape[::-1])
            numbered = f"{path}/{'backward' if match[3] else 'item'}_{match[2]}"
            yield Unit((layer.path,), "recurrent", shape, role.size, parse(numbered), layer.order)


def _keras_cell(layer: Layer, roles: Mapping[str, Role], path: str) -> Unit:
    kernel = roles.get("kernel")
    shape = _cell_shape(kernel and kernel.shape, roles["recurrent_kernel"].shape)
    return Unit((layer.path,), "recurrent", shape, kernel and kernel.size, parse(path), layer.order)


def _flax_cell(parent: str, gates: list[Layer], count: int) -> Unit:
    kernels = {gate.path.rpartition("/")[2][0]: role for gate in gates for role in gate.roles if role.name == "kernel"}
    inner, hidden = (kernels[one].shape if one in kernels else None for one in "ih")
    shape = (count, inner[0], inner[1]) if inner and hidden else None
    orders = [gate.order for gate in gates if gate.order is not None]
    size = kernels["i"].size if "i" in kernels else None
    members = tuple(gate.path for gate in gates)
    order = min(orders, default=None)
    return Unit(members, "recurrent", shape, size and size * count, parse(parent), order)


def _nnx_cell(parent: str, whole: list[Layer]) -> Unit:
    inner, hidden = (next((role for role in layer.roles if role.name == "kernel"), None) for layer in whole)
    shape = _cell_shape(inner and inner.shape, hidden and hidden.shape)
    members = tuple(layer.path for layer in whole)
    return Unit(members, "recurrent", shape, inner and inner.size, parse(parent), whole[0].order)


def _cell_shape(kernel: tuple[int, ...] | None, recurrent: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Return gates, inputs and units of [in, gates * units] and [units, gates * units]."""
    if not kernel or not recurrent or not recurrent[0]:
        return None
    return recurrent[1] // recurrent[0], kernel[0], recurrent[0]
