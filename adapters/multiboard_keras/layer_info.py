"""The layer table of a model: its layers in the order in which a train step calls them, and what they hold."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import keras

from multiboard.layer_rows import LayerRow, LayerRows, RoleRow, in_call_order
from multiboard.transforms import DEPTHWISE, FLATTEN, IDENTITY, UNKNOWN, merge, then, transpose
from multiboard_keras.layer_paths import layer_paths
from multiboard_keras.layers import Names
from multiboard_keras.sight import replaced

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterable

    Function = Callable[..., Any]

_MATRIX: Final = 2
_UP: Final = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
_DEPTHWISE: Final = ("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")


class FirstCalls:
    """Sees in which order the layers of a model are called for the first time.

    Args:
        model: built.

    Attributes:
        order: paths of the layers that were called.
    """

    def __init__(self, model: keras.Model) -> None:
        self.order: dict[str, None] = {}
        self._model = model

    def watch(self, stack: contextlib.ExitStack) -> None:
        """Replace methods of layers until the stack is left."""
        for path, layer in layer_paths(self._model).items():
            name = "call" if getattr(layer, "quantization_mode", None) is None else "quantized_call"
            stack.enter_context(replaced(layer, name, self._noted(path, getattr(layer, name))))

    def _noted(self, path: str, original: Function) -> Function:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.order.setdefault(path)
            return original(*args, **kwargs)

        return call


def layer_rows(model: keras.Model, calls: Iterable[str] = (), gradients: str = "") -> LayerRows:
    """Return the layer table of a model.

    Args:
        model: built.
        calls: paths of layers in the order of their first calls; nothing if no call was seen.
        gradients: where they are seen, see `tags.gradient_stage`.
    """
    layers, names = layer_paths(model), Names(model)
    trained = {id(variable) for variable in model.trainable_variables}
    roles: dict[str, list[RoleRow]] = {}
    classes: dict[str, str] = {path: type(layer).__name__ for path, layer in layers.items()}
    for variable in model.weights:
        named = names.of(variable)
        path, _, role = named.path.rpartition("/")
        classes.setdefault(path, named.layer_class)
        shape = tuple(map(int, variable.shape))
        turned = transform(layers.get(path), role, len(shape))
        dtype = keras.backend.standardize_dtype(variable.dtype)
        row = RoleRow(role, named.path, named.native, shape, turned, dtype, id(variable) in trained)
        roles.setdefault(path, []).append(row)
    order = in_call_order(roles, calls)
    found = [LayerRow(path, cls, order.get(path), tuple(roles.get(path, ()))) for path, cls in classes.items()]
    return LayerRows("keras", tuple(found), gradients)


def transform(layer: Any, role: str, axes: int) -> str:
    """Return how a tensor of a layer is brought into the compared layout; the class decides, not the name.

    Args:
        layer: None if it is not known.
        role: of the tensor, e.g. 'kernel'.
        axes: of the tensor.
    """
    if axes <= 1 or (layer is None and axes == _MATRIX):
        return IDENTITY
    if layer is None:
        return UNKNOWN
    if isinstance(layer, keras.layers.EinsumDense):
        return FLATTEN if role == "bias" else _of_einsum(layer.equation, axes) if role == "kernel" else IDENTITY
    if role == "kernel" and _is(layer, _UP):
        return transpose(*range(axes - _MATRIX), axes - 1, axes - 2)
    depthwise = role == "depthwise_kernel" or (role == "kernel" and _is(layer, _DEPTHWISE))
    return DEPTHWISE if depthwise else IDENTITY


def _of_einsum(equation: str, axes: int) -> str:
    """Return how the kernel of an equation becomes [in, out]: its letters that the output does not have are the input.

    >>> _of_einsum("abc,cde->abde", 3), _of_einsum("abcd,cde->abe", 3), _of_einsum("...x,xy->...y", 2)
    ('merge 1', 'merge 2', 'identity')
    """
    operands, _, output = equation.replace("...", "").partition("->")
    kernel = operands.partition(",")[2]
    if len(kernel) != axes:
        return UNKNOWN
    inner = [axis for axis, letter in enumerate(kernel) if letter not in output]
    order = [*inner, *(axis for axis in range(axes) if axis not in inner)]
    turned = IDENTITY if order == sorted(order) else transpose(*order)
    return then(turned, merge(len(inner)) if axes > _MATRIX else IDENTITY)


def _is(layer: Any, classes: Iterable[str]) -> bool:
    return any(cls.__name__ in classes and cls.__module__.startswith("keras.") for cls in type(layer).__mro__)
