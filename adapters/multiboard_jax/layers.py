"""Seeing the calls of layers while a step is traced, by their paths, without editing the model.

The class of a layer gets another `__call__` for the time of a trace; in threads that trace nothing it does what it did before.
A transformation (`nnx.jit`, `nnx.value_and_grad`, ...) makes new objects of the modules that it is given. They are known by
identity during the call of the model, or by being like no other layer. A watcher that marks also writes its path into every NNX
module: the copies have it too, but equal layers are no longer equal, so that not every step can be traced like this.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jax

from multiboard_jax._compat import apart, is_lifted
from multiboard_jax.layer_info import Called, called
from multiboard_jax.layer_paths import is_linen, is_nnx, join, layers_in, likeness, mark_of, marked, module_classes
from multiboard_jax.optimizer_calls import optimizer_functions, optimizer_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator
    from contextlib import AbstractContextManager


class Frame(NamedTuple):
    """One layer that is being called.

    Attributes:
        layer: the object.
        path: of the layer, with slashes; '' of the model itself.
        base: the path below which linen counts its own.
        linen: the layer is a linen module.
    """

    layer: Any
    path: str
    base: str
    linen: bool


class Watcher:
    """Is told of every call of a layer in one thread.

    Args:
        observe: called with the path of a layer, the layer and what it returned; its result is returned instead.
        key: linen keeps the traces of some layers for others: they are kept apart by this and the layer's path. None lets it.
        marks: write paths into the NNX modules while they are watched.
        names_optimizers: let optimizers have a scope, too.

    Attributes:
        marks, names_optimizers: as given.
        frames: the layers that are being called, the innermost last.
        nameless: the classes of layers that were called and have no path.
        called: by path, in the order of the first calls, what the layer table needs to know of a layer.
    """

    def __init__(
        self, observe: Callable[[str, Any, Any], Any], key: Hashable, *, marks: bool, names_optimizers: bool = False
    ) -> None:
        self.marks, self.names_optimizers = marks, names_optimizers
        self._observe, self._key = observe, key
        self._paths: dict[int, tuple[str, Any]] = {}
        self._alike: dict[Hashable, set[str]] = defaultdict(set)
        self.frames: list[Frame] = []
        self.nameless: dict[str, None] = {}
        self.called: dict[str, Called] = {}

    def learn(self, tree: Any) -> None:
        """Take in the paths of the layers in a tree that the step was given or has merged."""
        for path, layer in () if self.frames else layers_in(tree):
            if mark_of(layer) is None:
                self._paths[id(layer)] = path, layer
                self._alike[likeness(layer)].add(path)

    def call(self, layer: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a layer and have its output observed; a method of a linen module only keeps its traces apart."""
        if is_linen(layer):
            with self._apart(layer):
                return function(*args, **kwargs)
        path = self._path_of(layer)
        if path is None:
            self.nameless[type(layer).__name__] = None
            return function(*args, **kwargs)
        with self._known(layer, path):
            return self.within(Frame(layer, path, path, linen=False), functools.partial(function, *args, **kwargs))

    def within(self, frame: Frame, function: Callable[[], Any]) -> Any:
        """Call a function as a layer. A call from the same layer (of its superclass, or transformed) is a part of the first."""
        outer = self.frames[-1].path if self.frames else ""
        if frame.path not in self.called:
            self.called[frame.path] = called(frame.layer)
        self.frames.append(frame)
        try:
            with _scope(frame, outer):
                output = function()
        finally:
            self.frames.pop()
        return output if frame.path in {outer, ""} else self._observe(frame.path, frame.layer, output)

    def _apart(self, module: Any) -> AbstractContextManager[None]:
        if self._key is None or module.scope is None:
            return contextlib.nullcontext()
        return apart((self._key, self.frames[-1].base if self.frames else "", module.path))

    def _path_of(self, layer: Any) -> str | None:
        mark = mark_of(layer)
        if mark is not None or id(layer) in self._paths:
            return self._paths[id(layer)][0] if mark is None else mark
        return self._path_of_copy(layer)

    def _path_of_copy(self, layer: Any) -> str | None:
        """Return the path of an object that was made during the trace, None if it has none.

        It is that of the one known layer that is like it, or where it is in the layer around it. Without a layer around it, or
        with one of linen, it is a model of its own.
        """
        alike = self._alike.get(likeness(layer), set())
        if len(alike) == 1:
            return next(iter(alike))
        if not self.frames:
            return None if alike and "" not in alike else ""
        frame = self.frames[-1]
        if frame.linen:
            return frame.path
        inside = (path for path, other in layers_in(frame.layer) if other is layer)
        return next((join(frame.path, path) for path in inside), None)

    @contextlib.contextmanager
    def _known(self, layer: Any, path: str) -> Iterator[None]:
        """Let the layers inside a layer be known while it is called."""
        if mark_of(layer) is not None:
            yield
        elif self.marks and is_nnx(layer):
            with marked(layer, path):
                yield
        else:
            found = {id(inner): (join(path, inside), inner) for inside, inner in layers_in(layer)}
            before, self._paths = self._paths, found | self._paths
            try:
                yield
            finally:
                self._paths = before


def _scope(frame: Frame, outer: str) -> AbstractContextManager[Any]:
    name = frame.path.removeprefix(f"{outer}/" if outer else "")
    return contextlib.nullcontext() if frame.linen or frame.path in {outer, ""} else jax.named_scope(name)


class _Local(threading.local):
    watcher: Watcher | None = None


_local: Final = _Local()


@contextlib.contextmanager
def watching(watcher: Watcher, arguments: Any) -> Iterator[None]:
    """Tell a watcher of every call of an NNX or equinox module in this thread.

    Args:
        watcher: whom to tell.
        arguments: of the step; the layers in them have the paths that their parameters have.
    """
    with marked(arguments) if watcher.marks else contextlib.nullcontext():
        watcher.learn(arguments)
        outer, _local.watcher = _local.watcher, watcher
        _REPLACED.enter()
        try:
            yield
        finally:
            _REPLACED.leave()
            _local.watcher = outer


class _Replaced:
    """The methods and functions that are others as long as somebody watches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._originals: dict[tuple[Any, str], tuple[Any, Any]] = {}

    def enter(self) -> None:
        with self._lock:
            self._users += 1
            updates = set(optimizer_functions())
            for owner, name in {*_watched_functions(), *updates} - self._originals.keys():
                original = vars(owner)[name]
                setattr(owner, name, (_updating if (owner, name) in updates else _watched)(original, owner, name))
                self._originals[owner, name] = original, vars(owner)[name]

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            while not self._users and self._originals:
                (owner, name), (original, replacement) = self._originals.popitem()
                if vars(owner).get(name) is replacement:
                    _set(owner, name, original)


def _set(owner: Any, name: str, original: Any) -> None:
    if isinstance(owner, type):
        type.__setattr__(owner, name, original)  # equinox would wrap it once more
    else:
        setattr(owner, name, original)


_REPLACED: Final = _Replaced()


def _watched_functions() -> Iterator[tuple[Any, str]]:
    """Yield the owner and the name of everything to be watched; linen has an interception of its own for most of it."""
    nnx, linen = sys.modules.get("flax.nnx"), sys.modules.get("flax.linen")
    if nnx is not None:
        yield nnx, "merge"
    layers = (cls for cls in _subclasses(module_classes()) if not _is_wrapper(cls))
    yield from ((cls, "__call__") for cls in layers if "__call__" in vars(cls))
    for cls in _subclasses(() if linen is None else (linen.Module,)):
        lifted = [name for name, value in vars(cls).items() if is_lifted(value)]
        yield from ((cls, name) for name in lifted if name == "__call__" or not name.startswith("__"))


def _watched(original: Any, owner: Any, name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(owner, name))
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        function = original.__get__(self, type(self))
        watcher = _local.watcher
        return function(*args, **kwargs) if watcher is None else watcher.call(self, function, args, kwargs)

    @functools.wraps(original)
    def merge(*args: Any, **kwargs: Any) -> Any:
        merged = original(*args, **kwargs)
        if _local.watcher is not None:
            _local.watcher.learn(merged)
        return merged

    return call if isinstance(owner, type) else merge


def _updating(original: Any, owner: Any, name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(owner, name))
    def update(*args: Any, **kwargs: Any) -> Any:
        named = _local.watcher is not None and _local.watcher.names_optimizers
        with optimizer_scope() if named else contextlib.nullcontext():
            return original(*args, **kwargs)

    return update


def _is_wrapper(cls: type) -> bool:
    """Return whether a class is what equinox makes of a function, and no layer."""
    return cls.__module__.startswith("equinox.") and not cls.__module__.startswith("equinox.nn.")


def _subclasses(classes: Iterable[type]) -> Iterator[type]:
    for cls in classes:
        yield cls
        yield from _subclasses(type.__subclasses__(cls))
