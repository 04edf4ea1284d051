"""How outputs of layers get out of a train step of TensorFlow: those in the graph of the step itself can be returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from multiboard_keras._compat import in_gradient, trace_level
from multiboard_keras.layer_calls import OutOfReachError
from multiboard_keras.statistics_tensorflow import begin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from multiboard_keras.layer_calls import Call

    Tensor = Any


class Outputs:
    """The outputs that one run of a train step shows.

    Attributes:
        calls: of layers, one per output.
        lost: by path of a layer: why an output was lost; here `take` tells it.
        keeps: whether `kept` will be called.
    """

    def __init__(self) -> None:
        self.keeps = False
        self.calls: list[Call] = []
        self.lost: dict[str, str] = {}
        self._level = trace_level()
        self._tensors: list[Tensor] = []

    def run(self, step: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run the step."""
        return step(*args, **kwargs)

    def counts(self, part: object) -> bool:
        """Return whether a part of an output is a tensor of numbers."""
        if not isinstance(part, tf.Tensor):
            return False
        dtype = part.dtype
        return bool(dtype.is_floating or dtype.is_integer or dtype.is_complex or dtype.is_bool)

    def take(self, call: Call, tensor: Tensor) -> Tensor:
        """Keep an output and return what the layer is to return.

        Raises:
            OutOfReachError: the tensor is inside a loop, a condition or a function of its own.
        """
        if in_gradient():
            return tensor
        if trace_level() != self._level:
            raise OutOfReachError(
                "computed in a loop, a condition or a tf.function of its own, out of which TensorFlow lets nothing; "
                "in a recurrent layer unroll=True helps"
            )
        self.calls.append(call)
        self._tensors.append(tensor)
        return tensor

    def kept(self, at: int) -> Tensor:
        """Return the output of a call."""
        return self._tensors[at]

    def begin(self, rows: Sequence[Sequence[int]]) -> Any:
        """Start counting the outputs, those of each row together."""
        return begin([_joined([self._tensors[i] for i in row]) for row in rows])


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
