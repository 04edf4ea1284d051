"""The calls of layers in one run of a train step: while it runs, the method `call` of layers is replaced."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import keras

from multiboard_keras._compat import DROPOUT_MASKS, calls_cell_for_shapes
from multiboard_keras.sight import replaced

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Mapping, Sequence

    Function = Callable[..., Any]


class Call(NamedTuple):
    """One call of a layer.

    Attributes:
        path: of the layer.
        loop: number of the loop over time steps that the call is part of, whose calls count together; 0 outside of loops.
    """

    path: str
    loop: int


class OutOfReachError(RuntimeError):
    """A tensor is computed in a place from where it cannot leave the train step."""


class LayerCalls:
    """Hands on what chosen layers return.

    Args:
        outputs: takes it: `Outputs` of the backend.

    Attributes:
        failures: by path: why an output was left out.
    """

    def __init__(self, outputs: Any) -> None:
        self.failures: dict[str, str] = {}
        self._outputs = outputs
        self._loops = 0
        self._loop = 0
        self._looking = True
        self._before_loop: set[int] = set()

    def watch(self, stack: contextlib.ExitStack, layers: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
        """Replace methods of layers until the stack is left.

        Args:
            stack: for the time of the run.
            layers: all layers of the model, by path.
            chosen: those of which the outputs are wanted.
        """
        cells = {id(layer.cell) for layer in layers.values() if isinstance(layer, keras.layers.RNN)}
        for path, layer in layers.items():
            name = "call" if getattr(layer, "quantization_mode", None) is None else "quantized_call"
            original = call = getattr(layer, name)
            if isinstance(layer, (keras.layers.RNN, keras.layers.TimeDistributed)):
                call = self._looping(layer, call)
            if path in chosen:
                call = self._seen(path, call)
            if id(layer) in cells:
                call = self._not_before_loop(layer, call)
            if call is not original:
                stack.enter_context(replaced(layer, name, functools.wraps(original)(call)))
            if hasattr(layer, DROPOUT_MASKS):
                stack.enter_context(replaced(layer, DROPOUT_MASKS, self._unseen(getattr(layer, DROPOUT_MASKS))))

    def _looping(self, layer: Any, original: Function) -> Function:
        def call(*args: Any, **kwargs: Any) -> Any:
            outer = self._loop
            if not outer:
                self._loops += 1
                self._loop = self._loops
            if calls_cell_for_shapes(layer):
                self._before_loop.add(id(layer.cell))
            try:
                return original(*args, **kwargs)
            finally:
                self._loop = outer
                self._before_loop.discard(id(getattr(layer, "cell", None)))

        return call

    def _not_before_loop(self, cell: Any, original: Function) -> Function:
        unseen = self._unseen(original)

        def call(*args: Any, **kwargs: Any) -> Any:
            if id(cell) not in self._before_loop:
                return original(*args, **kwargs)
            self._before_loop.remove(id(cell))
            return unseen(*args, **kwargs)

        return call

    def _unseen(self, original: Function) -> Function:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            before, self._looking = self._looking, False
            try:
                return original(*args, **kwargs)
            finally:
                self._looking = before

        return call

    def _seen(self, path: str, original: Function) -> Function:
        def call(*args: Any, **kwargs: Any) -> Any:
            output = original(*args, **kwargs)
            if not self._looking:
                return output
            try:
                return self._with_first_taken(Call(path, self._loop), output)
            except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
                name = "" if isinstance(error, OutOfReachError) else f"{type(error).__name__}: "
                self.failures.setdefault(path, f"{name}{error}")
                return output

        return call

    def _with_first_taken(self, call: Call, output: Any) -> Any:
        parts: Sequence[Any] = [output] if keras.ops.is_tensor(output) else keras.tree.flatten(output)
        first = next((i for i, part in enumerate(parts) if self._outputs.counts(part)), None)
        if first is None:
            return output
        taken = self._outputs.take(call, parts[first])
        if taken is parts[first]:
            return output
        return keras.tree.pack_sequence_as(output, [*parts[:first], taken, *parts[first + 1 :]])
