"""What a profile has to know of the layers of a model, for its operations to stand under the paths that tags have."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import keras

from multiboard import tags
from multiboard_keras.backend import BACKEND
from multiboard_keras.layer_paths import layer_paths
from multiboard_keras.rates import find_optimizers

if TYPE_CHECKING:
    from multiboard_keras.scopes_tensorflow import Scopes


class Layers:
    """The layers of a model, looked up when the first window asks for them.

    Args:
        model: a compiled model.
        scopes: what a trace of the train step says of its layers, on TensorFlow.
    """

    def __init__(self, model: Any, scopes: Scopes | None) -> None:
        self._model, self._scopes = model, scopes

    @functools.cached_property
    def _layers(self) -> dict[str, Any]:
        return layer_paths(self._model)

    @functools.cached_property
    def _modules(self) -> dict[int, str]:
        """The paths of layers, and of what is inside the modules of PyTorch that layers wrap, by identity."""
        found = {id(layer): path for path, layer in self._layers.items()}
        for path, layer in self._layers.items():
            if isinstance(layer, keras.layers.TorchModuleWrapper):
                inner = {id(module): f"{path}/{tags.layer_path(name)}" for name, module in layer.module.named_modules() if name}
                found = inner | found
        return found

    def path_of(self, module: object) -> str:
        """Return the canonical path of a layer on PyTorch, empty for the model itself and for what is no layer of it."""
        return self._modules.get(id(module), "")

    def facts(self) -> dict[str, Any]:
        """Return what the file of a profile does not say.

        On TensorFlow `layers` are canonical paths by scope in the graph: the model itself has the path '', its optimizers have
        'optimizer'. On the other backends `layers` is a list of paths, and `roots` what no path begins with.
        """
        if BACKEND == "tensorflow":
            return {"layers": {} if self._scopes is None else self._scopes.all()}
        optimizers = [getattr(optimizer, "name", "") for optimizer in find_optimizers(self._model).values()]
        return {"layers": sorted(self._layers), "roots": [self._model.name], "optimizers": optimizers}
