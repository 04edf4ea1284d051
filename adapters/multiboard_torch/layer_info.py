"""The layer table of a model: its layers in the order of their first calls, their parameters and buffers, and their layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from multiboard import tags
from multiboard.layer_rows import LayerRow, LayerRows, RoleRow, in_call_order
from multiboard.transforms import IDENTITY, THIRDS, blocks, then, transpose
from multiboard_torch._compat import before_compiling, is_compiled_in_place
from multiboard_torch.layers import class_name, named_buffers, named_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from multiboard_torch.layers import Named

_CONVS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED: Final = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_RECURRENT: Final = (nn.RNNBase, nn.RNNCellBase)
_GRU: Final = (nn.GRU, nn.GRUCell)
_GATES: Final = blocks(1, 0, 2)
_PROJECTIONS: Final = frozenset({"q_proj_weight", "k_proj_weight", "v_proj_weight"})
_MATRIX: Final = 2


class FirstCalls:
    """Sees in which order the layers of a model are called for the first time, until `end`.

    A compiled model is left alone: hooks would be compiled with it, and once they are off it would be compiled again. So they go
    before anything is compiled; on versions of PyTorch that do not tell when that is, they cost one more compilation.

    Args:
        model: also wrapped.

    Attributes:
        order: paths of the layers that were called.
    """

    def __init__(self, model: nn.Module) -> None:
        self.order: list[str] = []
        self._handles: list[Any] = []
        self._forget = before_compiling(self._compiling)
        modules = dict(model.named_modules())
        if any(hasattr(module, "_orig_mod") or is_compiled_in_place(module) for module in modules.values()):
            return
        for name, module in modules.items():
            if not isinstance(module, torch.jit.ScriptModule):
                self._handles.append(module.register_forward_pre_hook(_Hook(self.order, tags.layer_path(name))))

    def end(self) -> None:
        """Take the hooks off; a second call does nothing."""
        self._take_off()
        self._forget()

    def _compiling(self, *_: object) -> None:
        if self._handles:
            self._take_off()
            self.order.clear()  # of the calls that are compiled nothing will be seen

    def _take_off(self) -> None:
        while self._handles:
            self._handles.pop().remove()


class _Hook:
    """Notes the first call of one layer. A copy of the model, or one that is loaded, has a hook that does nothing."""

    def __init__(self, order: list[str], path: str) -> None:
        self._order, self._path = order, path
        self._called = False

    def __call__(self, module: nn.Module, arguments: Any) -> None:  # noqa: ARG002  # the signature of a hook
        if not torch.compiler.is_compiling() and not self._called:
            self._called = True
            self._order.append(self._path)

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _inert_hook, ()


def _inert_hook() -> Callable[..., None]:
    return do_nothing


def do_nothing(module: nn.Module, arguments: Any) -> None:
    """Be the hook of a copy."""


def layer_rows(model: nn.Module, calls: Iterable[str] = (), gradients: str = "") -> LayerRows:
    """Return the layer table of a model.

    Args:
        model: also wrapped, sharded or compiled.
        calls: paths of layers in the order of their first calls; nothing if no call was seen.
        gradients: where they are seen, see `tags.gradient_stage`.
    """
    modules = {tags.layer_path(name): module for name, module in model.named_modules() if ".parametrizations" not in name}
    roles: dict[str, list[RoleRow]] = {}
    for named, trained in _named(model):
        path = _layer_of(named, modules)
        roles.setdefault(path, []).append(_role(path, named, modules.get(path, model), trained=trained))
    order = in_call_order(roles, calls)
    layers = [
        LayerRow(path, class_name(module), order.get(path), tuple(roles.get(path, ())))
        for path, module in modules.items()
        if path or roles.get(path)
    ]
    return LayerRows("torch", tuple(layers), gradients)


def transform(module: nn.Module, role: str, axes: int) -> str:
    """Return how a tensor of a layer is brought into the compared layout; the class decides, not the name.

    Args:
        module: the layer.
        role: of the tensor, e.g. 'kernel'; of a parametrized one with what follows it, e.g. 'kernel/original1'.
        axes: of the tensor.
    """
    name = role.partition("/")[0]
    if isinstance(module, nn.MultiheadAttention):
        return _of_attention(name, axes)
    if name == "kernel" and isinstance(module, (*_CONVS, *_TRANSPOSED)):
        ends = (0, 1) if isinstance(module, _TRANSPOSED) else (1, 0)
        return transpose(*range(_MATRIX, axes), *ends) if axes > _MATRIX else IDENTITY
    if isinstance(module, _RECURRENT):
        return _of_recurrent(module, name, axes)
    return transpose(1, 0) if name == "kernel" and axes == _MATRIX and _is_linear(module) else IDENTITY


def _of_attention(name: str, axes: int) -> str:
    if name in {"in_proj_weight", "in_proj_bias"}:
        return then(transpose(1, 0) if axes == _MATRIX else IDENTITY, THIRDS)
    return transpose(1, 0) if name in _PROJECTIONS else IDENTITY


def _of_recurrent(module: nn.Module, name: str, axes: int) -> str:
    if not name.startswith(("weight_", "bias_")):
        return IDENTITY
    turned = transpose(1, 0) if axes == _MATRIX else IDENTITY
    # PyTorch has reset, update, new; Keras has update, reset, new. Of an LSTM both have the gates in one order.
    return then(turned, _GATES if isinstance(module, _GRU) else IDENTITY)


def _is_linear(module: nn.Module) -> bool:
    """Return whether a layer is a dense one of PyTorch, or one of another package that is called so."""
    return isinstance(module, nn.Linear) or "Linear" in class_name(module)


def _named(model: nn.Module) -> Iterator[tuple[Named, bool]]:
    for named in named_parameters(model):
        yield named, bool(named.parameter.requires_grad)
    for named in named_buffers(model):
        yield named, False


def _layer_of(named: Named, modules: dict[str, nn.Module]) -> str:
    """Return the path of the layer that has a parameter: what a parametrization makes of one has a longer name."""
    path = named.path.rpartition("/")[0]
    while path and path not in modules:
        path = path.rpartition("/")[0]
    return path


def _role(path: str, named: Named, module: nn.Module, *, trained: bool) -> RoleRow:
    name = named.path.removeprefix(f"{path}/") if path else named.path
    shape = None if nn.parameter.is_lazy(named.parameter) else tuple(map(int, named.parameter.shape))
    turned = IDENTITY if shape is None else transform(module, name, len(shape))
    dtype = str(named.parameter.dtype).removeprefix("torch.")
    return RoleRow(name, named.path, named.native, shape, turned, dtype, trained)
