"""The parameters and buffers of a model as a graph draws them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from torch.nn.parameter import is_lazy

from multiboard import tags
from multiboard.graph.recorder import Weight
from multiboard_torch.layers import named_parameters, role
from multiboard_torch.tracing.native import spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

_layer_path: Final = functools.lru_cache(maxsize=4096)(tags.layer_path)


def weights(model: nn.Module) -> Iterator[tuple[Tensor, Weight]]:
    """Yield every parameter and buffer of a model once; names are those of the histograms.

    Parameters that take no gradients count as state. One without a shape yet (of a lazy layer) is left out.
    """
    seen: set[int] = set()
    for named in named_parameters(model):
        layer = layer_of(named.native)
        own = named.path.removeprefix(f"{_layer_path(layer)}/")
        weight = weight_of(model, named.parameter, own, named.path, named.native, trainable=named.parameter.requires_grad)
        seen.add(id(named.parameter))
        if weight is not None:
            yield named.parameter, weight
    for layer, module in model.named_modules():
        for name, buffer in module._buffers.items():  # noqa: SLF001  # named_buffers takes longer than the rest of this
            if buffer is None:
                continue
            weight = None if id(buffer) in seen else weight_in(model, module, layer, name, buffer)
            seen.add(id(buffer))
            if weight is not None:
                yield buffer, weight


def layer_of(native: str) -> str:
    """Return the native name of the layer of a parameter; of what is below a parametrization that of the parametrized layer.

    >>> layer_of("dense.weight"), layer_of("dense.parametrizations.weight.original0"), layer_of("weight")
    ('dense', 'dense', '')
    """
    parametrized, found, _ = f".{native}".partition(".parametrizations.")
    return parametrized.removeprefix(".") if found else native.rpartition(".")[0]


def weight_in(model: nn.Module, module: nn.Module, layer: str, name: str, tensor: Tensor) -> Weight | None:
    """Return a parameter or buffer of a layer.

    Args:
        model: of the layer.
        module: the layer.
        layer: its native name.
        name: of the tensor in it.
        tensor: the parameter or buffer.
    """
    becomes = getattr(module, "cls_to_become", None)  # of a lazy layer, whose own class says nothing
    role_name = role(name, tensor, module if becomes is None else object.__new__(becomes))
    place = _layer_path(layer)
    path, native = f"{place}/{role_name}" if place else role_name, f"{layer}.{name}" if layer else name
    trainable = name in module._parameters and tensor.requires_grad  # noqa: SLF001  # without a copy
    return weight_of(model, tensor, role_name, path, native, trainable=trainable)


def weight_of(model: nn.Module, tensor: Tensor, role_name: str, path: str, native: str, *, trainable: bool) -> Weight | None:
    """Return how a tensor is drawn, None if it has no values yet."""
    if is_lazy(tensor):
        return None
    return Weight((id(model), native), role_name, path, native, spec(tensor), tensor.numel(), trainable=trainable)
