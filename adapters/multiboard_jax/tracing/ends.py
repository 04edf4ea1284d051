"""Parameters, states and results of a graph that was walked: how they are drawn where many belong together."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from multiboard.graph.ir import BUFFER, OPTIMIZER, OUTPUT, PARAMETER, Node
from multiboard.graph.layer_scopes import LayerScopes
from multiboard.graph.recorder import Weight

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from multiboard.graph.ir import Attribute, Scope, TensorSpec
    from multiboard.graph.recorder import Recorder
    from multiboard_jax.tracing.values import Source

_NAMED: Final = 5


def in_optimizer(weight: Weight, scope: Scope) -> Node:
    """Return the node of a parameter or state in the optimizer, where it counts nothing: an edge to the model would cross all."""
    attrs: dict[str, Attribute] = {"path": weight.path, "native": weight.native, "trainable": weight.trainable}
    if weight.trainable:
        attrs["tied_to"] = weight.path
    return Node(PARAMETER if weight.trainable else BUFFER, scope, (), (weight.spec,), weight.path, attrs)


def add_outputs(
    recorder: Recorder, results: Sequence[tuple[Source, TensorSpec]], names: Sequence[str], updated: Collection[int]
) -> None:
    """Record a node for every result; those of the same name share one, and so do new parameters and states of an optimizer.

    What a step hands through is no result of it.

    Args:
        recorder: takes the nodes.
        results: where they come from, with shape and dtype.
        names: of the first results.
        updated: numbers of the nodes that compute gradients or what comes of them.
    """
    together: dict[tuple[str, int], tuple[list[tuple[int, int]], list[TensorSpec]]] = {}
    named = [(names[i], 0) if i < len(names) else (OUTPUT.lower(), i) for i in range(len(results))]
    new = [(name, result) for name, result in zip(named, results, strict=True) if not isinstance(result[0], Weight)]
    others = {part for (name, _), (source, _) in new if not _is_updated(recorder, source, updated) for part in _beginnings(name)}
    for (name, apart), (source, spec) in new:
        own = next((part for part in _beginnings(name) if part not in others), name)
        inputs, specs = together.setdefault((own, apart), ([], []))
        inputs += [source] if isinstance(source, tuple) else []
        specs.append(spec)
    for (name, _), (inputs, specs) in together.items():
        recorder.add(Node(OUTPUT, (), tuple(dict.fromkeys(inputs)), tuple(specs), name))


def _beginnings(name: str) -> list[str]:
    """Return the beginnings of a path, the shortest first, and the path."""
    return list(itertools.accumulate(name.split("/"), "{}/{}".format))


def _is_updated(recorder: Recorder, source: Source, updated: Collection[int]) -> bool:
    return isinstance(source, tuple) and source[0] in updated and _is_optimizer(recorder.nodes[source[0]].scope)


def without_optimizer(recorder: Recorder) -> None:
    """Take away the region of the optimizer: what was done with the gradients was no update."""
    recorder.nodes[:] = [node._replace(scope=node.scope[1:]) if _is_optimizer(node.scope) else node for node in recorder.nodes]


def _is_optimizer(scope: Scope) -> bool:
    return bool(scope) and scope[0].kind == "region" and scope[0].name == OPTIMIZER


def add_unused(recorder: Recorder, weights: Sequence[Weight]) -> None:
    """Record parameters that no operation of the model has used, and say so: a total of parameters counts them too."""
    if not weights:
        return
    names = ", ".join(weight.path for weight in weights[:_NAMED])
    more = f" and {len(weights) - _NAMED} more" if len(weights) > _NAMED else ""
    recorder.note(f"Parameters that nothing in the model has used: {names}{more}.")
    scopes = LayerScopes(recorder)
    for weight in weights:
        recorder.weight(weight, scopes.of(weight.path.rpartition("/")[0]))
