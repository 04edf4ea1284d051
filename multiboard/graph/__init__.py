"""Traced graphs: the records of every framework, their views, and what is made of them."""

from multiboard.graph.differences import Diff, DiffRow, diff
from multiboard.graph.dot import to_dot
from multiboard.graph.ir import Frame, Graph, Node, TensorSpec
from multiboard.graph.model_explorer import to_model_explorer_json
from multiboard.graph.summary import Summary, SummaryRow, Totals, WeightRow, summarize
from multiboard.graph.svg import to_svg
from multiboard.graph.views import LayerRow, layers, view

__all__ = [
    "Diff",
    "DiffRow",
    "Frame",
    "Graph",
    "LayerRow",
    "Node",
    "Summary",
    "SummaryRow",
    "TensorSpec",
    "Totals",
    "WeightRow",
    "diff",
    "layers",
    "summarize",
    "to_dot",
    "to_model_explorer_json",
    "to_svg",
    "view",
]
