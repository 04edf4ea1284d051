"""Which layer of one model belongs to which of another."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from multiboard.graph.summary import SummaryRow

_MOST_PAIRS: Final = 1_000_000
"""Pairs of rows beyond which the longest common sequence would take minutes: the first then belongs to the first."""


def partners(ours: Sequence[SummaryRow], theirs: Sequence[SummaryRow]) -> dict[int, int]:
    """Return the number of the partner in the second table by that in the first, for rows that have one.

    Rows of one path belong together, then those whose paths have the same words, then those of one class inside of what belongs
    together: first with the same number of parameters, then with any, in the longest sequences that both have.
    """
    return _Partners(ours, theirs).of


class _Partners:
    """Which row of the second table belongs to which of the first."""

    def __init__(self, ours: Sequence[SummaryRow], theirs: Sequence[SummaryRow]) -> None:
        self.of: dict[int, int] = {}
        self._ours, self._theirs = ours, theirs
        self._models = [_models(ours), _models(theirs)]
        self._match(_key)
        self._match(_tokens)
        self._match_order(lambda row: (row.op, row.own_params, row.own_buffers))
        self._match_order(lambda row: row.op)

    def _left(self) -> tuple[list[int], list[int]]:
        taken = set(self.of.values())
        ours = [at for at in range(len(self._ours)) if at not in self.of]
        return ours, [at for at in range(len(self._theirs)) if at not in taken]

    def _match(self, key: Callable[[SummaryRow, int], Hashable]) -> None:
        """Join what has the same key, the first with the first."""
        ours, theirs = self._left()
        known: dict[Hashable, list[int]] = {}
        for at in reversed(theirs):
            known.setdefault(key(self._theirs[at], self._models[1][self._theirs[at].model]), []).append(at)
        for at in ours:
            found = known.get(key(self._ours[at], self._models[0][self._ours[at].model]))
            if found:
                self.of[at] = found.pop()

    def _match_order(self, key: Callable[[SummaryRow], Hashable]) -> None:
        ours, theirs = self._left()
        if len(ours) * len(theirs) > _MOST_PAIRS:
            self._match(lambda row, _: key(row))
            return
        known = dict(zip(self.of.values(), self.of.values(), strict=True))
        left, right = _homes(self._ours, self.of), _homes(self._theirs, known)
        keys = [(left[at], key(self._ours[at])) for at in ours], [(right[at], key(self._theirs[at])) for at in theirs]
        matcher = SequenceMatcher(None, *keys, False)
        for block in matcher.get_matching_blocks():
            for step in range(block.size):
                self.of[ours[block.a + step]] = theirs[block.b + step]


def _homes(rows: Sequence[SummaryRow], known: Mapping[int, int]) -> list[int]:
    """Return what is known of the innermost row above each that something is known of; -1 if there is none."""
    homes: list[int] = []
    above: list[tuple[int, int]] = [(-1, -1)]
    for at, row in enumerate(rows):
        while above[-1][0] >= row.depth:
            above.pop()
        homes.append(above[-1][1])
        above.append((row.depth, known.get(at, above[-1][1])))
    return homes


def _models(rows: Sequence[SummaryRow]) -> dict[str, int]:
    """Return the models of a table by their order: they may have other names and the same layers."""
    return {model: number for number, model in enumerate(dict.fromkeys(row.model for row in rows))}


def _key(row: SummaryRow, model: int) -> Hashable:
    return model, row.path


def _tokens(row: SummaryRow, model: int) -> Hashable:
    """Return what 'blocks_0/attn' and 'blocks/0/attn' share."""
    return model, words_of(row.path)


def words_of(path: str) -> tuple[str, ...]:
    """Return the parts of a path, however the framework joins them.

    >>> words_of("blocks_0/attn") == words_of("blocks/0/attn")
    True
    """
    return tuple(word for word in re.split(r"[/._]+", path) if word)
