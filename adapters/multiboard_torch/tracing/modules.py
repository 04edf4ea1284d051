"""The frames of modules: which one runs, and what it is called in the one that called it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torch import nn

from multiboard import tags
from multiboard_torch.layers import class_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.graph.ir import Frame, Scope
    from multiboard.graph.recorder import Recorder

_WRAPPED: Final = ("module", "_orig_mod", "_fsdp_wrapped_module")
"""What wrappers call the model that they hold."""


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside wrappers: DistributedDataParallel, DataParallel, FSDP, a compiled one and the like."""
    while True:
        children = dict(model._modules.items())  # noqa: SLF001  # named_children leaves None out
        name = next((one for one in _WRAPPED if isinstance(children.get(one), nn.Module)), None)
        own = any(True for _ in model.parameters(recurse=False))
        inner = None if name is None or own or len(children) != 1 else children[name]
        if inner is None:
            return model
        model = inner


class Places:
    """What the modules of a model are called.

    Args:
        model: without wrappers.
        recorder: numbers the frames.

    Attributes:
        root: the model.
    """

    def __init__(self, model: nn.Module, recorder: Recorder) -> None:
        self.root = model
        self._recorder = recorder
        self._paths: dict[int, list[str]] = {}
        self._natives: dict[int, str] = {}
        self._classes: dict[str, str] = {"": class_name(model)}
        self._hidden: set[int] = set()
        self._containers: dict[tuple[int, str], Frame] = {}
        for native, module in model.named_modules(remove_duplicate=False):
            self._natives.setdefault(id(module), native)
            if "parametrizations" in native.split("."):
                self._hidden.add(id(module))
                continue
            path = tags.layer_path(native)
            self._paths.setdefault(id(module), []).append(path)
            if path:
                self._classes[path] = class_name(module)

    def __contains__(self, module: nn.Module) -> bool:
        """Tell whether a module is a part of the model."""
        return id(module) in self._natives

    def native(self, module: nn.Module) -> str:
        """Return the name of a module in PyTorch, '' if it is the model or no part of it."""
        return self._natives.get(id(module), "")

    def path(self, module: nn.Module, caller: str) -> str | None:
        """Return the path of a module that is called; None for one that is not shown, such as a wrapper or a parametrization.

        Args:
            module: that is called.
            caller: path of the module that calls it, '' for the model.
        """
        if id(module) in self._hidden:
            return None
        paths = self._paths.get(id(module), [class_name(module)])
        below = [path for path in paths if path.startswith(f"{caller}/") or not caller]
        path = min(below, key=len) if below else f"{caller}/{paths[0].rpartition('/')[2]}"
        return None if path == "" or (caller and caller in paths) else path

    def scope(self, module: nn.Module, path: str, caller: str, around: Scope) -> Scope:
        """Return the scope of a new call of a module, with a frame for each list of layers that is passed on the way.

        Args:
            module: that is called.
            path: of the module.
            caller: path of the module that calls it.
            around: the scope of the call.
        """
        *lists, name = path.removeprefix(f"{caller}/" if caller else "").split("/")
        cls = self._classes.get(path) or class_name(module)
        return (*self._through(lists, caller, around), self._recorder.frame("module", name, cls))

    def root_scope(self) -> Scope:
        """Return the scope of a new call of the model itself."""
        cls = class_name(self.root)
        return (self._recorder.frame("module", cls, cls),)

    def resting(self, path: str, around: Scope) -> Scope:
        """Return a scope for a module that nobody called.

        Args:
            path: of the module.
            around: scope of the model; () if it was not called either.
        """
        around = around or (self._container((), class_name(self.root), ""),)
        return self._through(path.split("/"), "", around) if path else around

    def _through(self, parts: Sequence[str], at: str, around: Scope) -> Scope:
        for part in parts:
            at = f"{at}/{part}" if at else part
            around = (*around, self._container(around, part, at))
        return around

    def _container(self, scope: Scope, name: str, path: str) -> Frame:
        """Return the frame of what nobody calls, e.g. a list of layers: one for all that is called in it."""
        key = (scope[-1].uid if scope else 0, name)
        if key not in self._containers:
            self._containers[key] = self._recorder.frame("module", name, self._classes.get(path, ""))
        return self._containers[key]
