"""Where a parameter belongs: its canonical layer path, its role, and what it is called in PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from multiboard import tags
from multiboard_torch._compat import is_persistent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor

_NORMS: Final = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)
_EMBEDDINGS: Final = (nn.Embedding, nn.EmbeddingBag)


class Named(NamedTuple):
    """A parameter or buffer and its names.

    Attributes:
        path: layer path and role, e.g. 'conv1/kernel': what follows 'params/' in the tag.
        native: the name in the model, e.g. 'conv1.weight'.
        layer_class: the class of the layer, e.g. 'Conv2d'.
        parameter: the parameter itself.
        aliases: further native names of a tied parameter.
    """

    path: str
    native: str
    layer_class: str
    parameter: Tensor
    aliases: tuple[str, ...] = ()


class _Place(NamedTuple):
    """Where a tensor is in a model.

    Attributes:
        layer: the native name of the layer, '' for the model itself.
        module: the layer.
        native: the name of the tensor in the model.
        role: its role in the layer.
    """

    layer: str
    module: nn.Module
    native: str
    role: str
    tensor: Tensor


def named_parameters(model: nn.Module) -> Iterator[Named]:
    """Yield every parameter of a model once, in definition order; of tied parameters the first name counts.

    Two parameters that would get the same path (`weight` and `kernel` of one layer) keep their native name, or get a number. What
    is below a parametrization of a weight is named after that weight: `dense/kernel/original0`.
    """
    first: dict[int, _Place] = {}
    aliases: dict[int, list[str]] = {}
    for place in _parameter_places(model):
        if id(place.tensor) in first:
            aliases.setdefault(id(place.tensor), []).append(place.native)
        else:
            first[id(place.tensor)] = place
    return _named(first.values(), aliases)


def named_buffers(model: nn.Module) -> Iterator[Named]:
    """Yield every buffer that is saved with the model, such as running means, but no counters."""
    places = [
        _Place(layer, module, _join(layer, name, "."), tags.role(name), buffer)
        for layer, module in model.named_modules()
        for name, buffer in module.named_buffers(recurse=False)
        if buffer.ndim and is_persistent(module, name)
    ]
    return _named({id(place.tensor): place for place in places}.values(), {})


def role(name: str, parameter: Tensor, module: nn.Module) -> str:
    """Return the role of a parameter by its own name and its layer.

    The weight of a layer of another class counts as a scale if the class is called '...Norm' and the weight has one axis.
    """
    named_norm = type(module).__name__.endswith("Norm") and parameter.ndim == 1
    return tags.role(
        name,
        norm_layer=isinstance(module, _NORMS) or named_norm,
        embedding_layer=isinstance(module, _EMBEDDINGS),
    )


def _parameter_places(model: nn.Module) -> Iterator[_Place]:
    modules = dict(model.named_modules(remove_duplicate=False))
    for layer, module in modules.items():
        for name, parameter in module.named_parameters(recurse=False):
            native = _join(layer, name, ".")
            if isinstance(module, ParametrizationList):
                owner, _, weight = f".{layer}".rpartition(".parametrizations.")
                layer_of, original = owner.removeprefix("."), "" if name == "original" else f"/{name}"
                yield _Place(
                    layer_of, modules[layer_of], native, role(weight, parameter, modules[layer_of]) + original, parameter
                )
            else:
                yield _Place(layer, module, native, role(name, parameter, module), parameter)


def _named(places: Iterable[_Place], aliases: Mapping[int, list[str]]) -> Iterator[Named]:
    paths: set[str] = set()
    for place in places:
        path = _unused(tags.layer_path(place.layer), place.role, place.native.rpartition(".")[2], paths)
        paths.add(path)
        also = tuple(aliases.get(id(place.tensor), ()))
        yield Named(path, place.native, class_name(place.module), place.tensor, also)


def class_name(module: nn.Module) -> str:
    """Return the name of the class of a layer, without what a parametrization or `fully_shard` makes of it.

    >>> class_name(nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)))
    'Linear'
    """
    name = type(module).__name__
    parametrized = hasattr(module, "parametrizations") and name.startswith("Parametrized")
    sharded = name.startswith("FSDP") and type(module).__mro__[1].__name__ == "FSDPModule"
    return type(module).__mro__[2 if sharded else 1 if parametrized else 0].__name__


def _join(layer: str, name: str, separator: str) -> str:
    return f"{layer}{separator}{name}" if layer else name


def _unused(layer: str, role_name: str, native: str, used: set[str]) -> str:
    path, number = _join(layer, role_name, "/"), 1
    if path in used:
        path = _join(layer, native, "/")
    while path in used:
        number += 1
        path = _join(layer, f"{native}_{number}", "/")
    return path
