"""Finished graphs: GraphDef bytes of any origin, and the layers of Keras models."""

from __future__ import annotations

import json
from typing import Final

from multiboard import wire
from multiboard.errors import ValueKindError
from multiboard.values import Raw, Summary

PLUGIN: Final = "graph_run_metadata_graph"
TIMED_PLUGIN: Final = "graph_run_metadata"
OWN_TAG: Final = "Default"
CONCEPTUAL_PLUGIN: Final = "graph_keras_model"
_VERSION: Final = b"1"


def check_graph(tag: str, graph_def: object) -> bytes:
    """Return the bytes of a GraphDef.

    Raises:
        ValueKindError: they are no bytes, or none.
    """
    if not isinstance(graph_def, bytes) or not graph_def:
        rule = "a graph is a traced one, or the bytes of a GraphDef message, e.g. graph_def.SerializeToString()."
        raise ValueKindError(tag, graph_def, rule)
    return graph_def


def default(graph_def: bytes, wall_time: float) -> Raw:
    """Return the event of the graph that TensorBoard calls Default."""
    return Raw(wire.event(wall_time, 0, wire.message(4, graph_def)), 0)


def named(tag: str, graph_def: bytes, wall_time: float, description: str) -> Summary:
    """Return a further graph: RunMetadata.function_graphs.pre_optimization_graph (tensorflow/core/protobuf/config.proto).

    The data class stays unset: the graph plugin finds its tags by the plugin name alone.
    """
    return of_run_metadata(tag, wire.message(4, wire.message(2, graph_def)), wall_time, description)


def of_run_metadata(tag: str, run_metadata: bytes, wall_time: float, description: str, *, timed: bool = False) -> Summary:
    """Return a further graph.

    Args:
        tag: of the graph.
        run_metadata: a RunMetadata with the graph.
        wall_time: of the call.
        description: markdown.
        timed: whether there are StepStats in it.
    """
    plugin = TIMED_PLUGIN if timed else PLUGIN
    return Summary(tag, plugin, 0, wire.strings(run_metadata, rank=0), 0, wall_time, _VERSION, description)


def check_model(tag: str, model_json: object) -> bytes:
    """Return the JSON of a Keras model as bytes.

    Raises:
        ValueKindError: it is not the JSON of an object that has layers.
    """
    rule = "a conceptual graph is the JSON of a Functional or Sequential model, as model.to_json() returns it."
    try:
        model = json.loads(model_json) if isinstance(model_json, str) else None
    except ValueError as error:
        raise ValueKindError(tag, model_json, rule) from error
    config = model.get("config") if isinstance(model, dict) else None
    if not isinstance(model_json, str) or not isinstance(config, dict) or not config.get("layers"):
        raise ValueKindError(tag, model_json, rule)
    return model_json.encode()


def conceptual(tag: str, model_json: bytes, wall_time: float, description: str) -> Summary:
    """Return the graph of the layers of a Keras model, which TensorBoard makes of its JSON (plugins/graph/keras_util.py)."""
    return Summary(tag, CONCEPTUAL_PLUGIN, 0, wire.strings(model_json, rank=0), 0, wall_time, _VERSION, description)
