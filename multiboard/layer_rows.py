"""The layer table of a run, as an adapter knows it: which layers there are, in which order they are called, and what they hold.

It is written once per run as own data, JSON under `tags.RUN_INFO`, so that runs can be compared layer by layer without a graph.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard import tags, wire
from multiboard.errors import ArgumentError
from multiboard.transforms import IDENTITY, UNKNOWN, canonical_shape, is_transform
from multiboard.values import Summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERSION: Final = 1
CALLS: Final = "calls"
DEFINITION: Final = "definition"
_PLUGIN: Final = "multiboard"


class RoleRow(NamedTuple):
    """A parameter or buffer of a layer.

    Attributes:
        name: kernel, bias, scale, mean, var, embedding, or what the framework calls it.
        tag: what follows the group in its tags, e.g. 'block0/attn/q/kernel'.
        native: its name in the framework.
        shape: in the layout of the framework; None if it is not known.
        transform: brings it into the compared layout, see `multiboard.transforms`; '' if its layout is not known.
        dtype: by its name in NumPy; '' if it is not known.
        trainable: whether the optimizer may change it.
    """

    name: str
    tag: str
    native: str
    shape: tuple[int, ...] | None
    transform: str = IDENTITY
    dtype: str = ""
    trainable: bool = True

    @property
    def canonical(self) -> tuple[int, ...] | None:
        """The shape in the compared layout; None if it is not known, or if the transform does not fit."""
        if self.shape is None or self.transform == UNKNOWN:
            return None
        try:
            return canonical_shape(self.shape, self.transform)
        except ArgumentError:
            return None


class LayerRow(NamedTuple):
    """A layer, or a container of layers.

    Attributes:
        path: canonical, as in tags.
        cls: native class; '' if it is not known.
        order: of its first call in a training step, counted over all layers; None if no call was seen.
        roles: its own parameters and buffers.
        own: the path in this run's own words, where its tags are written in those of another; '' where they are not.
    """

    path: str
    cls: str
    order: int | None
    roles: tuple[RoleRow, ...] = ()
    own: str = ""


class LayerRows(NamedTuple):
    """The layers of a run.

    Attributes:
        framework: 'torch', 'jax' or 'keras'.
        layers: in the order of the definition, as far as the framework keeps it.
        gradients: where gradients are seen, see `tags.gradient_stage`; '' if that is not known.
        aligned_to: the run in whose words the tags are written; '' if they are in this run's own.
    """

    framework: str
    layers: tuple[LayerRow, ...]
    gradients: str = ""
    aligned_to: str = ""

    @property
    def order_from(self) -> str:
        """'calls' if calls of layers were seen, 'definition' if layers only stand as they were defined."""
        return CALLS if any(layer.order is not None for layer in self.layers) else DEFINITION

    def transforms(self) -> dict[str, str]:
        """Return how each tensor is brought into the compared layout, by its tag without the group."""
        return {role.tag: role.transform for layer in self.layers for role in layer.roles}

    def joined(self, other: LayerRows) -> LayerRows:
        """Return these layers with those of another part of the model behind them; of a layer in both the other row counts."""
        theirs = {layer.path: layer for layer in other.layers}
        last = max((layer.order for layer in self.layers if layer.order is not None), default=-1)
        kept = [theirs.pop(layer.path, layer) for layer in self.layers]
        more = [layer if layer.order is None else layer._replace(order=layer.order + last + 1) for layer in theirs.values()]
        return other._replace(layers=(*kept, *more))

    def to_json(self) -> str:
        """Return the table as JSON, for `from_json`."""
        told = {
            "version": VERSION,
            "framework": self.framework,
            "gradients": self.gradients,
            "order_from": self.order_from,
            "layers": [_layer(layer) for layer in self.layers],
        }
        return json.dumps(told | ({"aligned_to": self.aligned_to} if self.aligned_to else {}))

    @classmethod
    def from_json(cls, text: str) -> LayerRows:
        """Return the table that `to_json` made a text of; what later versions add is left out.

        Raises:
            ArgumentError: it is another text.
        """
        try:
            told = json.loads(text)
            layers = tuple(_take_layer(layer) for layer in told["layers"])
            return cls(str(told["framework"]), layers, str(told.get("gradients", "")), str(told.get("aligned_to", "")))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            raise ArgumentError("text", text, "pass the JSON that LayerRows.to_json() returns") from error


def summary_of(table: LayerRows, step: int, wall_time: float) -> Summary:
    """Return the value that a run writes for its layer table."""
    content = wire.strings(table.to_json().encode(), rank=0)
    return Summary(tags.RUN_INFO, _PLUGIN, wire.TENSOR, content, step, wall_time, bytes([VERSION]))


def in_call_order(paths: Iterable[str], called: Iterable[str]) -> dict[str, int]:
    """Return the number of the first call of each layer that was called, or that is used by the one around it.

    A layer that nobody calls, although the one that holds it is called, is used by that one itself, as an output projection is by
    an attention of PyTorch: it counts behind all that this one calls.

    Args:
        paths: of layers that hold parameters, in the order of the definition.
        called: paths in the order of the first calls, '' for the model itself.

    >>> in_call_order(["attn", "attn/out", "fc"], ["", "fc", "attn"])
    {'fc': 0, 'attn': 1, 'attn/out': 2}
    """
    order = [path for path in dict.fromkeys(called) if path]
    known = set(order)
    for path in dict.fromkeys(paths):
        holder = path.rpartition("/")[0]
        if path and path not in known and holder in known:
            order.insert(1 + max(at for at, one in enumerate(order) if f"{one}/".startswith(f"{holder}/")), path)
            known.add(path)
    return {path: number for number, path in enumerate(order)}


def _layer(layer: LayerRow) -> dict[str, Any]:
    told = {"path": layer.path, "class": layer.cls, "order": layer.order, "roles": [_role(role) for role in layer.roles]}
    return told | ({"own": layer.own} if layer.own else {})


def _role(role: RoleRow) -> dict[str, Any]:
    canonical = role.canonical
    shapes = {"shape": role.shape, "canonical": canonical}
    return role._asdict() | {name: None if shape is None else list(shape) for name, shape in shapes.items()}


def _take_layer(told: Mapping[str, Any]) -> LayerRow:
    order = told["order"]
    roles = tuple(_take_role(role) for role in told["roles"])
    return LayerRow(str(told["path"]), str(told["class"]), None if order is None else int(order), roles, str(told.get("own", "")))


def _take_role(told: Mapping[str, Any]) -> RoleRow:
    shape = told["shape"]
    transform = str(told["transform"])
    return RoleRow(
        str(told["name"]),
        str(told["tag"]),
        str(told["native"]),
        None if shape is None else tuple(int(size) for size in shape),
        transform if is_transform(transform) else UNKNOWN,
        str(told["dtype"]),
        bool(told["trainable"]),
    )
