"""Finished graphs: GraphDef bytes of any origin."""

from __future__ import annotations

from typing import Final

from multiboard import wire
from multiboard.errors import ValueKindError
from multiboard.values import Raw, Summary

PLUGIN: Final = "graph_run_metadata_graph"
_VERSION: Final = b"1"


def check_graph(tag: str, graph_def: object) -> bytes:
    """Return the bytes of a GraphDef.

    Raises:
        ValueKindError: they are no bytes, or none.
    """
    if not isinstance(graph_def, bytes) or not graph_def:
        raise ValueKindError(tag, graph_def, "a graph is the bytes of a GraphDef message, e.g. graph_def.SerializeToString().")
    return graph_def


def default(graph_def: bytes, wall_time: float) -> Raw:
    """Return the event of the graph that TensorBoard calls Default."""
    return Raw(wire.event(wall_time, 0, wire.message(4, graph_def)), 0)


def named(tag: str, graph_def: bytes, wall_time: float, description: str) -> Summary:
    """Return a further graph: RunMetadata.function_graphs.pre_optimization_graph (tensorflow/core/protobuf/config.proto).

    The data class stays unset: the graph plugin finds its tags by the plugin name alone.
    """
    run_metadata = wire.message(4, wire.message(2, graph_def))
    return Summary(tag, PLUGIN, 0, wire.strings(run_metadata, rank=0), 0, wall_time, _VERSION, description)
