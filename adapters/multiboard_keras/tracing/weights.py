"""The variables of a model as they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from multiboard.graph.ir import BUFFER, PARAMETER, Node, TensorSpec
from multiboard.graph.layer_scopes import LayerScopes
from multiboard.graph.recorder import Recorder, Weight, elements
from multiboard_keras.layers import Names, identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.graph.ir import Scope
    from multiboard_keras.layers import Named


class Weights:
    """What stands for each variable of a model.

    Args:
        model: a built model.
        recorder: takes the nodes.
    """

    def __init__(self, model: Any, recorder: Recorder) -> None:
        self._recorder = recorder
        names = Names(model)
        trainable = {id(variable) for variable in model.trainable_weights}
        self._of = {
            identity(variable): _weight(variable, names.of(variable), trainable=id(variable) in trainable)
            for variable in model.weights
        }

    def of(self, variable: Any) -> Weight | None:
        """Return what stands for a variable of Keras or TensorFlow; None if it is no weight, e.g. the state of a generator."""
        return self._of.get(identity(variable))

    def finish(self) -> None:
        """Count each weight once, and add those that the call has not used to their layers."""
        nodes = self._recorder.nodes
        first: dict[Any, int] = {}
        for number, node in enumerate(nodes):
            if node.op in {PARAMETER, BUFFER}:
                first.setdefault(node.attrs.get("path"), number)
        for weight in self._of.values():
            if weight.path in first:
                nodes[first[weight.path]] = _counting(nodes[first[weight.path]], weight)
        self._add_unused([weight for weight in self._of.values() if weight.path not in first])

    def _add_unused(self, unused: Sequence[Weight]) -> None:
        if not unused:
            return
        scopes = LayerScopes(self._recorder)
        for weight in unused:
            self._recorder.add(_node(weight, scopes.of(weight.path.rpartition("/")[0])))
        self._recorder.note(f"Weights that nothing in the model has used: {', '.join(weight.path for weight in unused)}.")


def _node(weight: Weight, scope: Scope) -> Node:
    own = Recorder()
    return own.nodes[own.weight(weight, scope)]


def _counting(node: Node, weight: Weight) -> Node:
    """Return the first node of a weight, which counts its elements, though it may not be the first that was recorded."""
    attrs = {name: value for name, value in node.attrs.items() if name != "tied_to"}
    return node._replace(attrs=attrs, params=weight.size if weight.trainable else 0)


def _weight(variable: Any, named: Named, *, trainable: bool) -> Weight:
    spec = TensorSpec(tuple(variable.shape), str(keras.backend.standardize_dtype(variable.dtype)))
    role = named.path.rpartition("/")[2]
    return Weight(id(variable), role, named.path, named.native, spec, elements(spec.shape), trainable=trainable)
