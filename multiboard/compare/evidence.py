"""What speaks for a pair of layers: each kind of evidence names partners on its own, or keeps silent."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard.compare.sequences import repeats, rising, sure_common
from multiboard.compare.tokens import CLASS_WORDS, likenesses

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from multiboard.compare.signatures import Unit
    from multiboard.compare.tokens import Name

PATH: Final = "path"
NAMES: Final = "names"
NUMBERS: Final = "numbers"
CALLS: Final = "call order"
SEQUENCE: Final = "one sequence of calls"
PLACE: Final = "place between the same layers"
SHAPE: Final = "shape"
WEIGHTS: Final = "equal weights"
MAP: Final = "map"


def paths(a: Sequence[Unit], b: Sequence[Unit]) -> Iterator[tuple[int, int]]:
    """Return units of the same paths."""
    at = {(unit.members, unit.name): number for number, unit in enumerate(b)}
    for number, unit in enumerate(a):
        if (unit.members, unit.name) in at:
            yield number, at[unit.members, unit.name]


def names(a: Sequence[Name], b: Sequence[Name]) -> Iterator[tuple[int, int, str]]:
    """Return partners by name and whether the words chose them or only the numbers.

    Layers whose names have the same words stand in a row by their numbers. Rows of both models belong together if they are as
    long and each is the other's only nearest in its words.
    """
    ours, theirs = _rows(a), _rows(b)
    alone = len(ours) == len(theirs) == 1
    for mine, other in zip(ours, theirs, strict=True) if alone else _nearest(list(ours), list(theirs)):
        left, right = ours[mine], theirs[other]
        told = frozenset(mine) - CLASS_WORDS, frozenset(other) - CLASS_WORDS
        shared = bool(told[0] & told[1]) or mine == other or (not any(told) and not alone)
        if not shared and not alone and all(told):
            continue
        if len(left) == len(right):
            kind = NAMES if shared and (len(left) == 1 or not _by_leaf(a, left, b, right)) else NUMBERS
            yield from ((i, j, kind) for i, j in zip(left, right, strict=True))
        elif mine == other:
            yield from _same_numbers(a, left, b, right)


def _rows(given: Sequence[Name]) -> dict[tuple[str, ...], list[int]]:
    """Return the positions of names by their words, in the order of their numbers; rows with ties are left out."""
    rows: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, name in enumerate(given):
        rows[name.words].append(number)
    for words, row in list(rows.items()):
        row.sort(key=lambda number: given[number].numbers)
        if len({given[number].numbers for number in row}) < len(row):
            del rows[words]
    return rows


def _nearest(ours: list[tuple[str, ...]], theirs: list[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the words of rows that are each other's only nearest."""
    table = likenesses(ours, theirs).round(6)
    for i, mine in enumerate(ours):
        best = table[i].max(initial=0.0)
        j = int(np.argmax(table[i])) if best > 0 else -1
        if j >= 0 and (table[i] == best).sum() == (table[:, j] >= best).sum() == 1:
            yield mine, theirs[j]


def _by_leaf(a: Sequence[Name], left: Sequence[int], b: Sequence[Name], right: Sequence[int]) -> bool:
    """Return whether names of a row differ in the number of a layer itself, as names do that nobody chose."""
    return any(len({side[number].numbers[:-1] for number in row}) < len(row) for side, row in ((a, left), (b, right)))


def _same_numbers(a: Sequence[Name], left: list[int], b: Sequence[Name], right: list[int]) -> Iterator[tuple[int, int, str]]:
    at = {b[number].numbers: number for number in right}
    for number in left:
        if a[number].numbers in at:
            yield number, at[a[number].numbers], NUMBERS


def calls(a: Sequence[Unit], keys_a: Sequence[Hashable], b: Sequence[Unit], keys_b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return partners by the order of the first calls; none if it is not known of both."""
    ours, theirs = _called(a), _called(b)
    common = sure_common([keys_a[number] for number in ours], [keys_b[number] for number in theirs])
    return [(ours[i], theirs[j]) for i, j in common]


def sequence(
    a: Sequence[Unit], keys_a: Sequence[Hashable], b: Sequence[Unit], keys_b: Sequence[Hashable]
) -> Iterator[tuple[int, int]]:
    """Return partners if both models call the same signatures one after the other, from the first to the last.

    What is repeated at once keeps silent: branches side by side may be called in any order.
    """
    ours, theirs = _called(a), _called(b)
    called = [keys_a[number] for number in ours]
    if called == [keys_b[number] for number in theirs] and len(ours) == _weighty(a) == _weighty(b):
        repeated = repeats(called)
        yield from ((i, j) for at, (i, j) in enumerate(zip(ours, theirs, strict=True)) if at not in repeated)


def _weighty(side: Sequence[Unit]) -> int:
    return sum(unit.shape != () for unit in side)


def _called(side: Sequence[Unit]) -> list[int]:
    known = [(unit.order, number) for number, unit in enumerate(side) if unit.order is not None and unit.shape != ()]
    return [number for _, number in sorted(known)]


def places(
    a: Sequence[Unit], keys_a: Sequence[Hashable], b: Sequence[Unit], keys_b: Sequence[Hashable], known: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Return units that are the only ones of their signature between layers that are known to belong together."""
    settled = [(i, j, a[i].order, b[j].order) for i, j in known]
    fixed = rising((left, right) for _, _, left, right in settled if left is not None and right is not None)
    taken = {i for i, *_ in settled}, {j for _, j, *_ in settled}
    ours = _between(a, keys_a, taken[0], [left for left, _ in fixed])
    theirs = _between(b, keys_b, taken[1], [right for _, right in fixed])
    for slot, numbers in ours.items():
        if len(numbers) == len(theirs.get(slot, ())) == 1:
            yield numbers[0], theirs[slot][0]


def neighbours(
    a: Sequence[Unit], keys_a: Sequence[Hashable], b: Sequence[Unit], keys_b: Sequence[Hashable], known: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Return norms of one signature that are called right behind kernels that are known to belong together, and the reverse."""
    behind_a, behind_b = (dict(_normed(side)) for side in (a, b))
    before_a, before_b = ({norm: kernel for kernel, norm in behind.items()} for behind in (behind_a, behind_b))
    for i, j in known:
        for ours, theirs in ((behind_a, behind_b), (before_a, before_b)):
            if i in ours and j in theirs and keys_a[ours[i]] == keys_b[theirs[j]]:
                yield ours[i], theirs[j]


def _normed(side: Sequence[Unit]) -> Iterator[tuple[int, int]]:
    """Return kernels and the norms that are called right behind them."""
    for first, second in pairwise(_called(side)):
        if side[first].kind in {"dense", "conv"} and side[second].kind == "norm":
            yield first, second


def _between(side: Sequence[Unit], keys: Sequence[Hashable], taken: set[int], fixed: list[int]) -> dict[Hashable, list[int]]:
    slots: dict[Hashable, list[int]] = defaultdict(list)
    for number, unit in enumerate(side):
        if number not in taken and unit.order is not None:
            slots[keys[number], bisect_left(fixed, unit.order)].append(number)
    return slots


def same_names(a: Sequence[Name], b: Sequence[Name]) -> dict[int, int]:
    """Return who is who if the names of layers of one signature are the same on both sides, up to what all of a side share.

    Nothing if two names are alike, or differ by nothing but a number of the layer itself.
    """
    ours, theirs = _distinct(a), _distinct(b)
    if set(ours) != set(theirs) or _crowded(a) or _crowded(b) or not all(name.told for name in (*a, *b)):
        return {}
    at = {key: number for number, key in enumerate(theirs)}
    return {i: at[key] for i, key in enumerate(ours)} if len(at) == len(ours) == len(theirs) else {}


def _distinct(given: Sequence[Name]) -> list[tuple[tuple[str, int], ...]]:
    """Return names without the words that all have, which tell nothing apart, and without the numbers that all have."""
    common = frozenset.intersection(*(frozenset(name.words) for name in given))
    pairs = frozenset.intersection(*(frozenset(zip(name.words, name.numbers, strict=True)) for name in given))
    return [
        tuple(
            ("" if word in common else word, number)
            for word, number in zip(name.words, name.numbers, strict=True)
            if (word, number) not in pairs
        )
        for name in given
    ]


def _crowded(given: Sequence[Name]) -> bool:
    crowds = Counter((name.words, name.numbers[:-1]) for name in given)
    return max(crowds.values(), default=0) > 1
