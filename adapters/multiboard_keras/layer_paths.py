"""The layers of a model by their canonical paths: the same as in 'params/<path>/<role>'."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import keras

from multiboard import tags
from multiboard_keras._compat import sublayers
from multiboard_keras.layers import Names, unused

if TYPE_CHECKING:
    from collections.abc import Iterator


def layer_paths(model: keras.Model) -> dict[str, Any]:
    """Return the layers inside a model by path, each one once, outer ones before those inside.

    A path is made of the names of the layers around a layer, without the model's own, and its name. Of two layers with the same
    path the second gets the suffix '_1', as with their variables. Inputs are no layers.
    """
    found = [(layer, tags.layer_path("/".join(parts))) for layer, parts in _walk(model, (), {id(model)})]
    names = Names(model)
    reserved = {path: layer for layer, path in reversed([(layer, _path_of_weights(layer, path, names)) for layer, path in found])}
    taken = {id(layer): path for path, layer in reserved.items() if path}
    layers: dict[str, Any] = {}
    for layer, path in found:
        layers[taken.get(id(layer)) or unused(path, (reserved.keys() | layers.keys()).__contains__)] = layer
    return layers


def _walk(layer: Any, prefix: tuple[str, ...], seen: set[int]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    for inner in sublayers(layer):
        if id(inner) not in seen and not isinstance(inner, keras.layers.InputLayer):
            seen.add(id(inner))
            names = (*prefix, inner.name)
            yield inner, names
            yield from _walk(inner, names, seen)


def _path_of_weights(layer: Any, path: str, names: Names) -> str:
    """Return a path as the weights of the layer itself have it, with their suffix; empty if it has none, or they another path."""
    inside = {id(weight) for inner in sublayers(layer) for weight in inner.weights}
    own = next((weight for weight in layer.weights if id(weight) not in inside), None)
    known = "" if own is None else names.of(own).path.rpartition("/")[0]
    return known if re.fullmatch(rf"{re.escape(path)}(_\d+)?", known) else ""
