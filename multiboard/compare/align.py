"""Which layer of one run belongs to which of another, how sure that is, and why.

Only layers of one signature may belong together. Inside of a signature names, numbers, call order and place each name partners on
their own; what two of them agree on is trusted, what only one says is a guess, and guesses are told as such.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from multiboard.compare import containers
from multiboard.compare.evidence import MAP
from multiboard.compare.units import joined, units
from multiboard.compare.weighing import LEVELS, Level, Partners
from multiboard.compare.wholes import fitted, gathered
from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from multiboard.compare.layer_table import Layer
    from multiboard.compare.signatures import Unit

__all__ = ["LEVELS", "Alignment", "Level", "Pair", "align"]


class Pair(NamedTuple):
    """Two layers that belong together.

    Attributes:
        a: path in the first model; it comes in several pairs if the second has several layers in its place.
        b: path in the second model.
        level: 'certain' by the map, equal weights, the same path, or signature and name; 'agreed' if two kinds of evidence
            choose this partner and none another, if both are the only ones of their shape, or if all layers of the signature have
            the same names in both models; 'guess' otherwise.
        evidence: what chose this partner, and what speaks against it.
    """

    a: str
    b: str
    level: Level
    evidence: tuple[str, ...]


class Alignment(NamedTuple):
    """The layers of two models.

    Attributes:
        pairs: in the order of the first model.
        only_a: layers of the first model without a partner.
        only_b: layers of the second model without a partner.
    """

    pairs: tuple[Pair, ...]
    only_a: tuple[Layer, ...]
    only_b: tuple[Layer, ...]


def align(
    a: Sequence[Layer],
    b: Sequence[Layer],
    *,
    layers: Mapping[str, str] | None = None,
    equal: Callable[[tuple[str, ...], tuple[str, ...]], bool] | None = None,
    paths: bool = False,
) -> Alignment:
    """Return which layers of two models belong together.

    Args:
        a: layers of the first model, as `layer_table` returns them.
        b: those of the second.
        layers: paths of the second model by paths of the first, which belong together whatever else is known; what is below a
            mapped container is looked for below its partner first.
        equal: tells whether two layers hold the same weights, by their paths: several if the other model has them as one.
        paths: layers of one path and shape belong together, also where a number is all that tells them apart: so it is in two
            versions of one program.

    Raises:
        ArgumentError: a path of the map is in neither table.
    """
    mapped = dict(layers or {})
    _check_map(mapped, a, b)
    ours, theirs = units(a, _renamed(a, mapped)), units(b, {})
    for read in (joined, gathered, fitted):
        ours, theirs = read(ours, theirs), read(theirs, ours)
    match = Partners(ours, theirs)
    for mine, other in mapped.items():
        match.settle(mine, other)
    if equal:
        match.add_weights(equal)
    if paths:
        match.trust_paths()
    match.choose()
    found = list(_pairs(match, mapped))
    found += [Pair(*one) for one in containers.pairs(a, b, found)]
    return _alignment(a, b, ours, theirs, found)


def all_paths(table: Iterable[Layer]) -> set[str]:
    """Return the paths of layers and of the containers that hold them."""
    paths = {layer.path for layer in table}
    return paths | {path[:at] for path in paths for at, char in enumerate(path) if char == "/"}


def _check_map(mapped: Mapping[str, str], a: Sequence[Layer], b: Sequence[Layer]) -> None:
    for table, paths in ((a, mapped.keys()), (b, mapped.values())):
        known = all_paths(table)
        for path in paths:
            if path not in known:
                near = get_close_matches(path, known, n=3)
                hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "see the paths that layer_table() returns"
                raise ArgumentError("layers", path, f"name a layer of the run; {hint}")


def _renamed(table: Sequence[Layer], mapped: Mapping[str, str]) -> dict[str, str]:
    """Return paths by the words of the second model as far as the map tells, the longest mapped container first."""
    renamed = {}
    for layer in table:
        heads = [head for head in mapped if layer.path == head or layer.path.startswith(f"{head}/")]
        if heads:
            head = max(heads, key=len)
            renamed[layer.path] = mapped[head] + layer.path[len(head) :]
    return renamed


def _pairs(match: Partners, mapped: Mapping[str, str]) -> Iterator[Pair]:
    told = set()
    for mine, other, level, evidence in match.pairs():
        for left, right in _members(mine, other):
            if (left, right) not in told:
                told.add((left, right))
                yield Pair(left, right, level, evidence)
    for left, right in mapped.items():
        if (left, right) not in told:
            yield Pair(left, right, "certain", (MAP,))


def _members(mine: Unit, other: Unit) -> Iterator[tuple[str, str]]:
    """Return pairs of layers: one to one if both models split them alike, otherwise each with each."""
    if len(mine.members) == len(other.members):
        yield from zip(mine.members, other.members, strict=True)
    else:
        yield from ((left, right) for left in mine.members for right in other.members)


def _alignment(
    a: Sequence[Layer], b: Sequence[Layer], ours: Sequence[Unit], theirs: Sequence[Unit], found: Sequence[Pair]
) -> Alignment:
    at = {layer.path: number for number, layer in enumerate(a)}
    ordered = sorted(found, key=lambda pair: at.get(pair.a, len(at)))
    left, right = {pair.a for pair in found}, {pair.b for pair in found}
    lone_a = {member for unit in ours for member in unit.members} - left
    lone_b = {member for unit in theirs for member in unit.members} - right
    return Alignment(
        tuple(ordered),
        tuple(layer for layer in a if layer.path in lone_a),
        tuple(layer for layer in b if layer.path in lone_b),
    )
