"""The graphs that the callback writes: once in a training, when shapes are known, and never at the cost of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from multiboard.graph.ir import ENDS
from multiboard_keras._compat import declared_inputs
from multiboard_keras.conceptual import conceptual, log_conceptual, log_layers
from multiboard_keras.tracing.inputs import first_of_batch, inputs_of
from multiboard_keras.tracing.trace import trace

if TYPE_CHECKING:
    from multiboard_keras.batches import Fit
    from multiboard_keras.conceptual import Nodes


class Graphs:
    """Writes the graphs of the model of a fit.

    The conceptual graph is written at the beginning, that of what the model computes after the first batch, which tells its
    shapes. Under the naming of Keras there is only the first one, as with `keras.callbacks.TensorBoard`.

    Args:
        model: a compiled model.
        fit: what belongs to the fit.
        traced: whether what the model computes is written, too.
    """

    def __init__(self, model: Any, fit: Fit, *, traced: bool) -> None:
        self._model, self._run, self._reporting = model, fit.naming.run, fit.reporting
        self._traced = traced and _has_call(model)
        self._nodes: Nodes = {}

    @property
    def waits(self) -> bool:
        """Whether the shapes of a batch are wanted."""
        return self._traced

    def begin(self) -> None:
        """Write what is known without a batch."""
        with self._reporting.of("graph"):
            self._nodes = conceptual(self._model)
            log_conceptual(self._nodes, self._run)
            if not self._traced:
                log_layers(self._nodes, self._run)

    def batch(self, data: Any, examples: int | None, step: int) -> None:
        """Write what the model computes.

        Args:
            data: shapes and dtypes of a batch, `(x, y, sample_weight)`; None if they are not known.
            examples: in the batch; None if that is not known.
            step: of the update that the batch has made.
        """
        with self._reporting.of("graph"):
            self._log_traced(data, examples, step)
        self.end()

    def end(self) -> None:
        """Write what there is, if no batch was seen; a second call does nothing."""
        if self._traced:
            self._traced = False
            with self._reporting.of("graph"):
                log_layers(self._nodes, self._run)

    def _log_traced(self, data: Any, examples: int | None, step: int) -> None:
        if self._run.has_graph("layer"):
            return
        found = [first_of_batch(data), declared_inputs(self._model)] if data is not None else [declared_inputs(self._model)]
        inputs = next((known for one in found if (known := inputs_of(self._model, one, examples)).specs), None)
        if inputs is None:
            return
        graph = trace(self._model, inputs, training=True, step=step)
        if not any(node.op not in ENDS for node in graph.nodes):
            raise RuntimeError(" ".join(graph.notes) or "the model computes nothing")
        self._run.graph(graph)


def _has_call(model: Any) -> bool:
    """Return whether a model can be called: some only have a train step."""
    return type(model).call not in {keras.Model.call, keras.layers.Layer.call}
