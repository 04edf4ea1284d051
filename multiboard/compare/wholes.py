"""What one model has as one layer and the other as several of one shape, or as a bare parameter: read as the other has it.

Experts and members of an ensemble are stacked in one tensor, and so are the layers that a loop runs through; key and value, or a
gate and what it lets through, lie side by side. It is believed only if both models then have as many layers of each size.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import combinations
from typing import TYPE_CHECKING, Final, TypeAlias

from multiboard.compare.tokens import Name, ranked

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from multiboard.compare.signatures import Unit

    Named: TypeAlias = tuple[Unit, Name]
    Reading: TypeAlias = tuple[str, tuple[int, ...]]
    Key: TypeAlias = Reading | tuple[str, int | None]
    Family: TypeAlias = frozenset[tuple[Unit, ...]]
    """Groups of layers that would be one each, all of one size."""

_PAIR: Final = frozenset({"key", "value"})
_JOINED: Final = frozenset({"dense", "conv", "norm"})
"""Kinds of layers of which one may stand for several."""
_MATRIX: Final = 2


def gathered(found: Sequence[Unit], others: Sequence[Unit]) -> list[Unit]:
    """Return units in which several of one shape are one where the other model has them as one."""
    own, theirs = Counter(map(_key, found)), Counter(map(_key, others))
    read = Counter(key for unit in others for key in {_key(unit), *_readings(unit)})
    ways: dict[Key, set[Family]] = defaultdict(set)
    for family in _families(_candidates(found, theirs)):
        if _fits(family, own, theirs, read):
            ways[_key(_whole(next(iter(family))))].add(family)
    told: dict[Unit, Unit | None] = {}
    for units in (units for families in ways.values() if len(families) == 1 for family in families for units in family):
        if told.keys().isdisjoint(units):
            told |= dict.fromkeys(units) | {units[0]: _whole(units)}
    kept = [unit for unit in (told.get(unit, unit) for unit in found) if unit is not None]
    return gathered(kept, others) if told else kept


def fitted(found: Sequence[Unit], others: Sequence[Unit]) -> list[Unit]:
    """Return units of which those that the other model has none like are read as what it has more of."""
    own, theirs = Counter(map(_key, found)), Counter(map(_key, others))
    read: dict[Reading, list[Unit]] = defaultdict(list)
    for unit in found:
        for key in dict.fromkeys(_readings(unit)) if _key(unit) not in theirs else ():
            read[key].append(unit)
    told: dict[Unit, Unit] = {}
    for (kind, shape), units in read.items():
        if theirs[kind, shape] - own[kind, shape] == len(units):
            told = {unit: unit._replace(kind=kind, shape=shape) for unit in units} | told
    return [told.get(unit, unit) for unit in found]


def _key(unit: Unit) -> Key:
    return (unit.kind, unit.size) if unit.shape is None else (unit.kind, unit.shape)


def _readings(unit: Unit) -> Iterator[Reading]:
    """Yield what else a bare parameter may be, or a kernel of more axes than two: what goes in need not stand in front."""
    axes = unit.axes
    if unit.kind == "raw" and len(axes) == 1:
        yield "norm", axes
    elif unit.kind == "raw" and len(axes) == _MATRIX:
        yield from (("embed", axes), ("dense", axes), ("dense", axes[::-1]))
    elif len(axes) > _MATRIX:
        for count in range(1, len(axes)):
            for inner in combinations(axes[:-1], count):
                size = math.prod(inner)
                yield "dense", (size, math.prod(axes) // size)


def _candidates(found: Sequence[Unit], theirs: Mapping[Key, int]) -> list[Named]:
    """Return layers of which the other model has fewer, with their names."""
    own = Counter(map(_key, found))
    if not any(unit.kind in _JOINED and own[_key(unit)] > theirs[_key(unit)] for unit in found):
        return []
    names = ranked((unit.name, unit.kind) for unit in found)
    named = sorted(zip(found, names, strict=True), key=lambda one: one[1])
    return [(unit, name) for unit, name in named if unit.kind in _JOINED and own[_key(unit)] > theirs[_key(unit)] and unit.size]


def _families(named: Sequence[Named]) -> Iterator[Family]:
    """Yield what may be one: key and value, what stands in one container, or what differs in nothing but a number.

    Of two numbers the inner one is that of the layers in one tensor: experts are stacked before blocks are.
    """
    yield from _by_size(_groups((unit, unit.home) for unit, _ in named if unit.part in _PAIR)).values()
    yield from _by_size(_groups((unit, (unit.home, unit.part)) for unit, _ in named)).values()
    numbered: dict[Key, Family] = defaultdict(frozenset)
    for depth in range(1, max((len(name.words) for _, name in named), default=0) + 1):
        masked = ((unit, _without_number(name, depth)) for unit, name in named if depth <= len(name.words))
        for size, groups in _by_size(_groups(masked)).items():
            known = {unit for units in numbered[size] for unit in units}
            numbered[size] |= {units for units in groups if not known.intersection(units)}
            yield numbered[size]


def _without_number(name: Name, depth: int) -> Hashable:
    at = len(name.words) - depth
    return name.words, name.numbers[:at], name.numbers[at + 1 :]


def _groups(told: Iterable[tuple[Unit, Hashable]]) -> list[tuple[Unit, ...]]:
    """Return layers of one size of which the same is told, if there are several."""
    found: dict[Hashable, list[Unit]] = defaultdict(list)
    for unit, what in told:
        found[_key(unit), what].append(unit)
    return [tuple(units) for units in found.values() if len(units) > 1]


def _by_size(groups: Iterable[tuple[Unit, ...]]) -> dict[Key, Family]:
    found: dict[Key, Family] = defaultdict(frozenset)
    for units in groups:
        found[_key(_whole(units))] |= {units}
    return found


def _fits(family: Family, own: Mapping[Key, int], theirs: Mapping[Key, int], read: Mapping[Key, int]) -> bool:
    """Return whether both models have as many layers of each size if groups of layers are one each."""
    size = _key(_whole(next(iter(family))))
    parts = Counter(_key(unit) for units in family for unit in units)
    return not own[size] and read[size] == len(family) and all(own[key] - count == theirs[key] for key, count in parts.items())


def _whole(units: Sequence[Unit]) -> Unit:
    first, count = units[0], len(units)
    orders = [unit.order for unit in units if unit.order is not None]
    return first._replace(
        members=tuple(member for unit in units for member in unit.members),
        shape=first.shape and (*first.shape[:-1], first.shape[-1] * count),
        size=first.size and first.size * count,
        width=first.width and first.width * count,
        name=_shared([unit.name for unit in units]),
        order=min(orders, default=None),
        part="",
        axes=(),
    )


def _shared(names: Sequence[Name]) -> Name:
    """Return the words that all names have, and of each the number that all have."""
    first = names[0]
    both = frozenset.intersection(*(frozenset(zip(name.words, name.numbers, strict=True)) for name in names))
    words = frozenset.intersection(*(frozenset(name.words) for name in names))
    kept = [(word, number) for word, number in zip(first.words, first.numbers, strict=True) if word in words]
    kept = [(word, number if (word, number) in both else -1) for word, number in kept] or [("item", -1)]
    return Name(tuple(word for word, _ in kept), tuple(number for _, number in kept))
