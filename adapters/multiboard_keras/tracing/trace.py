"""One call of a model, recorded without computing anything, on whichever backend."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import keras

from multiboard.graph.ir import INPUT, OUTPUT, Graph, Node, layer_path
from multiboard.graph.recorder import Recorder
from multiboard_keras._compat import losses_kept
from multiboard_keras.backend import BACKEND
from multiboard_keras.layer_paths import layer_paths
from multiboard_keras.tracing.frames import Frames
from multiboard_keras.tracing.inputs import paths
from multiboard_keras.tracing.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from multiboard.graph.ir import Scope, TensorSpec
    from multiboard_keras.tracing.frames import Stack
    from multiboard_keras.tracing.inputs import Inputs

_COLOUR: Final = re.compile(r"\x1b\[\d*m")


class Call:
    """A call of a model that is to be recorded.

    Args:
        model: a built model.
        inputs: what it is called with.
        training: whether as in training.

    Attributes:
        recorder: takes the nodes.
        weights: of the model.
        frames: of the call; known when it begins.
    """

    frames: Frames

    def __init__(self, model: Any, inputs: Inputs, *, training: bool) -> None:
        self.model, self.inputs = model, inputs
        self.recorder = Recorder()
        self.weights = Weights(model, self.recorder)
        self._training = training

    def run(self, stack: Stack, tensors: Sequence[Any]) -> list[tuple[str, Any]]:
        """Call the model.

        Args:
            stack: is told which layer runs.
            tensors: of the backend, in the place of the inputs.

        Returns:
            The tensors that the model returns, with their names.
        """
        self.frames = Frames(self.model, self.recorder, stack)
        argument = self.inputs.with_tensors(tensors)
        with losses_kept([self.model, *layer_paths(self.model).values()]), self.frames.watched():
            result = self.model(argument, training=self._training)
        names, leaves = list(paths(result)), keras.tree.flatten(result)
        if len(names) != len(leaves):  # a structure that only Keras knows
            names = [str(number) for number in range(len(leaves))]
        named = zip(names, leaves, strict=True)
        return [(name.removeprefix("/") or "output", leaf) for name, leaf in named if keras.ops.is_tensor(leaf)]

    def add_inputs(self) -> list[int]:
        """Record the inputs and return the numbers of their nodes."""
        named = zip(self.inputs.names, self.inputs.specs, strict=True)
        return [self.recorder.add(Node(INPUT, (), (), (spec,), name)) for name, spec in named]

    def add_output(self, name: str, edges: tuple[tuple[int, int], ...], spec: TensorSpec) -> None:
        """Record something that the model returns, and the edge to it, if there is one."""
        self.recorder.add(Node(OUTPUT, (), edges, (spec,), name))


def trace(model: Any, inputs: Inputs, *, training: bool, step: int | None = None) -> Graph:
    """Return the graph of one call of a model; what fails is left out, and said in its notes.

    Args:
        model: a built model; it and the state of its generators stay as they are.
        inputs: what it is called with.
        training: whether as in training.
        step: the training step that the call stands for.
    """
    backend = import_module(f"multiboard_keras.tracing.trace_{BACKEND}")
    recorders: Sequence[Callable[[Call], None]] = backend.RECORDERS
    calls: list[Call] = []
    for record in recorders:
        calls.append(Call(model, inputs, training=training))
        if _succeeds(record, calls[-1], "The graph ends early"):
            call = calls[-1]
            break
    else:
        call = max(calls, key=lambda one: len(one.recorder.nodes))
    _succeeds(_finish, call, "The graph is not complete")
    if inputs.guessed:
        call.recorder.note("Sizes of inputs that are not known were taken to be 32.")
    return call.recorder.finish("keras", step)


def _succeeds(part: Callable[[Call], None], call: Call, otherwise: str) -> bool:
    try:
        part(call)
    except Exception as error:  # noqa: BLE001  # what is there is a graph, too
        call.recorder.note(f"{otherwise}: {type(error).__name__}: {_told(error)}")
        return False
    return True


def _told(error: Exception) -> str:
    """Return the message of an error in one line, without the colours and the list of arguments that Keras adds."""
    return " ".join(_COLOUR.sub("", str(error)).partition("\n\nArguments received by")[0].split())


def _finish(call: Call) -> None:
    _without_unused_calls(call)
    call.weights.finish()
    classes = {path: type(layer).__name__ for path, layer in layer_paths(call.model).items()}
    nodes = call.recorder.nodes
    nodes[:] = [node._replace(scope=_with_classes(node.scope, classes)) for node in nodes]


def _with_classes(scope: Scope, classes: Mapping[str, str]) -> Scope:
    """Return a scope in which layers that were not called have their class, too."""
    if all(frame.cls or frame.kind != "module" for frame in scope):
        return scope
    unknown = [frame.kind == "module" and not frame.cls for frame in scope]
    paths = [layer_path(scope[: depth + 1]) for depth in range(len(scope))]
    named = zip(scope, paths, unknown, strict=True)
    return tuple(frame._replace(cls=classes.get(path, "")) if without else frame for frame, path, without in named)


def _without_unused_calls(call: Call) -> None:
    """Leave out what recurrent layers compute in front of their loop, for shapes only."""
    unused = call.frames.unused
    nodes = call.recorder.nodes
    kept = [number for number, node in enumerate(nodes) if not any(frame.uid in unused for frame in node.scope)]
    place = {number: i for i, number in enumerate(kept)}
    nodes[:] = [_moved(nodes[number], place) for number in kept]


def _moved(node: Node, place: dict[int, int]) -> Node:
    return node._replace(inputs=tuple((place[number], slot) for number, slot in node.inputs if number in place))
