"""All parts of a page in one text, which stands in the page itself."""

from __future__ import annotations

import base64
import gzip
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from multiboard.compare.tolerances import TENSORS
from multiboard.page.heat import MEASURES
from multiboard.page.pack import pack
from multiboard.page.well_formed import well_formed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from multiboard.page.parts import Board, Part


def archive(board: Board) -> str:
    """Return all parts of a board: base64 of gzip of a pack of {"parts": {key: part}}."""
    return zipped(pack({"parts": dict(_parts(board))}))


def zipped(data: bytes) -> str:
    """Return bytes as base64 of gzip; the same bytes make the same text."""
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def key(name: str, query: Mapping[str, str]) -> str:
    """Return what the page calls a part.

    >>> key("heat", {"run": "a b", "kind": "grads"})
    'heat?kind=grads&run=a%20b'
    """
    told = "&".join(f"{one}={quote(well_formed(query[one]), safe=_SAFE)}" for one in sorted(query))
    return f"{name}?{told}" if told else name


_SAFE = "!~*'()"
"""What JavaScript's encodeURIComponent leaves as it is, and Python's quote does not."""


def _parts(board: Board) -> Iterator[tuple[str, Part]]:
    for name, query in queries(board):
        yield key(name, query), board.part(name, query)


def queries(board: Board) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the parts that a page gets which cannot ask for more."""
    for name in ("runs", "comparison", "scalars", "profile", "media", "exact"):
        yield name, {}
    for row in board.part("scalars")["tags"]:
        yield "curve", {"tag": row["tag"]}
    yield from _maps(board)
    yield from _tensors(board)
    for name in board.names[1:]:
        yield "graph", {"run": name}
    for row in board.part("media")["tags"]:
        for run, steps in row["runs"].items():
            yield from (("medium", {"run": run, "step": str(step), "tag": row["tag"]}) for step in steps.tolist())


def _maps(board: Board) -> Iterator[tuple[str, dict[str, str]]]:
    for (run, kind), found in board.maps.items():
        for measure in MEASURES:
            if found.measured(measure):
                yield "heat", {"kind": kind, "measure": measure, "run": run}


def _tensors(board: Board) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the histograms and norms of the tensors that a page gets, and the norms of whole groups."""
    for kind, names in board.shortlist.items():
        for name in names:
            held: dict[str, Any] = {"kind": kind, "name": name}
            if f"{kind}/{name}" in board.baseline.histograms or kind == "histograms":
                yield "histogram", held
            if kind in TENSORS:
                yield "norms", held
    for kind in TENSORS:
        yield "norms", {"kind": kind, "name": ""}
