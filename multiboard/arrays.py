"""Foreign numbers and arrays: what the caller keeps of them, and how the writer thread brings them to the host.

No framework is imported: a tensor in hand means that its framework is in `sys.modules`. The caller's side (`take_scalar`,
`take_array`) never waits for a device; the writer's side (`fetch_scalar`, `fetch_array`) may.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard import copies, torch_values
from multiboard.errors import ValueKindError, ValueShapeError
from multiboard.protocols import is_pending
from multiboard.values import IMMEDIATE, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    import numpy.typing as npt

    from multiboard.values import Foreign, Scalars

_SCALAR_RULE: Final = "a scalar is one real number; log a distribution with run.histogram, or reduce it first, e.g. x.mean()."


_framework_by_class: dict[type, str] = {}


def framework_of(cls: type) -> str:
    """Return 'numpy', 'torch', 'jax', 'tensorflow', 'keras', 'pil', or '' for the class of a value."""
    found = _framework_by_class.get(cls)
    if found is None:
        found = _framework_by_class[cls] = _find_framework(cls)
    return found


def _find_framework(cls: type) -> str:
    if issubclass(cls, (np.ndarray, np.generic)):
        return "numpy"
    for name, module, attributes in _FOREIGN:
        loaded = sys.modules.get(module)
        for attribute in attributes:
            foreign = getattr(loaded, attribute, None)  # a module that is still being imported may lack it
            if isinstance(foreign, type) and issubclass(cls, foreign):
                return name
    return ""


_FOREIGN: Final = (
    ("torch", "torch", ("Tensor",)),
    ("jax", "jax", ("Array",)),
    ("jax", "jax.core", ("Tracer",)),
    ("tensorflow", "tensorflow", ("Tensor", "Variable")),
    ("keras", "keras", ("Variable", "KerasTensor")),
    ("pil", "PIL.Image", ("Image",)),
)
"""Framework, module and classes of its arrays."""


hosts: Final[dict[type, Callable[[Any], npt.NDArray[Any]]]] = {}
"""By class: what makes a NumPy array of an array of a framework whose adapter is in another package."""


REFERENCES: Final[set[type]] = set(IMMEDIATE)
"""Types of numbers of which a reference is enough: those of JAX and TensorFlow never change. Grows as their classes are met."""


def stack_scalars(values: Iterable[Foreign]) -> tuple[Foreign, ...]:
    """Replace taken scalars of PyTorch by numbers, or by pending ones that share one copy, without waiting for a device."""
    taken = tuple(values)
    numbers = torch_values.on_host(taken)
    if numbers is not None:
        return tuple(numbers)
    return torch_values.stacked(taken, [i for i, value in enumerate(taken) if framework_of(type(value)) == "torch"])


def stack_unchecked(values: tuple[Foreign, ...]) -> tuple[Foreign, ...] | None:
    """Do the same with values that nobody has looked at; None if they are not numbers and plain tensors of PyTorch.

    Args:
        values: as the caller passed them.
    """
    plain = torch_values.plain_classes()
    if not plain or not (plain | IMMEDIATE).issuperset(map(type, values)):
        return None
    try:
        return torch_values.stacked(values, [i for i, value in enumerate(values) if type(value) in plain])
    except Exception:  # noqa: BLE001  # shapes or devices that differ: a look at each value will tell
        return None


def take_scalar(tag: str, value: Foreign) -> Foreign:
    """Turn a value into a number, or into a reference that stays valid, without waiting for a device.

    The tensors of PyTorch stay as they are; `stack_scalars` copies all of a call at once.

    Raises:
        ValueKindError: the value is not a number.
        ValueShapeError: the value has more than one element.
    """
    if isinstance(value, (bool, int, float)) or is_pending(value):
        return value
    framework = framework_of(type(value))
    if framework:
        value = _concrete(tag, value, framework)
        _check_scalar(tag, value)
        if framework_of(type(value)) == "numpy":
            return _take_numpy_scalar(tag, value)
        if framework in {"jax", "tensorflow"}:
            REFERENCES.add(type(value))
        return value
    if type(value) in hosts:
        return take_scalar(tag, hosts[type(value)](value))
    if hasattr(type(value), "__float__"):
        return float(value)
    raise ValueKindError(tag, value, _SCALAR_RULE)


def _check_scalar(tag: str, value: Foreign) -> None:
    dtype = str(getattr(value, "dtype", "object"))  # PIL images have none
    if any(kind in dtype for kind in ("complex", "key<", "string", "object")):
        raise ValueKindError(tag, value, _SCALAR_RULE)
    shape = tuple(value.shape)
    if shape not in {(), (1,)}:
        raise ValueShapeError(tag, shape, _SCALAR_RULE)


def _take_numpy_scalar(tag: str, value: npt.NDArray[Any]) -> float:
    item = value.item()
    if not isinstance(item, (bool, int, float)):
        raise ValueKindError(tag, value, _SCALAR_RULE)
    return item


def _concrete(tag: str, value: Foreign, framework: str) -> Foreign:
    """Return the array behind a variable; refuse what holds no value: tracers, symbolic and meta tensors."""
    if framework == "keras":
        inner = getattr(value, "value", None)
        if inner is None:
            raise ValueKindError(tag, value, "a symbolic Keras tensor has no value; log it while the model runs.")
        return _concrete(tag, inner, framework_of(type(inner)))
    if framework == "torch" and value.device.type == "meta":
        raise ValueKindError(tag, value, "a tensor on the meta device has no value; move it to a real device.")
    if framework == "jax" and isinstance(value, sys.modules["jax"].core.Tracer):
        raise ValueKindError(
            tag,
            type(value),
            "a traced value exists only inside jit; return it from the step, or use multiboard.jax.tag.",
        )
    if framework == "tensorflow":
        if not hasattr(value, "numpy"):
            raise ValueKindError(tag, value, "a symbolic TensorFlow tensor has no value; return it from the tf.function.")
        return value.read_value() if hasattr(value, "read_value") else value
    return value


def take_array(tag: str, value: Foreign) -> Foreign:
    """Return a copy or a reference that later changes of `value` cannot reach, without waiting for a device.

    Raises:
        ValueKindError: the value is not an array of numbers.
    """
    if type(value) is np.ndarray:
        return _copied(tag, value)
    if is_pending(value):
        return value
    framework = framework_of(type(value))
    if framework:
        value = _concrete(tag, value, framework)
        framework = framework_of(type(value))
    if framework == "torch":
        return value.detach().cpu().clone() if value.device.type == "cpu" else torch_values.Array(value)
    if framework in {"jax", "tensorflow"}:
        return value  # immutable; a donated jax array is reported when it is fetched
    if type(value) in hosts:
        value = hosts[type(value)](value)
    return _copied(tag, value)


def _copied(tag: str, value: Foreign) -> npt.NDArray[Any]:
    try:
        array = copies.copy(value)  # the caller may go on writing into its array
    except ValueError as error:
        raise ValueKindError(tag, value, f"an array of numbers is needed ({error}).") from error
    if array.dtype.kind in "OUSmM":
        raise ValueKindError(tag, value, "an array of numbers is needed.")
    return array


def fetch_scalar(value: Foreign) -> float | None:
    """Return the number behind a taken scalar, None if a pending one has none; waits for its device if necessary."""
    if isinstance(value, (bool, int, float)):
        return _float(value)
    if is_pending(value):
        value = value.fetch()
        if value is None:
            return None
    return float(fetch_array(value).item())


def fetch_numbers(scalars: Scalars) -> Iterable[float | None]:
    """Return the numbers of one call, as `fetch_scalar` does each."""
    if type(scalars.values) is not Row:
        return map(fetch_scalar, scalars.values)
    numbers: list[float] = fetch_array(scalars.values.array).tolist()
    return numbers[: len(scalars.tags)]


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer of more than 1,024 bits
        return float("inf") if number > 0 else float("-inf")


def fetch_array(value: Foreign) -> npt.NDArray[Any]:
    """Return the host array behind a taken array; waits for its device if necessary. bfloat16 keeps its exact values."""
    if is_pending(value):
        value = value.fetch()
    if framework_of(type(value)) == "torch":
        return torch_values.to_numpy(value)
    try:
        return np.asarray(value)
    except ValueError:
        if shape_of(value) != ():
            raise
        return np.asarray(value.__array__())  # a number, of a 0-d bfloat16 of TensorFlow


def on_host(value: Foreign) -> npt.NDArray[Any] | None:
    """Return a taken array as one of NumPy if it is on the host, without waiting for anything; else None."""
    if type(value) is np.ndarray:
        return value
    return torch_values.to_numpy(value) if framework_of(type(value)) == "torch" and value.device.type == "cpu" else None


def transfers_allowed() -> AbstractContextManager[object]:
    """Let arrays of JAX come to the host whatever `jax_transfer_guard` says: that is for transfers nobody has asked for."""
    guard = getattr(sys.modules.get("jax"), "transfer_guard_device_to_host", None)
    allowed: AbstractContextManager[object] = contextlib.nullcontext() if guard is None else guard("allow")
    return allowed


def shape_of(value: Foreign) -> tuple[int, ...] | None:
    """Return the shape of a taken array, or None if it is only known after fetching."""
    shape = getattr(value, "shape", None)
    return None if shape is None else tuple(shape)
