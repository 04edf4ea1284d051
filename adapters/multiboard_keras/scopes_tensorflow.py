"""Which scope of TensorFlow's graph is which layer: noted while the train step is traced, for scopes get numbers of their own."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, Final

import tensorflow as tf

from multiboard_keras.layer_paths import layer_paths
from multiboard_keras.rates import find_optimizers
from multiboard_keras.sight import replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OPTIMIZER: Final = "optimizer"


class Scopes:
    """Notes the scopes of a model's layers and optimizers.

    Args:
        model: a compiled model.

    Attributes:
        found: canonical paths by scope, e.g. `{'cnn_1/conv1_1': 'conv1'}`; '' for the model itself, 'optimizer' for an optimizer.
    """

    def __init__(self, model: Any) -> None:
        self.found: dict[str, str] = {}
        self._model = model

    def all(self) -> dict[str, str]:
        """Return what was found, and the scopes between, e.g. of a loop in a layer, which belong to the layer."""
        known = dict(self.found)
        for scope in self.found:
            parts = scope.split("/")
            for depth in range(1, len(parts)):
                above, between = "/".join(parts[: depth - 1]), "/".join(parts[:depth])
                if above in known:
                    known.setdefault(between, known[above])
        return known

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Note the scopes of what is traced inside."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(Exception):  # names are not worth a training
                self._watch(stack)
            yield

    def _watch(self, stack: contextlib.ExitStack) -> None:
        for path, layer in {**layer_paths(self._model), "": self._model}.items():
            name = "call" if getattr(layer, "quantization_mode", None) is None else "quantized_call"
            stack.enter_context(replaced(layer, name, self._noted(path, getattr(layer, name))))
        for optimizer in find_optimizers(self._model).values():
            inner = getattr(optimizer, "inner_optimizer", optimizer)
            stack.enter_context(replaced(inner, "update_step", self._noted(OPTIMIZER, inner.update_step)))

    def _noted(self, path: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            scope = tf.get_current_name_scope()
            if scope:
                self.found.setdefault(scope, path)
            return original(*args, **kwargs)

        return call
