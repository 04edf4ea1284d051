"""Graphs as text for Graphviz."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Final

from multiboard.graph import text, views
from multiboard.graph.ir import BUFFER, CONSTANT, INPUT, OUTPUT, PARAMETER
from multiboard.graph.tree import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.graph.ir import Graph, Node
    from multiboard.graph.tree import Group
    from multiboard.graph.views import View

_HEAD: Final = """digraph {
  rankdir=TB; compound=true; bgcolor="transparent"; fontname="Helvetica"; fontsize=11; fontcolor="#5b6675";
  node [shape=box, style="rounded,filled", fillcolor="#eef2f7", color="#8793a3", fontname="Helvetica", fontsize=11];
  edge [color="#8793a3", fontcolor="#5b6675", fontname="Helvetica", fontsize=9, arrowsize=0.6];
"""
_SHAPES: Final = {
    INPUT: 'shape=oval, fillcolor="#ffffff"',
    OUTPUT: 'shape=oval, fillcolor="#ffffff"',
    PARAMETER: 'shape=note, style="", fontsize=9',
    BUFFER: 'shape=note, style="dashed", fontsize=9',
    CONSTANT: 'shape=note, style="dotted", fontsize=9',
}


def to_dot(graph: Graph, path: str | Path | None = None, *, view: View = "layer") -> str:
    """Return a graph in the language of Graphviz: modules are clusters, edges say shapes.

    Args:
        graph: as it was recorded.
        path: of a file that gets it, too.
        view: which view of it.
    """
    seen = views.view(graph, view)
    whole, _ = tree(seen)
    lines = [*_items(seen, whole, itertools.count(1), 1), *_edges(seen)]
    written = _HEAD + "\n".join(lines) + "\n}\n"
    if path is not None:
        Path(path).write_text(written, encoding="utf-8")
    return written


def quoted(words: str) -> str:
    r"""Return words as a string of the language, in which a line break stays one.

    >>> print(quoted('a "b" \\ c'))
    "a \"b\" \\ c"
    """
    escaped = words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "").replace("\0", "")
    return f'"{escaped}"'


def _items(graph: Graph, group: Group, numbers: Iterator[int], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for item in group.items:
        if isinstance(item, int):
            yield f"{indent}n{item} [{_facts(graph.nodes[item])}];"
            continue
        yield f"{indent}subgraph cluster_{next(numbers)} {{"
        yield f'{indent}  label={quoted(_title(item))}; color="#b8c1cc"; style="rounded";'
        yield from _items(graph, item, numbers, depth + 1)
        yield f"{indent}}}"


def _title(group: Group) -> str:
    cls = group.frame.cls if group.frame else ""
    return f"{group.name}: {cls}" if cls and cls != group.name else group.name


def _facts(node: Node) -> str:
    name = node.name or node.op
    label = name if node.op in _SHAPES or node.op == name else f"{name}\n{node.op}"
    tip = [node.op, *(f"{text.shape(spec.shape)} {spec.dtype}".rstrip() for spec in node.outputs)]
    tip += [f"{text.integer(node.params)} parameters"] if node.params else []
    tip += [f"{text.count(node.flops)} FLOPs"] if node.flops else []
    look = _SHAPES.get(node.op)
    return f"label={quoted(label)}, tooltip={quoted(chr(10).join(tip))}" + (f", {look}" if look else "")


def _edges(graph: Graph) -> Iterator[str]:
    for number, node in enumerate(graph.nodes):
        for source, slot in dict.fromkeys(node.inputs):
            spec = graph.nodes[source].outputs[slot] if slot < len(graph.nodes[source].outputs) else None
            label = f" [label={quoted(text.shape(spec.shape))}]" if spec else ""
            yield f"  n{source} -> n{number}{label};"
