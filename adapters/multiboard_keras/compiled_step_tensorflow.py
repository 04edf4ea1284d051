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


def direct(model: Any) -> Function:
    """Return what does the same as the train function of a model; that itself if it may do anything else than is known of it.

    Args:
        model: its train function takes an iterator over batches, and returns the logs of the next one.
    """
    function: Function = model.train_function
    compiled = step_on_iterator(function)
    # a step of several batches may find none, and of one that is still computed only Keras' question whether it has any tells
    sure = model.steps_per_execution == 1 and tf.config.experimental.get_synchronous_execution()
    return CompiledStep(function, compiled) if compiled is not None and sure else function


class CompiledStep:
    """A train function that calls its compiled step directly.

    Args:
        function: of Keras, for batches that come from anything but one iterator of TensorFlow.
        compiled: the step in it: returns an Optional, which is never empty.
    """

    def __init__(self, function: Function, compiled: Function) -> None:
        self._function, self._compiled = function, compiled
        self._outputs: Outputs | None = None

    def __call__(self, iterator: Any) -> Any:
        """Run the step on the next batch."""
        if not isinstance(iterator, tf.data.Iterator):
            return self._function(iterator)
        optional, outputs = self._compiled(iterator), self._outputs
        if outputs is None or outputs.spec is not optional.element_spec:  # of another trace
            self._outputs = outputs = Outputs(optional.element_spec)
        return outputs.of(optional)


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
        """Take the outputs out of an Optional."""
        if not self._tensors_only:
            return optional.get_value()
        (handle,) = tf.nest.flatten(optional, expand_composites=True)
        with tf.device(handle.device):  # as Optional does
            found = tf.raw_ops.OptionalGetValue(optional=handle, output_types=self._types, output_shapes=self._shapes)
        return tf.nest.pack_sequence_as(self.spec, found)
