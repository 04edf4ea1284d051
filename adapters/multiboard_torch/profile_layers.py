"""The layers of a profile: a range around every module that is called, named after its canonical path, while a window is open."""

from __future__ import annotations

import threading
import weakref
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard import tags
from multiboard_torch._compat_profiler import around_compilation, trace_range
from multiboard_torch.tracing.hooks import begin_modules, end_modules, silence_compiled

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from torch import nn

    from multiboard.profile.profiler import Profiler

    Names = Callable[[object], str | None]
    """Returns the layer path of a module, '' for one that is no layer of its own, None if it does not know."""

PREFIX: Final = "mb.module:"


class _Name(NamedTuple):
    """What a module is called; the reference tells it from another one at the same address."""

    module: weakref.ref[nn.Module]
    path: str


class _Call(NamedTuple):
    """A module that runs; `range` is None for one without a range of its own."""

    module: int
    range: AbstractContextManager[Any] | None


class _Running(threading.local):
    """The modules that run in this thread, outermost first, and the names below the outermost."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self.names: dict[int, _Name] = {}


class LayerRanges:
    """Opens a range of the trace around each module that is a layer; keeps no module, and raises nothing.

    A module is called what the uniform tags call it in the outermost one that is called, or has been in this window, whose own
    operations have no range. One that stands in several places has its first name; wrappers, parametrizations and modules that
    are not registered have none.

    Args:
        names: asked first; None if nobody knows better.

    Attributes:
        failed: what went wrong in a hook, and how often.
    """

    def __init__(self, names: Names | None) -> None:
        self.failed: dict[str, int] = {}
        self._given = names
        self._range = trace_range()
        self._running = _Running()
        self._roots: dict[int, tuple[weakref.ref[nn.Module], dict[int, _Name]]] = {}
        self._exits = ExitStack()
        self._rests = False

    def begin(self) -> None:
        """Listen to all modules."""
        if isinstance(self._given, ModelNames):
            self._given.refresh()
        self._exits.callback(_leave, self._running.calls, 0)
        self._exits.callback(silence_compiled())
        self._exits.callback(end_modules, self)
        begin_modules(self)
        # What is compiled with hooks on all modules is compiled once more when they are gone.
        self._exits.callback(around_compilation(self._rest, self._listen))

    def end(self) -> None:
        """Listen no more, and end what runs in this thread; a second call does nothing."""
        self._exits.close()

    def paths(self) -> list[str]:
        """Return the paths of all layers of the models that were called, in the order of the models."""
        found = [name.path for _, names in tuple(self._roots.values()) for name in names.values()]
        return [path for path in dict.fromkeys(found) if path]

    def before_module(self, module: nn.Module) -> None:
        """Open the range of a module."""
        try:
            running = self._running
            if not running.calls:
                running.names = self._below(module)
            known = running.names.get(id(module))
            path = known.path if known is not None and known.module() is module else self._unregistered(module)
            opened = None
            if path:
                opened = self._range(PREFIX + path)
                opened.__enter__()
            running.calls.append(_Call(id(module), opened))
        except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
            self._note(error)

    def after_module(self, module: nn.Module, args: Any, result: Any) -> None:  # noqa: ARG002  # what a listener is told
        """Close it, and those of calls inside whose end was not seen."""
        try:
            calls, own = self._running.calls, id(module)
            for depth in range(len(calls) - 1, -1, -1):
                if calls[depth].module == own:
                    _leave(calls, depth)
                    return
        except Exception as error:  # noqa: BLE001
            self._note(error)

    def _rest(self) -> None:
        self._rests = True
        end_modules(self)

    def _listen(self) -> None:
        if self._rests:
            self._rests = False
            begin_modules(self)

    def _below(self, root: nn.Module) -> dict[int, _Name]:
        """Return the names in the model that a module is part of, as where checkpointing runs it again, else those in itself."""
        for model, names in tuple(self._roots.values()):  # other threads add some
            known = names.get(id(root))
            if known is not None and known.module() is root and model() is not None:
                return names
        held = self._roots.get(id(root))
        if held is None or held[0]() is not root:
            names = {
                id(module): _Name(weakref.ref(module), self._path(native, module)) for native, module in root.named_modules()
            }
            held = self._roots[id(root)] = weakref.ref(root), names
        return held[1]

    def _path(self, native: str, module: nn.Module) -> str:
        path = None if self._given is None else self._given(module)
        return layer_path(native) if path is None else path

    def _unregistered(self, module: nn.Module) -> str | None:
        """Return the path of a module that the outermost one does not know of, as those of Functional models of Keras."""
        return None if self._given is None else self._given(module)

    def _note(self, error: Exception) -> None:
        kind = f"{type(error).__name__}: {error}"
        self.failed[kind] = self.failed.get(kind, 0) + 1


def layer_path(native: str) -> str:
    """Return the canonical path of a module, '' for what computes a parameter of another one.

    >>> layer_path("module.fc1"), layer_path("fc1.parametrizations.weight.0")
    ('fc1', '')
    """
    return "" if "parametrizations" in native.split(".") else tags.layer_path(native)


class ModelNames:
    """The paths of the modules in a model, whichever part of it is called: to be called with a module.

    Args:
        model: is not kept alive.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = weakref.ref(model)
        self._names: dict[int, _Name] = {}

    def __call__(self, module: object) -> str | None:
        """Return the path of a module, None if it was no part of the model at the last `refresh`."""
        name = self._names.get(id(module))
        return name.path if name is not None and name.module() is module else None

    def refresh(self) -> None:
        """Learn what the modules are called now."""
        model = self._model()
        modules = () if model is None else model.named_modules()
        self._names = {id(module): _Name(weakref.ref(module), layer_path(native)) for native, module in modules}


def own_work(profiler: Profiler | None) -> AbstractContextManager[Any]:
    """Return what shows the work inside as that of this package, and not as that of an optimizer or layer, in an open window."""
    return nullcontext() if profiler is None or not profiler.open else trace_range()(f"{PREFIX}multiboard")


def _leave(calls: list[_Call], depth: int) -> None:
    """End the calls above a depth, innermost first."""
    while len(calls) > depth:
        opened = calls.pop().range
        if opened is not None:
            opened.__exit__(None, None, None)
