"""What a layer is, whatever its layout and however its parameters are split: the same signature in every framework."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from multiboard.compare.tokens import parse
from multiboard.graph.canonical import LAYERS

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from multiboard.compare.layer_table import Layer, Role
    from multiboard.compare.tokens import Name

_CLASS: Final = {native: name for name, natives in LAYERS.items() for native in natives.split()}
_NORM: Final = re.compile(r"norm", re.IGNORECASE)
_OF_NORMS: Final = frozenset({"scale", "bias", "mean", "var", "num_batches_tracked"})
"""Parameters and buffers that a layer of no known class has if it is a norm."""
_MATRIX: Final = 2
_SHAPES: Final = 2
"""What is known if all shapes are."""


class Unit(NamedTuple):
    """What is matched with one of the other model: a layer, or several that the other model may have as one.

    Attributes:
        members: paths of layers.
        kind: 'dense', 'conv', 'norm', 'embed', 'recurrent', 'raw' for bare parameters, or the class of a layer that has none.
        shape: sizes in a layout of our own; None if they are not known.
        size: elements of the largest parameter; None if it is not known.
        name: in canonical words.
        order: of the first call; None if it is not known.
        bias: whether there is one; None where that says nothing.
        width: elements of the bias; None if they are not known.
        fused: whether it is query, key and value in one.
        part: which layer of an attention it is; '' if it is none.
        axes: sizes of its largest parameter before anything was merged; none if they are not known or say nothing more.
    """

    members: tuple[str, ...]
    kind: str
    shape: tuple[int, ...] | None
    size: int | None
    name: Name
    order: int | None
    bias: bool | None = None
    width: int | None = None
    fused: bool = False
    part: str = ""
    axes: tuple[int, ...] = ()

    @property
    def path(self) -> str:
        """Of the first layer."""
        return self.members[0]

    @property
    def home(self) -> str:
        """The container of the first layer; of a bare parameter the layer that holds it."""
        return self.path if self.kind == "raw" else self.path.rpartition("/")[0]


def plain(layer: Layer, roles: Mapping[str, Role], path: str) -> list[Unit]:
    """Return what a layer is that is no recurrent cell: one unit, or one per bare parameter.

    Args:
        layer: any.
        roles: its parameters and buffers by name.
        path: that is read for its words.
    """
    kind, role = _kind(layer, roles)
    if kind == "raw":
        return [_raw(layer, one, path) for one in layer.roles]
    shape = role.shape if role else ()
    if role and shape is not None:
        shape = _normal(kind, layer.cls, role, shape, roles.get("bias"), path)
    axes = (role.canonical or role.shape or ()) if role and kind == "dense" and "in_proj_weight" not in roles else ()
    size = role.size if role else 0
    bias = ("bias" in roles or "in_proj_bias" in roles) if kind in {"dense", "conv"} else None
    name = parse(f"{path}/qkv" if "in_proj_weight" in roles else path, kind)
    width = next((roles[name].size for name in ("bias", "in_proj_bias") if name in roles), None) if bias else None
    return [Unit((layer.path,), kind, shape, size, name, layer.order, bias, width, name.part == "qkv", name.part, axes)]


def _raw(layer: Layer, role: Role, path: str) -> Unit:
    shape = role.shape
    if shape is not None:
        shape = tuple(size for size in shape if size > 1) or (1,)
    name = parse(f"{path}/{role.name}" if path else role.name, "raw")
    return Unit((layer.path,), "raw", shape, role.size, name, layer.order, part=name.part, axes=shape or ())


def _kind(layer: Layer, roles: Mapping[str, Role]) -> tuple[str, Role | None]:
    """Return what a layer is, and the parameter that tells its size."""
    cls = _CLASS.get(layer.cls, layer.cls)
    if "embedding" in roles:
        return "embed", roles["embedding"]
    if "in_proj_weight" in roles:
        return "dense", roles["in_proj_weight"]
    kernel = roles.get("kernel")
    if kernel and not _NORM.search(cls):
        return ("conv" if _is_conv(cls, kernel) else "dense"), kernel
    scaled = cls or roles.keys() <= _OF_NORMS
    for name in ("scale", "kernel", "bias", "mean"):
        if name in roles and ((scaled and name in {"scale", "mean"}) or _NORM.search(cls)):
            return "norm", roles[name]
    if layer.roles:
        return "raw", layer.roles[0]
    return cls or "?", None


def _is_conv(cls: str, kernel: Role) -> bool:
    rank = len(kernel.shape) if kernel.shape is not None else 0
    if "Conv" in cls:
        return rank != _MATRIX
    return not cls and rank > _MATRIX and (rank > _MATRIX + 1 or kernel.native.endswith("weight"))


def _normal(kind: str, cls: str, role: Role, shape: tuple[int, ...], bias: Role | None, path: str) -> tuple[int, ...]:
    """Return the sizes of a parameter in our layout: [in, out] and HWIO, without heads."""
    if role.canonical is not None:
        return _conv(cls, role.canonical, torch=False) if kind == "conv" else _flat(kind, role.canonical)
    torch = role.native.endswith("weight")
    if kind == "conv":
        return _conv(cls, shape, torch=torch)
    if kind == "dense":
        if torch and cls != "Conv1D":
            return tuple(reversed(shape)) if len(shape) == _MATRIX else shape
        return _dense(shape, bias, path)
    return _flat(kind, shape)


def _flat(kind: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (math.prod(shape),) if kind == "norm" else shape


def _conv(cls: str, shape: tuple[int, ...], *, torch: bool) -> tuple[int, ...]:
    """Return height, width, in, out; of a depthwise convolution or one that goes up the two channels by size."""
    if len(shape) < _MATRIX:  # what a layer of the user's own calls its kernel
        return shape
    if torch:
        shape = (*shape[2:], shape[1], shape[0])
    *space, inner, outer = shape
    turned = "Transpose" in cls or "Depthwise" in cls or 1 in (inner, outer)
    channels = sorted((inner, outer)) if turned else [inner, outer]
    return (*space, *channels)


def _dense(shape: tuple[int, ...], bias: Role | None, path: str) -> tuple[int, ...]:
    """Return [in, out] of a kernel that may have heads: behind the input, or before the output of an attention."""
    if len(shape) <= _MATRIX:
        return shape
    known = bias.shape if bias is not None else None
    outer = len(known) if known is not None else 1 if parse(path).part == "out" else len(shape) - 1
    return math.prod(shape[: len(shape) - outer]), math.prod(shape[len(shape) - outer :])


def detail_of(found: Sequence[Unit]) -> int:
    """Return what is known of all parameters: 2 for shapes, 1 for sizes, 0 for nothing."""
    if all(unit.shape is not None for unit in found):
        return _SHAPES
    return int(all(unit.size is not None for unit in found))


def signatures(a: Sequence[Unit], b: Sequence[Unit], detail: int) -> list[list[tuple[Hashable, ...]]]:
    """Return the signature of each unit of two models: kind, size, and the part of an attention where both tell that.

    Args:
        a: units of the first model.
        b: units of the second.
        detail: of sizes, as `detail_of` returns it.
    """
    widths: dict[Hashable, bool] = {}
    if detail == 1:
        for unit in (*a, *b):
            key = (unit.kind, unit.size)
            widths[key] = widths.get(key, True) and unit.width is not None
    bases = [[_base(unit, detail, wide=widths.get((unit.kind, unit.size), False)) for unit in side] for side in (a, b)]
    told = [
        {base for base, unit in zip(side, units, strict=True) if unit.part} for side, units in zip(bases, (a, b), strict=True)
    ]
    both = told[0] & told[1]
    return [
        [(*base, unit.part if base in both else "") for base, unit in zip(side, units, strict=True)]
        for side, units in zip(bases, (a, b), strict=True)
    ]


def _base(unit: Unit, detail: int, *, wide: bool) -> tuple[Hashable, ...]:
    if unit.shape == ():
        return unit.kind, ()
    kind = "kernel" if detail < _SHAPES and unit.kind in {"dense", "conv"} else unit.kind
    return kind, (None, (unit.size, unit.width if wide else None), unit.shape)[detail]
