"""What the order of calls says: the longest common sequence of two models, and which layers stand between the same ones."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    import numpy.typing as npt


def sure_common(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the positions that belong together in every longest common sequence, as far as two opposite ones tell.

    >>> sure_common("abc", "xabyc"), sure_common("aa", "a")
    ([(0, 1), (1, 2), (2, 4)], [])
    """
    if not a or not b:
        return []
    numbers = {symbol: number for number, symbol in enumerate(dict.fromkeys([*a, *b]))}
    left, right = (np.array([numbers[symbol] for symbol in side]) for side in (a, b))
    first = _common(left, right)
    n, m = len(left), len(right)
    last = {(n - 1 - i, m - 1 - j) for i, j in _common(left[::-1], right[::-1])}
    return [pair for pair in first if pair in last]


def _common(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the common sequence whose members come latest."""
    lengths = np.zeros((len(a) + 1, len(b) + 1), np.int32)
    for i, symbol in enumerate(a):
        with_it = np.where(b == symbol, lengths[i, :-1] + 1, 0)
        lengths[i + 1, 1:] = np.maximum.accumulate(np.maximum(lengths[i, 1:], with_it))
    i, j, found = len(a), len(b), []
    while i and j:
        if a[i - 1] == b[j - 1] and lengths[i, j] == lengths[i - 1, j - 1] + 1:
            found.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif lengths[i - 1, j] >= lengths[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return found[::-1]


def repeats(symbols: Sequence[Hashable]) -> set[int]:
    """Return the positions in sequences that come twice or more, one directly behind the other.

    >>> sorted(repeats("xababyy"))
    [1, 2, 3, 4, 5, 6]
    """
    numbers = {symbol: number for number, symbol in enumerate(dict.fromkeys(symbols))}
    given = np.array([numbers[symbol] for symbol in symbols])
    found = np.zeros(len(given) + 1, np.int64)
    for period in range(1, len(given) // 2 + 1):
        same = np.flatnonzero(np.diff(given[period:] == given[:-period], prepend=False, append=False))
        for begin, end in same.reshape(-1, 2).tolist():
            if end - begin >= period:
                found[begin] += 1
                found[end + period] -= 1
    return set(np.flatnonzero(np.cumsum(found)[:-1]).tolist())


def rising(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the most pairs that rise on both sides.

    >>> rising([(0, 5), (1, 0), (2, 1)])
    [(1, 0), (2, 1)]
    """
    ordered = sorted(pairs, key=lambda pair: (pair[0], -pair[1]))
    ends: list[int] = []
    tails: list[int] = []
    before: list[int] = []
    for number, (_, second) in enumerate(ordered):
        at = bisect_left(ends, second)
        ends[at : at + 1], tails[at : at + 1] = [second], [number]
        before.append(tails[at - 1] if at else -1)
    number, found = tails[-1] if tails else -1, []
    while number >= 0:
        found.append(ordered[number])
        number = before[number]
    return found[::-1]
