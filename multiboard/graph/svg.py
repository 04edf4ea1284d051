"""A small picture of a model as SVG: its layer view, readable on dark and on light pages."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from multiboard.graph.layering import Link, Size
from multiboard.graph.layout import arrange
from multiboard.graph.picture import Box, Picture
from multiboard.graph.svg_boxes import HEIGHTS, box_width, draw_box, line_width, px, safe, tip_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.graph.ir import Graph
    from multiboard.graph.layout import Point

_STYLE: Final = """
.mbg{--ink:#1c2430;--soft:#5d6878;--line:#8793a3;--frame:#c3cbd6;--pane:#7f8ea30f;--paper:#fff;
font:600 11px system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}
@media (prefers-color-scheme:dark){
.mbg{--ink:#e6ebf2;--soft:#9aa7b8;--line:#7b899b;--frame:#465364;--pane:#9fb2cc12;--paper:#161b22}}
.mbg text{fill:var(--ink)}.mbg .s{fill:var(--soft);font-weight:400;font-size:9.5px}.mbg .m{text-anchor:middle}
.mbg .t{paint-order:stroke;stroke:var(--paper);stroke-opacity:.7;stroke-width:2.5px;stroke-linejoin:round}
.mbg .p{fill:var(--pane);stroke:var(--frame)}.mbg .g{stroke-dasharray:4 3}.mbg .n{fill:none}
.mbg .e{fill:none;stroke:var(--line);stroke-width:1.2}
.mbg .a{fill:var(--line)}.mbg .u{fill:var(--paper)}.mbg .b{fill:#8793a31f;stroke:#8793a3}
.mbg .end{fill:var(--paper);stroke:var(--soft)}.mbg .weight{fill:none;stroke:var(--soft);stroke-dasharray:2 2}
.mbg .dense{fill:#3b82f626;stroke:#3b82f6}.mbg .conv{fill:#06b6d426;stroke:#0ea5bd}.mbg .norm{fill:#22c55e22;stroke:#2fa65a}
.mbg .activation{fill:#f59e0b26;stroke:#d98a06}.mbg .attention{fill:#a855f726;stroke:#a05ce0}
.mbg .embedding{fill:#14b8a626;stroke:#14a294}.mbg .recurrent{fill:#f43f5e22;stroke:#e0506b}
.mbg .pool{fill:#6366f126;stroke:#7274ea}
"""
_HEADS: Final = (
    '<marker id="mbg-head" viewBox="0 0 6 6" refX="5.5" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
    '<path class="a" d="M0 .4 6 3 0 5.6z"/></marker>'
)
_PAD: Final = 14.0
_HEADER: Final = 18.0
_MARGIN: Final = 12.0
_SHADED: Final = 4
"""Containers in each other that are shaded; more would be too dark to read."""


def to_svg(graph: Graph, path: str | Path | None = None) -> str:
    """Return a picture of the forward pass of a model as SVG.

    It is complete in itself, the same for the same graph, and follows the colour scheme of the page. Layers that repeat, and the
    deepest of large models, are folded into one box.

    Args:
        graph: as it was recorded.
        path: of a file that gets it, too.
    """
    picture = Picture(graph)
    whole = _Container(picture.whole, _segments(picture), picture)
    width, height = whole.width + 2 * _MARGIN, whole.height + 2 * _MARGIN
    name = next((item.title for item in picture.whole.items if item.items), "graph")
    size = f'width="{px(width)}" height="{px(height)}" viewBox="0 0 {px(width)} {px(height)}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="mbg" {size} role="img" aria-label="{safe(name)}">',
        f"<style>{_STYLE}</style><defs>{_HEADS}</defs>",
        *whole.draw(_MARGIN, _MARGIN),
        "</svg>",
    ]
    written = "\n".join(lines) + "\n"
    if path is not None:
        Path(path).write_text(written, encoding="utf-8")
    return written


class _Port(NamedTuple):
    """Where lines from one box cross the border of a container."""

    side: str
    source: Box


class _Segment(NamedTuple):
    """The part of a line that lies in one container."""

    start: Box | _Port
    end: Box | _Port
    source: Box


def _segments(picture: Picture) -> dict[Box, dict[_Segment, None]]:
    """Cut the edges at the borders of containers."""
    above = {item: box for box in _containers(picture.whole) for item in box.items}
    parts: dict[Box, dict[_Segment, None]] = {}
    for source, user in picture.edges():
        up, down = _way(source, above), _way(user, above)
        while len(up) > 1 and len(down) > 1 and up[-2] is down[-2]:
            up, down = up[:-1], down[:-1]
        for inner, outer in itertools.pairwise(up[:-1]):
            parts.setdefault(outer, {})[_Segment(inner, _Port("bottom", source), source)] = None
        for inner, outer in itertools.pairwise(down[:-1]):
            parts.setdefault(outer, {})[_Segment(_Port("top", source), inner, source)] = None
        parts.setdefault(up[-1], {})[_Segment(up[-2], down[-2], source)] = None
    return parts


def _containers(box: Box) -> Iterator[Box]:
    if box.items:
        yield box
    for item in box.items:
        yield from _containers(item)


def _way(box: Box, above: dict[Box, Box]) -> list[Box]:
    """Return a box and all that contain it, innermost first."""
    way = [box]
    while way[-1] in above:
        way.append(above[way[-1]])
    return way


class _Container:
    """A box with its arranged contents.

    Attributes:
        width: in pixels.
        height: in pixels.
        ports: where lines cross its border, from its middle to the right.
    """

    def __init__(self, box: Box, segments: dict[Box, dict[_Segment, None]], picture: Picture) -> None:
        self.box, self._picture = box, picture
        self._inside = {item: _Container(item, segments, picture) for item in box.items if item.items}
        own = list(segments.get(box, ()))
        ports = dict.fromkeys(end for part in own for end in (part.start, part.end) if isinstance(end, _Port))
        tops, bottoms = ([port for port in ports if port.side == side] for side in ("top", "bottom"))
        places: list[Box | _Port] = [*tops, *box.items, *bottoms]
        numbers = {place: number for number, place in enumerate(places)}
        links = [self._link(part, numbers) for part in own]
        found = arrange([self._size(place) for place in places], links)
        framed = bool(box.title)
        header = line_width(box.title, box.kind) + 2 * _PAD if framed else 0.0
        self.width = max(found.width + 2 * _PAD * framed, header)
        self._left = (self.width - found.width) / 2
        self._top = _HEADER + 8 if framed and not tops else 0.0
        self.height = found.height + self._top + (_PAD if framed and not bottoms else 0.0)
        self._centres = dict(zip(places, found.centres, strict=True))
        self._lines = list(zip(found.lines, own, strict=True))
        self.ports = {port: self._centres[port][0] + self._left - self.width / 2 for port in ports}

    def _link(self, part: _Segment, numbers: dict[Box | _Port, int]) -> Link:
        leaves, enters = self._offset(part.start, "bottom", part), self._offset(part.end, "top", part)
        return Link(numbers[part.start], numbers[part.end], leaves, enters)

    def _offset(self, place: Box | _Port, side: str, part: _Segment) -> float:
        if isinstance(place, _Port) or place not in self._inside:
            return 0.0
        return self._inside[place].ports.get(_Port(side, part.source), 0.0)

    def _size(self, place: Box | _Port) -> Size:
        if isinstance(place, _Port):
            return Size(2.0, _HEADER if place.side == "top" else 0.0, place.side)
        if place in self._inside:
            return Size(self._inside[place].width, self._inside[place].height)
        return Size(box_width(place), HEIGHTS[place.look])

    def draw(self, left: float, top: float, depth: int = 0) -> Iterator[str]:
        """Yield elements, those in the background first.

        Args:
            left: of the container.
            top: of the container.
            depth: how many others contain it.
        """
        if self.box.title:
            yield from self._frame(left, top, depth)
        x, y = left + self._left, top + self._top
        for points, part in self._lines:
            head = "" if isinstance(part.end, _Port) or part.end in self._inside else ' marker-end="url(#mbg-head)"'
            start = [(points[0][0], points[0][1] - _HEADER)] if isinstance(part.start, _Port) else []
            yield f'<path class="e" d="{_curve([*start, *points], x, y)}"{head}/>'
        if self.box.title:
            yield self._title(left, top)
        for item in self.box.items:
            centre = self._centres[item]
            if item in self._inside:
                inside = self._inside[item]
                yield from inside.draw(x + centre[0] - inside.width / 2, y + centre[1] - inside.height / 2, depth + 1)
            else:
                yield from draw_box(item, x + centre[0], y + centre[1], tip_of(item, self._picture))

    def _frame(self, left: float, top: float, depth: int) -> Iterator[str]:
        look = "p" + " g" * (self.box.look == "region") + " n" * (depth > _SHADED)
        yield f'<g><title>{safe(tip_of(self.box, self._picture))}</title><rect class="{look}" x="{px(left)}" y="{px(top)}" '
        yield f'width="{px(self.width)}" height="{px(self.height)}" rx="8"/></g>'

    def _title(self, left: float, top: float) -> str:
        kind = f' <tspan class="s">{safe(self.box.kind)}</tspan>' if self.box.kind not in {"", self.box.title} else ""
        return f'<text class="t" x="{px(left + 9)}" y="{px(top + 15)}">{safe(self.box.title)}{kind}</text>'


def _curve(points: list[Point], x: float, y: float) -> str:
    """Return a line through points that leaves and reaches each of them vertically."""
    first = points[0]
    steps = [f"M{px(first[0] + x)} {px(first[1] + y)}"]
    for (left, upper), (right, lower) in itertools.pairwise(points):
        ends = f"{px(right + x)} {px(lower + y)}"
        middle = px((upper + lower) / 2 + y)
        straight = abs(left - right) < 1
        steps.append(f"L{ends}" if straight else f"C{px(left + x)} {middle} {px(right + x)} {middle} {ends}")
    return "".join(steps)
