"""Where a parameter belongs: its canonical layer path, its role, and what it is called in PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from torch import nn

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """A parameter and its names.

    Attributes:
        path: layer path and role, e.g. 'conv1/kernel': what follows 'params/' in the tag.
        native: the name in the model, e.g. 'conv1.weight'.
        layer_class: the class of the layer, e.g. 'Conv2d'.
        parameter: the parameter itself.
    """

    path: str
    native: str
    layer_class: str
    parameter: Tensor


def named_parameters(model: nn.Module) -> Iterator[Named]:
    """Yield every parameter of a model once, in definition order; of tied parameters the first name counts.

    Two parameters that would get the same path (`weight` and `kernel` of one layer) keep their native name, or get a number.
    """
    seen: set[int] = set()
    paths: set[str] = set()
    for layer, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                path = _unused(tags.layer_path(layer), role(name, parameter, module), name, paths)
                paths.add(path)
                yield Named(path, f"{layer}.{name}" if layer else name, type(module).__name__, parameter)


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


def _unused(layer: str, role_name: str, native: str, used: set[str]) -> str:
    prefix = f"{layer}/" if layer else ""
    path, number = f"{prefix}{role_name}", 1
    if path in used:
        path = f"{prefix}{native}"
    while path in used:
        number += 1
        path = f"{prefix}{native}_{number}"
    return path
