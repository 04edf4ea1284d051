"""Calls the step that TensorFlow has compiled, for Keras' train function.

The step returns its outputs in an Optional. To ask it whether there are any and to take them out, as Keras does, takes 190 µs of
the training thread with two of them: it is the first Python of TensorFlow after a step, and looks at their types again each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from multiboard_keras._compat import step_on_iterator

if TYPE_CHECKING:
    from collections.abc import Callable

    Function = Callable[..., Any]


def direct(function: Function) -> Function:
    """Return what does the same as a train function that Keras made; the function itself if its step is not found in it.

    Args:
        function: takes an iterator over batches and returns the logs of the last one, or raises StopIteration if there is none.
    """
    compiled = step_on_iterator(function)
    return function if compiled is None else CompiledStep(function, compiled)


class CompiledStep:
    """A train function that calls its compiled step directly.

    Args:
        function: of Keras, for batches that come from anything but one iterator of TensorFlow.
        compiled: the step in it: returns an Optional.
    """

    def __init__(self, function: Function, compiled: Function) -> None:
        self._function, self._compiled = function, compiled
        self._outputs = Outputs(None)

    def __call__(self, iterator: Any) -> Any:
        """Run the step on the next batch."""
        if not isinstance(iterator, tf.data.Iterator):
            return self._function(iterator)
        optional = self._compiled(iterator)
        if not isinstance(optional, tf.experimental.Optional):
            return optional
        if optional.element_spec is not self._outputs.spec:  # of another trace
            self._outputs = Outputs(optional.element_spec)
        return self._outputs.of(optional)


class Outputs:
    """The outputs of one trace of a step.

    Args:
        spec: what an Optional says of them.
    """

    def __init__(self, spec: Any) -> None:
        self.spec = spec
        leaves = tf.nest.flatten(spec)
        self._tensors_only = all(type(leaf) is tf.TensorSpec for leaf in leaves)
        if self._tensors_only:
            self._types, self._shapes = [leaf.dtype for leaf in leaves], [leaf.shape for leaf in leaves]

    def of(self, optional: tf.experimental.Optional) -> Any:
        """Take the outputs out of an Optional.

        Raises:
            StopIteration: it is empty.
        """
        handles = tf.nest.flatten(optional, expand_composites=True)
        try:
            if not self._tensors_only or len(handles) != 1:
                return optional.get_value()
            with tf.device(handles[0].device):  # as Optional does
                found = tf.raw_ops.OptionalGetValue(optional=handles[0], output_types=self._types, output_shapes=self._shapes)
        except tf.errors.InvalidArgumentError:
            if optional.has_value():
                raise
            raise StopIteration from None
        return tf.nest.pack_sequence_as(self.spec, found)
