"""The graph of a model on TensorFlow: its call is traced as a function, whose operations are read; nothing is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import tensorflow as tf

from multiboard_keras.tracing.functions_tensorflow import Place, Reader
from multiboard_keras.tracing.operations_tensorflow import spec_of
from multiboard_keras.tracing.timeline_tensorflow import Timeline

if TYPE_CHECKING:
    from multiboard_keras.tracing.functions_tensorflow import Source
    from multiboard_keras.tracing.trace import Call

    Tensor = Any


def record(call: Call) -> None:
    """Record a call of a model; what was traced before an exception is recorded, too.

    Raises:
        Exception: whatever the model raises.
    """
    timeline, names, failures = Timeline(), list[str](), list[Exception]()

    def traced(*tensors: Tensor) -> list[Tensor]:
        try:
            outputs = call.run(timeline, tensors)
        except Exception as error:  # noqa: BLE001  # raised below
            failures.append(error)
            return []
        names.extend(name for name, _ in outputs)
        return [tf.convert_to_tensor(tensor) for _, tensor in outputs]

    specs = [tf.TensorSpec(spec.shape, spec.dtype) for spec in call.inputs.specs]
    sources: list[Source] = [(number, 0) for number in call.add_inputs()]
    graph = tf.function(traced, autograph=False).get_concrete_function(*specs).graph
    reader = Reader(call, timeline)
    results = reader.read(graph, [*sources, *reader.captured(graph)], Place((), (), 1))
    for name, tensor, source in zip(names, graph.outputs, results, strict=True):
        call.add_output(name, reader.edges([source], ()), spec_of(tensor))
    if failures:
        raise failures[0]


RECORDERS: Final = (record,)
"""Ways to record a call, the best one first."""
