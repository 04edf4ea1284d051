"""What is matched of two models: their layers, and what one of them has as several layers and the other as one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from multiboard.compare.cells import cells_of, gated_cells
from multiboard.compare.signatures import Unit, plain
from multiboard.compare.tokens import Name, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from multiboard.compare.layer_table import Layer

_TRIO: Final = ("query", "key", "value")


def units(layers: Sequence[Layer], called: Mapping[str, str]) -> list[Unit]:
    """Return what of a model has parameters, and what has none and holds no other layer.

    Args:
        layers: of one model.
        called: the path in whose place another one is read for its words.
    """
    cells = gated_cells(layers)
    inside = {path for cell in cells for path in cell.members}
    holders = {path.rpartition("/")[0] for path in (layer.path for layer in layers)}
    found = list(cells)
    for layer in layers:
        if layer.path not in inside and (layer.roles or layer.path not in holders):
            roles, path = {role.name: role for role in layer.roles}, called.get(layer.path, layer.path)
            found += cells_of(layer, roles, path) or plain(layer, roles, path)
    return _in_company(found)


def _in_company(found: Sequence[Unit]) -> list[Unit]:
    """Return units of which what stands alone is no part of an attention: a value may be that of a state, a key that of a memory.

    What stands beside two of query, key and value and is called the output is that of an attention, whatever that is called.
    """
    beside: dict[str, set[str]] = {}
    for unit in found:
        if unit.part in _TRIO:
            beside.setdefault(unit.home, set()).add(unit.part)
    return [unit._replace(part=_part(unit, beside.get(unit.home, set()))) for unit in found]


def _part(unit: Unit, beside: set[str]) -> str:
    if unit.part in _TRIO:
        return unit.part if len(beside) > 1 else ""
    is_out = len(beside) > 1 and unit.kind == "dense" and parse(unit.path.rpartition("/")[2]).words == ("out",)
    return "out" if is_out else unit.part


def joined(found: Sequence[Unit], others: Sequence[Unit]) -> list[Unit]:
    """Return units in which query, key and value are one where the other model has them as one.

    It has if one of its layers says so, or if it has as many layers of that size, whatever they are called, as this model has of
    query, key and value, which it has not itself, while this model has no layer of that size.
    """
    wholes, theirs = _wholes(found), Counter(map(_size, _wholes(others)))
    named = {size for unit in others if unit.fused for size in (unit.shape, unit.size) if size}
    own, other = (Counter(_size(unit) for unit in side if unit.kind == "dense") for side in (found, others))
    count = Counter(map(_size, wholes))
    gone: dict[Unit, Unit | None] = {}
    for whole, trio in wholes.items():
        size = _size(whole)
        if size in named or (count[size] == other[size] and not own[size] and not theirs[size]):
            gone |= dict.fromkeys(trio)
            gone[trio[0]] = whole
    return [unit for unit in (gone.get(unit, unit) for unit in found) if unit is not None]


def _wholes(found: Sequence[Unit]) -> dict[Unit, list[Unit]]:
    """Return query, key and value as one, and what they are."""
    trios: dict[str, dict[str, Unit]] = {}
    for unit in found:
        if unit.part in _TRIO and unit.kind == "dense":
            trios.setdefault(unit.path.rpartition("/")[0], {})[unit.part] = unit
    ordered = [[trio[part] for part in _TRIO] for trio in trios.values() if len(trio) == len(_TRIO)]
    return {_whole(trio): trio for trio in ordered}


def _size(unit: Unit) -> tuple[int, ...] | int | None:
    return unit.shape or unit.size


def _whole(trio: Sequence[Unit]) -> Unit:
    first = trio[0]
    shapes = [unit.shape for unit in trio if unit.shape is not None]
    shape = (shapes[0][0], sum(shape[-1] for shape in shapes)) if len(shapes) == len(trio) else None
    words = tuple("qkv" if word == "query" else word for word in first.name.words)
    orders = [unit.order for unit in trio if unit.order is not None]
    members = tuple(member for unit in trio for member in unit.members)
    size = sum(unit.size or 0 for unit in trio) or None
    width = sum(unit.width or 0 for unit in trio) or None
    name, order = Name(words, first.name.numbers), min(orders, default=None)
    return Unit(members, "dense", shape, size, name, order, first.bias, width, fused=True, part="qkv")
