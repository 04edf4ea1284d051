"""Where boxes and the lines between them go: layers from top to bottom, few crossings, straight lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from multiboard.graph.alignment import align
from multiboard.graph.layering import Layering, downward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.graph.layering import Link, Size

RISE: Final = 24.0
"""Pixels between two layers."""
Point: TypeAlias = tuple[float, float]


class Arrangement(NamedTuple):
    """Boxes and lines in a rectangle whose upper left corner is 0, 0.

    Attributes:
        centres: of the boxes.
        lines: the points of each link, from its source.
    """

    width: float
    height: float
    centres: list[Point]
    lines: list[list[Point]]


def arrange(sizes: Sequence[Size], links: Sequence[Link]) -> Arrangement:
    """Return where to draw boxes and lines.

    Args:
        sizes: in the order of execution; a line to an earlier box is a loop and goes up.
        links: between them.
    """
    if not sizes:
        return Arrangement(0, 0, [], [])
    return _Drawing(sizes, links).arrangement()


class _Drawing:
    def __init__(self, sizes: Sequence[Size], links: Sequence[Link]) -> None:
        self._sizes, self._links = sizes, links
        self._layering = Layering(sizes, links)
        self._layering.order()
        self._x = align(self._layering)

    def arrangement(self) -> Arrangement:
        """Return the drawing with its corner at 0, 0."""
        left = min(x - width / 2 for x, width in zip(self._x, self._layering.widths, strict=True))
        right = max(x + width / 2 for x, width in zip(self._x, self._layering.widths, strict=True))
        middle, half = self._rows()
        centres = [(self._x[number] - left, middle[self._layering.level[number]]) for number in range(len(self._sizes))]
        lines = [
            self._line(link, chain, left, middle, half) for link, chain in zip(self._links, self._layering.chains, strict=True)
        ]
        return Arrangement(right - left, middle[-1] + half[-1], centres, lines)

    def _rows(self) -> tuple[list[float], list[float]]:
        """Return the middle of each layer and half of its height."""
        half = [
            max((self._sizes[v].height for v in layer if v < len(self._sizes)), default=0) / 2 for layer in self._layering.layers
        ]
        middle: list[float] = []
        for level, tall in enumerate(half):
            middle.append(tall if not level else middle[-1] + half[level - 1] + RISE + tall)
        return middle, half

    def _line(self, link: Link, chain: list[int], left: float, middle: list[float], half: list[float]) -> list[Point]:
        down = downward(link)
        points: list[Point] = []
        for vertex in chain:
            offset = down.leaves if vertex == down.source else down.enters if vertex == down.target else 0.0
            x, level = self._x[vertex] + offset - left, self._layering.level[vertex]
            own = self._sizes[vertex].height / 2 if vertex < len(self._sizes) else half[level]
            # A line runs straight to the end of the layer: there may be taller boxes beside its own.
            top = [] if vertex == down.source else [middle[level] - half[level], middle[level] - own]
            bottom = [] if vertex == down.target else [middle[level] + own, middle[level] + half[level]]
            points += [(x, y) for y in dict.fromkeys(top + bottom)]
        return points if down == link else points[::-1]
