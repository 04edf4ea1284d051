"""How a box of a picture is drawn: its colour, its words, their size."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Final

from multiboard.graph import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.graph.picture import Box, Picture

_FAMILIES: Final = (
    ("attention", r"attention|sdpa"),
    ("norm", r"norm"),
    ("conv", r"conv"),
    ("embedding", r"embed|take|gather"),
    ("recurrent", r"lstm|gru|rnn"),
    ("dense", r"dense|linear|matmul|einsum|dot|addmm|bmm|^mm$"),
    ("pool", r"pool|mean|resize|upsample"),
    ("activation", r"relu|gelu|silu|elu|tanh|sigmoid|soft|swish|mish|dropout|activation"),
)
HEIGHTS: Final = {"layer": 36.0, "folded": 36.0, "call": 22.0, "end": 24.0, "weight": 20.0}
_BOLD: Final = 11 * 0.67
"""Width of a letter of a title, in pixels; a wide guess, since no font is at hand."""
_SMALL: Final = 9.5 * 0.6


def draw_box(box: Box, x: float, y: float, tip: str) -> Iterator[str]:
    """Yield the elements of a box that contains none.

    Args:
        box: any.
        x: of its middle.
        y: of its middle.
        tip: what is shown while the pointer rests on it.
    """
    width, height = box_width(box), HEIGHTS[box.look]
    left, top = x - width / 2, y - height / 2
    look = box.look if box.look in {"end", "weight"} else _family(box)
    round_ = 6.0 if box.look in {"layer", "folded"} else height / 2
    size = f'width="{px(width)}" height="{px(height)}" rx="{px(round_)}"'
    layers = ((look, 4), ("u", 0), (look, 0)) if box.look == "folded" else ((look, 0),)
    yield f"<g><title>{safe(tip)}</title>"
    for cls, shift in layers:
        yield f'<rect class="{cls}" x="{px(left + shift)}" y="{px(top + shift)}" {size}/>'
    title, second = _words(box)
    if box.look in {"layer", "folded"} and second:
        yield f'<text class="m" x="{px(x)}" y="{px(y - 3)}">{safe(title)}</text>'
        yield f'<text class="m s" x="{px(x)}" y="{px(y + 10)}">{safe(second)}</text></g>'
    else:
        soft = f' <tspan class="s">{safe(second)}</tspan>' if second else ""
        yield f'<text class="m" x="{px(x)}" y="{px(y + 4)}">{safe(title)}{soft}</text></g>'


def _words(box: Box) -> tuple[str, str]:
    """Return what is written in a box: a title, and something smaller."""
    if box.look in {"call", "weight"}:
        return box.title, ""
    if box.look == "layer" and box.title.isdecimal():
        return f"{box.title} {box.kind}", box.shape
    kind = box.kind if box.kind != box.title else ""
    return box.title, " \u00b7 ".join(part for part in (kind, box.shape) if part)


def box_width(box: Box) -> float:
    """Return the width of a box that contains none, in pixels."""
    title, second = _words(box)
    if box.look in {"call", "end", "weight"}:
        return max(line_width(title, second) + 24, 44.0)
    return max(line_width(title, ""), line_width("", second), 26.0) + 18


def line_width(title: str, small: str) -> float:
    """Return the width of a title with smaller words behind it, in pixels."""
    return len(title) * _BOLD + len(small) * _SMALL + (_SMALL if title and small else 0)


def _family(box: Box) -> str:
    kind = box.kind.lower()
    return next((name for name, pattern in _FAMILIES if re.search(pattern, kind)), "b") if box.look != "folded" else "b"


def tip_of(box: Box, picture: Picture) -> str:
    """Return what is shown while the pointer rests on a box."""
    nodes = [picture.seen.nodes[number] for number in box.nodes]
    last = nodes[-1]
    params, flops = sum(node.params for node in nodes), sum(node.flops for node in nodes)
    path = str(last.attrs.get("path", "")) if len(nodes) == 1 else ""
    cls = str(last.attrs.get("class", "")) if len(nodes) == 1 else box.kind
    told = [" ".join(part for part in (path or box.title, cls) if part)]
    told += [f"{text.shape(spec.shape)} {spec.dtype}".rstrip() for spec in (last.outputs if len(nodes) == 1 else ())]
    told += [f"{text.integer(params)} parameters"] if params else []
    told += [f"{text.count(flops)} FLOPs"] if flops else []
    return "\n".join(told)


def px(number: float) -> str:
    """Return a length or place in pixels."""
    return f"{number:.1f}".removesuffix(".0")


def safe(words: str) -> str:
    """Return words that XML takes: escaped, without control characters."""
    return escape(re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", words))
