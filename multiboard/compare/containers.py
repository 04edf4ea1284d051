"""Containers of layers belong together when they hold layers that do."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from multiboard.compare.tokens import likenesses, parse
from multiboard.compare.weighing import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from multiboard.compare.align import Pair
    from multiboard.compare.layer_table import Layer
    from multiboard.compare.weighing import Level

HELD: Final = "hold the same layers"


def pairs(a: Sequence[Layer], b: Sequence[Layer], found: Sequence[Pair]) -> Iterator[tuple[str, str, Level, tuple[str, ...]]]:
    """Return containers of both models that hold the same of the layers that were found to belong together.

    Args:
        a: layers of the first model.
        b: layers of the second.
        found: layers that belong together; containers among them are left as they are.
    """
    known = {pair.a for pair in found if pair.evidence == ("map",)}, {pair.b for pair in found if pair.evidence == ("map",)}
    ours = _contents(a, [pair.a for pair in found], known[0])
    theirs = _contents(b, [pair.b for pair in found], known[1])
    at: dict[frozenset[int], list[str]] = defaultdict(list)
    for path, inside in theirs.items():
        at[inside].append(path)
    grouped: dict[frozenset[int], list[str]] = defaultdict(list)
    for path, inside in ours.items():
        grouped[inside].append(path)
    for inside, left in grouped.items():
        level = max((found[number].level for number in inside), key=LEVELS.index)
        level = level if level == "guess" else "agreed"
        for mine, other in _nested(left, at.get(inside, [])):
            yield mine, other, level, (HELD,)


def _contents(table: Sequence[Layer], paired: Iterable[str], known: set[str]) -> dict[str, frozenset[int]]:
    """Return the numbers of the pairs in each container."""
    inside: dict[str, set[int]] = defaultdict(set)
    for number, path in enumerate(paired):
        at = len(path)
        inside[path].add(number)
        while (at := path.rfind("/", 0, at)) > 0:
            inside[path[:at]].add(number)
    holders = {path[:at] for path in (layer.path for layer in table) for at, char in enumerate(path) if char == "/"}
    listed = {layer.path for layer in table} & holders
    return {path: frozenset(numbers) for path, numbers in inside.items() if path in listed and path not in known}


def _nested(left: list[str], right: list[str]) -> Iterator[tuple[str, str]]:
    """Return pairs of containers that hold the same, one inside of the other: by depth, or by name if one side has more."""
    left, right = (sorted(side, key=lambda path: path.count("/")) for side in (left, right))
    if len(left) == len(right):
        yield from zip(left, right, strict=True)
    elif left and right:
        few, many = sorted((left, right), key=len)
        for path in few:
            nearest = likenesses([parse(path).words], [parse(other).words for other in many])
            best = many.pop(int(nearest.argmax()))
            yield (path, best) if few is left else (best, path)
