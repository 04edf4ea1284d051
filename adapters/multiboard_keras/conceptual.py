"""The layers of a model as TensorBoard's conceptual graph, without a trace of it.

TensorBoard reads the JSON of a model (plugins/graph/keras_util.py). Of that of Keras 3 it can read the simple cases only: outputs
in dicts, constants among the arguments of an operation and a Functional model in a Sequential one answer HTTP 500, edges into
a model that is called twice are missing. So the model is written as one flat Functional model whose layers are named by their
path. A layer that is called several times is one node.

Only Functional and Sequential models have such a graph. The one of what a model computes is in `graph`.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import keras

from multiboard import graph_def

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from multiboard.run import Run


class _Part(NamedTuple):
    """A layer or nested model that was drawn.

    Attributes:
        takes: nodes by number of the tensor that is passed in; the last one takes all further ones.
        gives: nodes by number of the tensor that is returned, likewise.
    """

    takes: tuple[str, ...]
    gives: tuple[str, ...]


class _Node(NamedTuple):
    layer_class: str
    dtype: str | None
    sources: list[str]


Nodes = dict[str, _Node]


def conceptual(model: Any) -> Nodes:
    """Return the layers of a Functional or Sequential model by path; none of another one.

    Raises:
        Exception: a layer has no config, or whatever else its `get_config` raises.
    """
    if isinstance(model, keras.Sequential) or hasattr(model, "operations"):
        config = model.get_config()
        if config.get("layers"):  # a subclass of Functional may have a config of its own
            return draw(config)
    return {}


def log_conceptual(nodes: Nodes, run: Run) -> None:
    """Log layers as the conceptual graph 'keras', unless the run has it."""
    if nodes and not run.has_graph("keras"):
        run.conceptual_graph(conceptual_json(nodes))


def log_layers(nodes: Nodes, run: Run) -> None:
    """Log layers as the run's own graph, which the Graphs tab opens with, unless the run has one."""
    if nodes and not run.has_graph():
        run.graph(layer_graph(nodes))


def draw(config: Mapping[str, Any]) -> Nodes:
    """Return the layers of a model by path.

    Args:
        config: what `get_config` of a Functional or Sequential model returns.
    """
    nodes: Nodes = {}
    _draw_model(config, "", nodes)
    return nodes


def conceptual_json(nodes: Nodes) -> str:
    """Return the JSON that TensorBoard draws layers of."""
    layers = [
        {
            "class_name": node.layer_class.encode("ascii", "backslashreplace").decode(),  # TensorBoard takes no other ones
            "config": {"name": path, "dtype": node.dtype},
            "inbound_nodes": [{"args": [{"config": {"keras_history": [source, 0, 0]}} for source in node.sources]}],
        }
        for path, node in nodes.items()
    ]
    return json.dumps({"class_name": "Functional", "config": {"name": "", "layers": layers}})


def layer_graph(nodes: Nodes) -> bytes:
    """Return layers as a GraphDef."""
    return graph_def.graph_def(
        graph_def.node(path, node.layer_class, node.sources, {} if node.dtype is None else {"dtype": graph_def.text(node.dtype)})
        for path, node in nodes.items()
    )


def _draw_model(config: Mapping[str, Any], prefix: str, nodes: Nodes) -> _Part:
    return (_draw_functional if _is_functional(config) else _draw_sequential)(config, prefix, nodes)


def _draw_functional(config: Mapping[str, Any], prefix: str, nodes: Nodes) -> _Part:
    parts = {layer["name"]: _draw(layer, prefix + layer["name"], nodes) for layer in config["layers"]}
    for layer in config["layers"]:
        for call in layer["inbound_nodes"]:
            for place, (source, _, number) in enumerate(_histories([call["args"], call["kwargs"]])):
                _connect(_at(parts[source].gives, number), _at(parts[layer["name"]].takes, place), nodes)
    inputs = [_at(parts[name].takes, 0) for name, _, _ in _ends(config["input_layers"])]
    outputs = [_at(parts[name].gives, number) for name, _, number in _ends(config["output_layers"])]
    return _Part(tuple(inputs), tuple(outputs))


def _draw_sequential(config: Mapping[str, Any], prefix: str, nodes: Nodes) -> _Part:
    parts = []
    for number, layer in enumerate(config["layers"]):
        name = layer["config"].get("name") or f"{layer['class_name'].lower()}_{number}"  # a subclassed model has none
        parts.append(_draw(layer, prefix + name, nodes))
    for before, after in pairwise(parts):
        _connect(_at(before.gives, 0), _at(after.takes, 0), nodes)
    return _Part(parts[0].takes, parts[-1].gives)


def _draw(layer: Mapping[str, Any], path: str, nodes: Nodes) -> _Part:
    config = layer["config"]
    if config.get("layers") and (_is_functional(config) or layer["class_name"] == "Sequential"):
        return _draw_model(config, f"{path}/", nodes)
    nodes[path] = _Node(layer["class_name"], _dtype(config.get("dtype")), [])
    return _Part((path,), (path,))


def _connect(source: str, target: str, nodes: Nodes) -> None:
    nodes[target].sources.append(source)


def _at(names: tuple[str, ...], number: int) -> str:
    return names[min(number, len(names) - 1)]


def _is_functional(config: Mapping[str, Any]) -> bool:
    return {"layers", "input_layers", "output_layers"} <= config.keys()


def _dtype(policy: Any) -> str | None:
    """Return the dtype that a layer computes in, of its config; None if TensorBoard has no name for it."""
    name = policy.get("config", {}).get("name") if isinstance(policy, dict) else policy
    if not isinstance(name, str):
        return None
    plain = name.rpartition("_from_")[2].removeprefix("mixed_")
    return plain if plain in {"float16", "bfloat16", "float32", "float64", "int32", "int64", "uint8", "bool", "string"} else None


def _histories(argument: Any) -> Iterator[tuple[str, int, int]]:
    """Yield layer name, number of the call and number of the tensor of all tensors among serialised arguments."""
    if isinstance(argument, dict):
        if argument.get("class_name") == "__keras_tensor__":
            yield tuple(argument["config"]["keras_history"])
        else:
            for key in sorted(argument):  # the order in which Keras flattens a dict
                yield from _histories(argument[key])
    elif isinstance(argument, (list, tuple)):
        for part in argument:
            yield from _histories(part)


def _ends(structure: Any) -> Iterator[tuple[str, int, int]]:
    """Yield the same of the input or output layers of a config."""
    if isinstance(structure, dict):
        for key in sorted(structure):
            yield from _ends(structure[key])
    elif structure and isinstance(structure[0], str):
        yield tuple(structure)
    else:
        for part in structure:
            yield from _ends(part)
