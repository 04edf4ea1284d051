"""The layers around each operation of one call of a model: while it runs, the calls of layers are watched.

The patch point is `keras.layers.Layer.__call__`, for the time of one call and for one thread. The operations of a Functional
model and the functions of `keras.ops`, which belong to no layer, are watched the same way. Layers of which only the method `call`
is called are not seen.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import keras

from multiboard_keras._compat import calls_cell_for_shapes, modules_of_operations
from multiboard_keras.layer_paths import layer_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from multiboard.graph.ir import Frame, Scope
    from multiboard.graph.recorder import Recorder

    Function = Callable[..., Any]

ONE_AT_A_TIME: Final = threading.RLock()
"""Two calls that are watched at once would give back each other's replacements."""


class Stack(Protocol):
    """Where a backend is told in which frames it is."""

    def push(self, frame: Frame) -> object:
        """Enter a frame."""
        ...

    def pop(self) -> object:
        """Leave the innermost frame."""
        ...


class _Call(NamedTuple):
    """What runs: a layer, or a function in it.

    Attributes:
        path: canonical, of the layer.
        layer_frame: of the layer.
        called: ids of the layers that it has called.
    """

    layer: Any
    path: str
    scope: Scope
    layer_frame: Frame
    called: set[int]


class Frames:
    """Tells which layer and function runs, in one call of a model.

    Args:
        model: the model that is called.
        recorder: makes frames.
        stack: is told of them.

    Attributes:
        unused: uids of calls that a recurrent layer makes for shapes only.
        steps: time steps of recurrent layers by uid of the call.
    """

    def __init__(self, model: Any, recorder: Recorder, stack: Stack) -> None:
        self.unused: set[int] = set()
        self.steps: dict[int, int] = {}
        self._recorder, self._stack = recorder, stack
        self._paths = {id(layer): path for path, layer in layer_paths(model).items()}
        self._calls: list[_Call] = []
        self._between: dict[tuple[int, str], Frame] = {}
        self._thread = threading.get_ident()

    @property
    def scope(self) -> Scope:
        """The frames of what runs now."""
        return self._calls[-1].scope if self._calls else ()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the calls of layers and functions in this thread until the context is left."""
        with ONE_AT_A_TIME, contextlib.ExitStack() as stack:
            _replace(stack, keras.layers.Layer, "__call__", self._of_layer)
            _replace(stack, keras.Operation, "__call__", self._of_operation)
            for module in modules_of_operations():
                for name, function in list(vars(module).items()):
                    if inspect.isfunction(function) and not name.startswith("_"):
                        _replace(stack, module, name, self._of_function(name))
            yield

    def _of_layer(self, original: Function) -> Function:
        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            with self._inside(layer, lambda: self._enter_layer(layer, args)):
                return original(layer, *args, **kwargs)

        return call

    def _of_operation(self, original: Function) -> Function:
        def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(operation, keras.layers.Layer):
                return original(operation, *args, **kwargs)
            with self._inside(operation, lambda: self._enter_function(_snake_case(type(operation).__name__))):
                return original(operation, *args, **kwargs)

        return call

    def _of_function(self, name: str) -> Callable[[Function], Function]:
        def watch(original: Function) -> Function:
            def call(*args: Any, **kwargs: Any) -> Any:
                with self._inside(original, lambda: self._enter_function(name)):
                    return original(*args, **kwargs)

            return call

        return watch

    @contextlib.contextmanager
    def _inside(self, called: Any, enter: Callable[[], Sequence[Frame]]) -> Iterator[None]:
        if threading.get_ident() != self._thread:
            yield
            return
        entered: Sequence[Frame] = ()
        try:
            entered = enter()
        except Exception as error:  # noqa: BLE001  # the call goes on, without a frame
            self._recorder.note(f"A call of {called!r} has no frame: {type(error).__name__}: {error}.")
        try:
            for frame in entered:
                self._stack.push(frame)
            yield
        finally:
            for _ in entered:
                self._stack.pop()
            if entered:
                self._calls.pop()

    def _enter_function(self, name: str) -> Sequence[Frame]:
        if not self._calls:
            return ()
        frame = self._recorder.frame("call", name)
        self._calls.append(self._calls[-1]._replace(scope=(*self.scope, frame)))
        return (frame,)

    def _enter_layer(self, layer: Any, args: tuple[Any, ...]) -> Sequence[Frame]:
        if self._calls:
            frames, path = self._below(self._calls[-1], layer)
            self._look_for_use(self._calls[-1], layer, frames[-1])
        else:
            name = type(layer).__name__
            frames, path = [self._recorder.frame("module", name, name)], ""
        if isinstance(layer, keras.layers.RNN) and args:
            self.steps[frames[-1].uid] = _time_steps(args[0])
        scope = (*self.scope, *frames)
        self._calls.append(_Call(layer, path, scope, frames[-1], set()))
        return frames

    def _below(self, outer: _Call, layer: Any) -> tuple[list[Frame], str]:
        """Return the frames of a layer below those around it, with those of containers that were not called themselves."""
        prefix = f"{outer.path}/" if outer.path else ""
        path = self._paths.get(id(layer)) or prefix + layer.name
        *between, name = path.removeprefix(prefix).split("/") if path.startswith(prefix) else [layer.name]
        frames: list[Frame] = []
        for part in between:
            key = (frames[-1].uid if frames else outer.scope[-1].uid, part)
            if key not in self._between:
                self._between[key] = self._recorder.frame("module", part)
            frames.append(self._between[key])
        return [*frames, self._recorder.frame("module", name, type(layer).__name__)], path

    def _look_for_use(self, outer: _Call, layer: Any, frame: Frame) -> None:
        """Take note of the call of a cell that a recurrent layer makes in front of its loop."""
        if layer is getattr(outer.layer, "cell", None) and id(layer) not in outer.called and calls_cell_for_shapes(outer.layer):
            self.unused.add(frame.uid)
        outer.called.add(id(layer))


def _replace(stack: contextlib.ExitStack, target: Any, name: str, watch: Callable[[Function], Function]) -> None:
    """Replace a function until the stack is left."""
    original = vars(target)[name]
    replacement = functools.wraps(original)(watch(original))
    setattr(target, name, replacement)
    stack.callback(setattr, target, name, original)


def _time_steps(sequence: Any) -> int:
    """Return the number of time steps of a sequence `[batch, time, ...]`; 1 if it is not known."""
    shape = tuple(getattr(sequence, "shape", ()))
    return int(shape[1]) if len(shape) > 1 and shape[1] is not None else 1


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
