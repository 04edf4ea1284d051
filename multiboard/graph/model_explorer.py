"""Graphs as JSON that Model Explorer opens.

The form is that of its `graph_builder` (google-ai-edge/model-explorer); the file holds one collection, which needs a label.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiboard.graph import text
from multiboard.graph.summary import summarize
from multiboard.graph.tree import tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard.graph.ir import Graph, Node
    from multiboard.graph.tree import Group


def to_model_explorer_json(graph: Graph, path: str | Path | None = None, *, name: str = "") -> str:
    """Return a graph as JSON for Model Explorer, which folds modules and functions itself.

    Args:
        graph: as it was recorded, or a view of it.
        path: of a file that gets it, too; its name ends in '.json'.
        name: of the graph in the list of graphs; '' for that of the model.
    """
    whole, groups = tree(graph)
    title = name or next((item.name for item in whole.items if not isinstance(item, int)), "") or "graph"
    nodes = [_node(number, node, groups[number].path) for number, node in enumerate(graph.nodes)]
    told = {"id": title, "nodes": nodes, "groupNodeAttributes": _group_attributes(graph, groups)}
    written = json.dumps({"label": title, "graphs": [told]}, ensure_ascii=False)
    if path is not None:
        Path(path).write_text(written, encoding="utf-8")
    return written


def _node(number: int, node: Node, namespace: str) -> dict[str, Any]:
    return {
        "id": str(number),
        "label": node.name or node.op,
        "namespace": namespace,
        "attrs": _pairs(_attributes(node)),
        "incomingEdges": [
            {"sourceNodeId": str(source), "sourceNodeOutputId": str(slot), "targetNodeInputId": str(place)}
            for place, (source, slot) in enumerate(node.inputs)
        ],
        "outputsMetadata": [
            {"id": str(slot), "attrs": _pairs({"shape": text.shape(spec.shape), "dtype": spec.dtype})}
            for slot, spec in enumerate(node.outputs)
        ],
    }


def _attributes(node: Node) -> dict[str, str]:
    told = {"op": node.op, "device": node.device} | _amounts(node.params, node.flops, node.mem, node.us)
    return told | {name: str(value) for name, value in node.attrs.items()}


def _amounts(params: int, flops: int, mem: int, us: float) -> dict[str, str]:
    told = {
        "parameters": text.integer(params),
        "FLOPs": text.count(flops),
        "bytes allocated": text.size(mem),
        "time": text.time(us),
    }
    return {name: told[name] for name, number in zip(told, (params, flops, mem, us), strict=True) if number}


def _pairs(facts: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in facts.items() if value]


def _group_attributes(graph: Graph, groups: list[Group]) -> dict[str, dict[str, str]]:
    """Return facts by group, with sums over what lies below it."""
    below: dict[Group, list[Node]] = {}
    for node, innermost in zip(graph.nodes, groups, strict=True):
        group: Group | None = innermost
        while group is not None and group.above is not None:
            below.setdefault(group, []).append(node)
            group = group.above
    told = {group.path: _frame(group) | _sums(nodes) for group, nodes in below.items()}
    return {path: facts for path, facts in told.items() if facts} | {"": _graph(graph)}


def _sums(nodes: list[Node]) -> dict[str, str]:
    return _amounts(
        sum(node.params for node in nodes),
        sum(node.flops for node in nodes),
        sum(node.mem for node in nodes),
        sum(node.us for node in nodes),
    )


def _frame(group: Group) -> dict[str, str]:
    frame = group.frame
    if frame is None:
        return {}
    return {"class": frame.cls} if frame.cls else {"kind": frame.kind}


def _graph(graph: Graph) -> dict[str, str]:
    totals = summarize(graph).totals
    facts = {"framework": graph.framework, "step": "" if graph.step is None else str(graph.step)}
    facts |= _amounts(totals.params, totals.flops, totals.mem, totals.us)
    facts |= {f"note {number}": note for number, note in enumerate(graph.notes, 1)}
    return {name: value for name, value in facts.items() if value}
