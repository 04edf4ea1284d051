"""Boxes in layers from top to bottom, with few crossings between them.

A layered drawing after Sugiyama, Tagawa and Toda (1981): boxes are put into layers along the longest path, lines over several
layers get a bend in each, and layers are ordered by barycentres. Everything is bounded and deterministic.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_BEND: Final = 10.0
"""Width of a bend, in pixels."""
_SWEEPS: Final = 8


class Size(NamedTuple):
    """A box.

    Attributes:
        width: in pixels.
        height: in pixels.
        border: 'top' or 'bottom' for an end of lines at the border of a surrounding box.
    """

    width: float
    height: float
    border: str = ""


class Link(NamedTuple):
    """A line from the bottom of a box to the top of another, by their numbers.

    Attributes:
        leaves: where, from the middle of the source to the right.
        enters: where, from the middle of the target to the right.
    """

    source: int
    target: int
    leaves: float = 0.0
    enters: float = 0.0


class Edge(NamedTuple):
    """One piece of a line, between two neighbouring layers."""

    upper: int
    lower: int
    leaves: float
    enters: float


class Layering:
    """Boxes and bends in layers; both are vertices, bends have the numbers behind those of the boxes.

    Attributes:
        widths: of the vertices.
        level: number of the layer of each vertex.
        layers: vertices from left to right, layers from top to bottom.
        chains: the vertices of each link, from top to bottom.
        edges: the pieces of all lines.
        upper: pieces that reach a vertex from above.
        lower: pieces that leave it.
    """

    def __init__(self, sizes: Sequence[Size], links: Sequence[Link]) -> None:
        self.sizes, self.links = sizes, links
        self.widths = [size.width for size in sizes]
        self.level = _levels(sizes, links)
        self.edges: dict[Edge, None] = {}
        self._bends: dict[tuple[int, float, int], int] = {}
        self.chains = [self._chain(link) for link in links]
        self.layers: list[list[int]] = [[] for _ in range(max(self.level, default=-1) + 1)]
        for vertex, level in enumerate(self.level):
            self.layers[level].append(vertex)
        self.upper: list[list[Edge]] = [[] for _ in self.level]
        self.lower: list[list[Edge]] = [[] for _ in self.level]
        for edge in self.edges:
            self.upper[edge.lower].append(edge)
            self.lower[edge.upper].append(edge)

    def _chain(self, link: Link) -> list[int]:
        """Return the vertices of a line; lines from one place share their bends."""
        link = downward(link)
        chain = [link.source]
        for level in range(self.level[link.source] + 1, self.level[link.target]):
            place = (link.source, link.leaves, level)
            if place not in self._bends:
                self._bends[place] = len(self.level)
                self.level.append(level)
                self.widths.append(_BEND)
            chain.append(self._bends[place])
        chain.append(link.target)
        last = len(chain) - 2
        for step, (upper, lower) in enumerate(itertools.pairwise(chain)):
            self.edges[Edge(upper, lower, 0.0 if step else link.leaves, link.enters if step == last else 0.0)] = None
        return chain

    def order(self) -> None:
        """Sweep down and up and keep the order with the fewest crossings."""
        best, fewest = [list(layer) for layer in self.layers], self._crossings()
        for sweep in range(_SWEEPS):
            if not fewest:
                break
            self._sweep(down=sweep % 2 == 0)
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(layer) for layer in self.layers], crossings
        self.layers = best

    def _sweep(self, *, down: bool) -> None:
        at = self._ranks()
        for layer in self.layers if down else reversed(self.layers):
            means = {vertex: self._mean_rank(vertex, at, down=down) for vertex in layer}
            layer.sort(key=lambda vertex: means[vertex])
            for rank, vertex in enumerate(layer):
                at[vertex] = rank

    def _mean_rank(self, vertex: int, at: list[float], *, down: bool) -> float:
        ends = [_rank(edge, at, self.widths, down) for edge in (self.upper if down else self.lower)[vertex]]
        return sum(ends) / len(ends) if ends else at[vertex]

    def _ranks(self) -> list[float]:
        at = [0.0] * len(self.level)
        for layer in self.layers:
            for rank, vertex in enumerate(layer):
                at[vertex] = rank
        return at

    def _crossings(self) -> int:
        at = self._ranks()
        total = 0
        for layer in self.layers:
            edges = [edge for vertex in layer for edge in self.lower[vertex]]
            ends = [_rank(edge, at, self.widths, False) for edge in sorted(edges, key=lambda e: _rank(e, at, self.widths, True))]
            total += sum(left > right for place, left in enumerate(ends) for right in ends[place + 1 :])
        return total


def downward(link: Link) -> Link:
    """Return a link from the earlier to the later box."""
    return link if link.source < link.target else Link(link.target, link.source, link.enters, link.leaves)


def _rank(edge: Edge, at: list[float], widths: list[float], upper: bool) -> float:
    """Return where an end of a piece lies, in ranks: a box is one wide."""
    vertex, offset = (edge.upper, edge.leaves) if upper else (edge.lower, edge.enters)
    return at[vertex] + offset / (widths[vertex] + 1)


def _levels(sizes: Sequence[Size], links: Sequence[Link]) -> list[int]:
    """Return the layer of each box: behind all before it, and just above its user if there is nothing before it."""
    down = sorted(map(downward, links))
    first = int(any(size.border == "top" for size in sizes))
    level = [0 if size.border == "top" else first for size in sizes]
    for link in down:
        level[link.target] = max(level[link.target], level[link.source] + 1)
    fed = {link.target for link in down}
    for number, size in enumerate(sizes):
        users = [level[link.target] for link in down if link.source == number]
        if users and number not in fed and not size.border:
            level[number] = max(level[number], min(users) - 1)
    last = max((one for one, size in zip(level, sizes, strict=True) if size.border != "bottom"), default=-1) + 1
    return [last if size.border == "bottom" else one for one, size in zip(level, sizes, strict=True)]
