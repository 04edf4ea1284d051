"""The layer table of a step: its layers in the order in which they are called while it is traced, and what they hold."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jax

from multiboard import tags
from multiboard.layer_rows import LayerRow, LayerRows, RoleRow, in_call_order
from multiboard.transforms import FLATTEN, IDENTITY, UNKNOWN, merge, then, transpose
from multiboard_jax.paths import places

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from multiboard_jax.collected import Tagged

_SHOWN: Final = (tags.PARAMS, tags.GRADS, tags.UPDATES, tags.BUFFERS)
"""Groups whose tags are those of parameters and buffers, the first one that has a tag counts."""
_MATRIX: Final = 2
_HEADED: Final = frozenset({"DenseGeneral", "LinearGeneral"})


class Called(NamedTuple):
    """What the layer table needs to know of a layer that is called.

    Attributes:
        name: of its class.
        cls: of the class of Flax or equinox that it is one of, which says how its parameters lie.
        equinox: whether it is one of equinox, where the output comes first.
        contracted: axes of a kernel that are summed over, of a dense layer with heads; 0 of others.
        turned: whether the kernel of a transposed convolution lies as that of the convolution whose gradient it is.
        axes: of the kernel of one layer, where they are moved or merged; 0 if that is not known. Stacked layers have one more.
    """

    name: str
    cls: str
    equinox: bool = False
    contracted: int = 0
    turned: bool = False
    axes: int = 0


def called(layer: Any) -> Called:
    """Return what the layer table needs to know of a layer."""
    known = next((cls for cls in type(layer).__mro__ if cls.__module__.startswith(("flax.", "equinox."))), type(layer))
    axis = getattr(layer, "axis", None)
    axes = len(axis) if isinstance(axis, (tuple, list)) else int(isinstance(axis, int))
    contracted = axes if known.__name__ in _HEADED else 0
    turned = bool(getattr(layer, "transpose_kernel", False))
    equinox = known.__module__.startswith("equinox.")
    return Called(type(layer).__name__, known.__name__, equinox, contracted, turned, _axes(layer, known.__name__, contracted))


def _axes(layer: Any, cls: str, contracted: int) -> int:
    if contracted:
        features = getattr(layer, "out_features", getattr(layer, "features", None))
        return contracted + (len(features) if isinstance(features, (tuple, list)) else 1)
    size = getattr(layer, "kernel_size", ())
    return _MATRIX + ((len(size) if isinstance(size, (tuple, list)) else 1) if cls.startswith("Conv") else 0)


def transform(layer: Called | None, role: str, axes: int) -> str:
    """Return how a tensor of a layer is brought into the compared layout; the class decides, not the name.

    Args:
        layer: as it was called; None if its class is not known.
        role: of the tensor, e.g. 'kernel'.
        axes: of the tensor.

    >>> transform(Called("DenseGeneral", "DenseGeneral", contracted=1), "kernel", 3)
    'merge 1'
    """
    if axes <= 1:
        return IDENTITY
    if layer is None:
        return IDENTITY if axes == _MATRIX or role not in {"kernel", "bias"} else UNKNOWN
    if role not in {"kernel", "bias"} or not _is_moved(layer) or (role == "bias" and not _has_axes(layer)):
        return IDENTITY
    if layer.axes not in {0, axes + (max(1, layer.contracted) if role == "bias" else 0)}:
        return UNKNOWN
    return FLATTEN if role == "bias" else _of_kernel(layer, axes)


def _is_moved(layer: Called) -> bool:
    """Return whether the compared layout of a kernel is another one."""
    return _has_axes(layer) or layer.cls.startswith("ConvTranspose")


def _has_axes(layer: Called) -> bool:
    """Return whether a bias has more axes than one."""
    return layer.contracted > 0 or (layer.equinox and (layer.cls.startswith("Conv") or "Linear" in layer.cls))


def _of_kernel(layer: Called, axes: int) -> str:
    space = range(axes - _MATRIX)
    up = layer.cls.startswith("ConvTranspose")
    if layer.contracted:
        return merge(layer.contracted) if axes > _MATRIX else IDENTITY
    if layer.equinox:
        turned = transpose(*range(_MATRIX, axes), 1, 0)
        return then(turned, _flip(space)) if up else turned
    return transpose(*space, axes - 1, axes - 2) if layer.turned else _flip(space)


def _flip(axes: Iterable[int]) -> str:
    return " ".join(["flip", *map(str, axes)])


class _Tensor(NamedTuple):
    """A parameter or buffer of the step.

    Attributes:
        path: what follows the group in its tags.
        native: in the framework.
        cls: of its layer, '' if that is not known.
        shape: None if it is not known.
        dtype: by its name in NumPy.
        trained: whether the optimizer may change it.
    """

    path: str
    native: str
    cls: str
    shape: tuple[int, ...] | None
    dtype: str
    trained: bool


def layer_rows(found: Mapping[str, Tagged], holders: Iterable[tuple[str, Any]], calls: Mapping[str, Called]) -> LayerRows:
    """Return the layer table of a step.

    Args:
        found: all that is tagged in it.
        holders: trees of parameters among its arguments, with what stands before their paths.
        calls: the layers in the order of their first calls, by path.
    """
    tensors = _tensors(found, holders)
    paths = dict.fromkeys([*(tensor.path.rpartition("/")[0] for tensor in tensors), *filter(None, calls)])
    seen = _seen_as(paths, calls)
    order = in_call_order(paths, [path for one in calls for path in seen if seen[path] == one])
    layers = []
    for path in paths:
        known = calls.get(seen.get(path, path))
        own = [tensor for tensor in tensors if tensor.path.rpartition("/")[0] == path]
        name = known.name if known else next((tensor.cls for tensor in own if tensor.cls), "")
        layers.append(LayerRow(path, name, order.get(path), tuple(_role(tensor, known) for tensor in own)))
    return LayerRows("jax", tuple(layers), _stage(found))


def _tensors(found: Mapping[str, Tagged], holders: Iterable[tuple[str, Any]]) -> list[_Tensor]:
    tensors: dict[str, _Tensor] = {}
    for group in _SHOWN:
        for tag, tagged in found.items():
            head, _, path = tag.partition("/")
            if head == group and path not in tensors:
                native, cls = tags.described(tagged.label.description)
                tensors[path] = _Tensor(path, native, cls, *_shape(tagged.value), group != tags.BUFFERS)
    shown = dict(tensors)
    for name, tree in holders:
        for leaf, place in zip(jax.tree.leaves(tree), places(tree), strict=True):
            path = f"{name}/{place.layer}" if name else place.layer
            if hasattr(leaf, "dtype") and path not in tensors and not (name and _is_shown(place.layer, leaf, shown)):
                tensors[path] = _Tensor(path, place.native, place.layer_class, *_shape(leaf), trained=False)
    return list(tensors.values())


def _is_shown(path: str, leaf: Any, shown: Mapping[str, _Tensor]) -> bool:
    """Tell whether a parameter is there under the name of its optimizer, where there are several."""
    shape = getattr(leaf, "shape", ())
    return any(one.path.endswith(f"/{path}") and one.shape in {None, tuple(shape)} for one in shown.values())


def _shape(value: Any) -> tuple[tuple[int, ...] | None, str]:
    """Return the shape and the type of an array; neither is known of what was summed up in a loop."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return None if shape is None else tuple(map(int, shape)), "" if dtype is None else str(dtype)


def _seen_as(paths: Iterable[str], calls: Mapping[str, Called]) -> dict[str, str]:
    """Return under which path the layer of a parameter was called: with several models without the name of its own.

    Of two models that call a layer alike it is not known which one was seen.
    """
    seen = {path: path if path in calls else path.partition("/")[2] for path in paths}
    count = Counter(seen.values())
    return {path: one for path, one in seen.items() if one in calls and (path == one or count[one] == 1)}


def _role(tensor: _Tensor, layer: Called | None) -> RoleRow:
    role = tensor.path.rpartition("/")[2]
    turned = UNKNOWN if tensor.shape is None else transform(layer, role, len(tensor.shape))
    return RoleRow(role, tensor.path, tensor.native, tensor.shape, turned, tensor.dtype, tensor.trained)


def _stage(found: Mapping[str, Tagged]) -> str:
    stages: Iterator[str] = (
        tags.stage_of(tagged.label.description) for tag, tagged in found.items() if tag.startswith(f"{tags.GRADS}/")
    )
    return next(stages, "")
