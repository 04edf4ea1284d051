"""Where the boxes of a layer stand: a least-squares fit to what they are joined with, without changing their order."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multiboard.graph.layering import Edge, Layering

GAP: Final = 16.0
"""Pixels between two boxes of a layer."""
_FITS: Final = 60
_PULLS: Final = (1.0, 2.0, 20.0)
"""How much a piece of a line wants to be straight: between two boxes, at one bend, between two bends."""
_CHAIN: Final = 20.0
"""The same between two boxes that have no other line there."""


def align(layering: Layering) -> list[float]:
    """Return the middle of each vertex, in pixels from an arbitrary line to the right."""
    return _Alignment(layering).positions()


class _Alignment:
    def __init__(self, of: Layering) -> None:
        self._of = of
        self._x = [0.0] * len(of.level)

    def positions(self) -> list[float]:
        for layer in self._of.layers:
            self._fit(layer, dict.fromkeys(layer, (0.0, 1.0)))
        for fit in range(_FITS):
            self._sweep(down=fit % 2 == 0, both=fit >= _FITS // 2)
        for run in self._runs():
            self._straighten(run)
        return self._x

    def _sweep(self, *, down: bool, both: bool) -> None:
        for layer in self._of.layers if down else reversed(self._of.layers):
            self._fit(layer, {vertex: self._wish(vertex, up=both or down, down=both or not down) for vertex in layer})

    def _runs(self) -> list[list[tuple[int, float]]]:
        """Return vertices in a row that want to be in line, and where each is off it by the places of its lines."""
        runs: list[list[tuple[int, float]]] = []
        behind: dict[int, list[tuple[int, float]]] = {}
        for edge in sorted(self._of.edges, key=lambda edge: (self._of.level[edge.upper], edge)):
            if self._pull(edge) < _CHAIN:
                continue
            if edge.upper not in behind:
                behind[edge.upper] = [(edge.upper, 0.0)]
                runs.append(behind[edge.upper])
            run = behind[edge.upper]
            if run[-1][0] == edge.upper and edge.lower not in behind:
                run.append((edge.lower, run[-1][1] + edge.leaves - edge.enters))
                behind[edge.lower] = run
        return runs

    def _straighten(self, run: list[tuple[int, float]]) -> None:
        """Move a row of vertices into one line, if there is room."""
        low, high = float("-inf"), float("inf")
        for vertex, off in run:
            left, right = self._room(vertex)
            low, high = max(low, left - off), min(high, right - off)
        if low <= high:
            line = min(max(sum(self._x[vertex] - off for vertex, off in run) / len(run), low), high)
            for vertex, off in run:
                self._x[vertex] = line + off

    def _room(self, vertex: int) -> tuple[float, float]:
        layer = self._of.layers[self._of.level[vertex]]
        at = layer.index(vertex)
        low = self._x[layer[at - 1]] + self._apart(layer[at - 1], vertex) if at else float("-inf")
        high = self._x[layer[at + 1]] - self._apart(vertex, layer[at + 1]) if at + 1 < len(layer) else float("inf")
        return low, high

    def _apart(self, left: int, right: int) -> float:
        return (self._of.widths[left] + self._of.widths[right]) / 2 + GAP

    def _wish(self, vertex: int, *, up: bool, down: bool) -> tuple[float, float]:
        """Return where a vertex wants to be, and how much."""
        total = weight = 0.0
        for edge in self._of.upper[vertex] if up else ():
            pull = self._pull(edge)
            total += pull * (self._x[edge.upper] + edge.leaves - edge.enters)
            weight += pull
        for edge in self._of.lower[vertex] if down else ():
            pull = self._pull(edge)
            total += pull * (self._x[edge.lower] + edge.enters - edge.leaves)
            weight += pull
        return (total / weight, weight) if weight else (self._x[vertex], 0.1)

    def _pull(self, edge: Edge) -> float:
        bends = (edge.upper >= len(self._of.sizes)) + (edge.lower >= len(self._of.sizes))
        only = len(self._of.lower[edge.upper]) == 1 and len(self._of.upper[edge.lower]) == 1
        return _CHAIN if only and not bends else _PULLS[bends]

    def _fit(self, layer: list[int], wishes: dict[int, tuple[float, float]]) -> None:
        offsets = [0.0]
        for left, right in itertools.pairwise(layer):
            offsets.append(offsets[-1] + self._apart(left, right))
        wanted = [(wishes[vertex][0] - offset, wishes[vertex][1]) for vertex, offset in zip(layer, offsets, strict=True)]
        for vertex, offset, shift in zip(layer, offsets, _rising(wanted), strict=True):
            self._x[vertex] = shift + offset


def _rising(wanted: Iterable[tuple[float, float]]) -> list[float]:
    """Return the rising numbers nearest to those wanted, by weighted squares (pool adjacent violators).

    >>> _rising([(0.0, 1.0), (4.0, 1.0), (2.0, 1.0)])
    [0.0, 3.0, 3.0]
    """
    blocks: list[tuple[float, float, int]] = []
    for value, weight in wanted:
        block = (value, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, total, count = blocks.pop()
            together = total + block[1]
            block = ((mean * total + block[0] * block[1]) / together, together, count + block[2])
        blocks.append(block)
    return [mean for mean, _, count in blocks for _ in range(count)]
