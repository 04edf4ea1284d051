"""Which module runs: keeps the frames of modules on the stack of an observer, from their hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch.nn.utils.parametrize import ParametrizationList

from multiboard.graph.ir import OPTIMIZER
from multiboard_torch.tracing.modules import Places, unwrapped

if TYPE_CHECKING:
    from torch import nn

    from multiboard.graph.ir import Scope
    from multiboard.graph.recorder import Recorder
    from multiboard_torch.tracing.backward import Backward
    from multiboard_torch.tracing.scopes import Scopes


class _Call(NamedTuple):
    """A module that runs.

    Attributes:
        depth: of the stack of scopes before it.
        path: canonical, in its model; None for a wrapper around a model.
        places: of its model.
    """

    module: nn.Module
    depth: int
    path: str | None
    places: Places


class ModuleCalls:
    """The modules that run, outermost first.

    Args:
        recorder: numbers the frames.
        scopes: the stack to keep.
        backward: tells whether a module is computed a second time, for its gradients.
    """

    def __init__(self, recorder: Recorder, scopes: Scopes, backward: Backward) -> None:
        self._recorder, self._scopes, self._backward = recorder, scopes, backward
        self._calls: list[_Call] = []
        self._models: list[Places] = []
        self._last: nn.Module | None = None
        self._around: dict[int, tuple[str, Scope]] = {}
        self._own: dict[int, Scope] = {}

    @property
    def innermost(self) -> tuple[nn.Module, nn.Module, str] | None:
        """Return the model and the module that run, and the name of the module in PyTorch; None if none runs."""
        if not self._calls:
            return None
        module, places = self._calls[-1].module, self._calls[-1].places
        return places.root, module, places.native(module)

    @property
    def outermost(self) -> nn.Module | None:
        """Return the module around all others that run, None if none runs."""
        return self._calls[0].module if self._calls else None

    @property
    def running(self) -> int:
        """Return how many modules run."""
        return len(self._calls)

    def is_leaf(self, module: nn.Module) -> bool:
        """Tell whether a module runs now and called no other one."""
        return bool(self._calls) and self._calls[-1].module is module and self._last is module

    def learn(self, model: nn.Module) -> None:
        """Take the names of the modules of a model, before it runs."""
        self._places(model)

    def begin(self, module: nn.Module) -> nn.Module | None:
        """Push the frames of a module that starts; a model that is seen for the first time is returned."""
        depth = self._scopes.depth
        base = self._backward.depth(depth)
        again = base is not None and depth <= base and id(module) in self._around
        places, new = self._places(module)
        outermost = all(call.path is None for call in self._calls)
        caller, around = self._around[id(module)] if again else (self._caller(), self._scopes.now)
        if again:
            around = self._backward.mirrored(around)
        elif outermost and around and around[-1].name == OPTIMIZER:
            around = ()  # of a closure that an optimizer calls
        path = self._enter(module, places, caller, around, outermost=outermost and not again)
        self._calls.append(_Call(module, depth, path, places))
        self._last = module
        if path is not None and base is None:
            self._around.setdefault(id(module), (caller, around))
            self._own.setdefault(id(module), self._scopes.now)
        return None if new is None else new.root

    def end(self, module: nn.Module) -> bool:
        """Leave a module, and any inside it that did not say so; tell whether it was one that runs."""
        for index in range(len(self._calls) - 1, -1, -1):
            if self._calls[index].module is module:
                self._scopes.cut(self._calls[index].depth)
                del self._calls[index:]
                return True
        return False

    def own_scope(self, model: nn.Module, native: str) -> Scope:
        """Return the scope of a module's first call, or one for a module that nobody called.

        Args:
            model: without wrappers.
            native: name of the module in it.
        """
        module = model.get_submodule(native)
        if id(module) in self._own:
            return self._own[id(module)]
        places, _ = self._places(model)
        path = places.path(module, "") or ""
        return places.resting(path, self._own.get(id(model), ()))

    def _enter(self, module: nn.Module, places: Places, caller: str, around: Scope, *, outermost: bool) -> str | None:
        if isinstance(module, ParametrizationList):
            self._scopes.push(self._recorder.frame("call", "parametrization"))
            return caller
        if outermost and module is places.root:
            self._scopes.enter((*around, *places.root_scope()))
            return ""
        if outermost and unwrapped(module) is places.root:
            return None
        path = places.path(module, caller)
        if path is None:
            return caller
        if outermost:
            around = (*around, *places.resting("", ()))
        self._scopes.enter(places.scope(module, path, caller, around))
        return path

    def _caller(self) -> str:
        return (self._calls[-1].path or "") if self._calls else ""

    def _places(self, module: nn.Module) -> tuple[Places, Places | None]:
        """Return the model that a module belongs to, and once more if it is a new one."""
        if self._calls and self._calls[-1].path is not None:
            return self._calls[-1].places, None
        for places in self._models:
            if module in places or unwrapped(module) is places.root:
                return places, None
        self._models.append(Places(unwrapped(module), self._recorder))
        return self._models[-1], self._models[-1]
