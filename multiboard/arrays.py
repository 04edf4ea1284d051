"""Foreign numbers and arrays: what the caller keeps of them, and how the writer thread brings them to the host.

No framework is imported: a tensor in hand means that its framework is in `sys.modules`. The caller's side (`take_scalar`,
`take_array`) never waits for a device; the writer's side (`fetch_scalar`, `fetch_array`) may.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard.errors import ValueKindError, ValueShapeError
from multiboard.protocols import Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from multiboard.values import Foreign

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


def stack_scalars(values: Iterable[Foreign]) -> tuple[Foreign, ...]:
    """Replace taken scalars that are on an accelerator by pending ones that share one copy, without waiting for it."""
    taken = list(values)
    on_device = [i for i, value in enumerate(taken) if framework_of(type(value)) == "torch"]
    if on_device:
        stack = _TorchStack([taken[i] for i in on_device])
        for row, i in enumerate(on_device):
            taken[i] = _TorchScalar(stack, row)
    return tuple(taken)


def take_scalar(tag: str, value: Foreign) -> Foreign:
    """Turn a value into a number, or into a reference that stays valid, without waiting for a device.

    The tensors of PyTorch on an accelerator stay as they are; `stack_scalars` copies all of a call at once.

    Raises:
        ValueKindError: the value is not a number.
        ValueShapeError: the value has more than one element.
    """
    if isinstance(value, (bool, int, float, Pending)):
        return value
    framework = framework_of(type(value))
    if framework:
        value = _concrete(tag, value, framework)
        _check_scalar(tag, value)
        take = _TAKE_SCALAR.get(framework_of(type(value)))
        return take(tag, value) if take else value
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


def _take_torch_scalar(_tag: str, value: Any) -> Foreign:
    return value.item() if value.device.type == "cpu" else value


_TAKE_SCALAR: Final[dict[str, Callable[[str, Any], Foreign]]] = {"numpy": _take_numpy_scalar, "torch": _take_torch_scalar}


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


class _TorchStack:
    """Scalars of one call that are on an accelerator: one stacked clone in stream order, read by the writer thread.

    The clone is safe against later updates in place. The event is waited for instead of the device: the writer thread's
    own current stream knows nothing of the stream on which the caller computed.
    """

    def __init__(self, tensors: Sequence[Any]) -> None:
        torch = sys.modules["torch"]
        flat = [tensor.detach().reshape(()) for tensor in tensors]
        if len({(tensor.dtype, tensor.device) for tensor in flat}) > 1:
            flat = [tensor.to(flat[0].device, torch.float32, non_blocking=True) for tensor in flat]
        self._stack = torch.stack(flat)
        self._copied = _record_event(self._stack)
        self._numbers: list[float] | None = None

    def fetch(self) -> list[float]:
        if self._numbers is None:
            if self._copied is not None:
                self._copied.synchronize()
            self._numbers = self._stack.tolist()
        return self._numbers


class _TorchScalar:
    """One number of a stack."""

    def __init__(self, stack: _TorchStack, row: int) -> None:
        self._stack = stack
        self._row = row

    def fetch(self) -> float:
        return self._stack.fetch()[self._row]


class _TorchArray:
    """A clone of a tensor on an accelerator."""

    def __init__(self, tensor: Any) -> None:
        self._clone = tensor.detach().clone()
        self._copied = _record_event(self._clone)

    def fetch(self) -> npt.NDArray[Any]:
        if self._copied is not None:
            self._copied.synchronize()
        return _torch_to_numpy(self._clone)


def _record_event(tensor: Any) -> Any:
    """Return an event on the current stream of the tensor's device, or None where streams do not exist."""
    if not tensor.is_cuda:
        return None
    cuda = sys.modules["torch"].cuda
    return cuda.current_stream(tensor.device).record_event()


def take_array(tag: str, value: Foreign) -> Foreign:
    """Return a copy or a reference that later changes of `value` cannot reach, without waiting for a device.

    Raises:
        ValueKindError: the value is not an array of numbers.
    """
    if isinstance(value, Pending):
        return value
    framework = framework_of(type(value))
    if framework:
        value = _concrete(tag, value, framework)
        framework = framework_of(type(value))
    if framework == "torch":
        return value.detach().cpu().clone() if value.device.type == "cpu" else _TorchArray(value)
    if framework in {"jax", "tensorflow"}:
        return value  # immutable; a donated jax array is reported when it is fetched
    try:
        array = np.array(value)  # copies: the caller may go on writing into its array
    except ValueError as error:
        raise ValueKindError(tag, value, f"an array of numbers is needed ({error}).") from error
    if array.dtype.kind in "OUSmM":
        raise ValueKindError(tag, value, "an array of numbers is needed.")
    return array


def fetch_scalar(value: Foreign) -> float:
    """Return the number behind a taken scalar; waits for its device if necessary."""
    if isinstance(value, (bool, int, float)):
        return _float(value)
    if isinstance(value, Pending):
        value = value.fetch()
    return float(np.asarray(value, dtype=np.float64).reshape(()))


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer of more than 1,024 bits
        return float("inf") if number > 0 else float("-inf")


def fetch_array(value: Foreign) -> npt.NDArray[Any]:
    """Return the host array behind a taken array; waits for its device if necessary. bfloat16 keeps its exact values."""
    if isinstance(value, Pending):
        value = value.fetch()
    if framework_of(type(value)) == "torch":
        return _torch_to_numpy(value)
    return np.asarray(value)


def _torch_to_numpy(tensor: Any) -> npt.NDArray[Any]:
    torch = sys.modules["torch"]
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.is_sparse:
        tensor = tensor.to_dense()
    if tensor.is_floating_point() and tensor.dtype not in {torch.float32, torch.float64, torch.float16}:
        tensor = tensor.float()  # exact for bfloat16 and float8, which NumPy lacks
    array: npt.NDArray[Any] = tensor.cpu().numpy()
    return array


def shape_of(value: Foreign) -> tuple[int, ...] | None:
    """Return the shape of a taken array, or None if it is only known after fetching."""
    shape = getattr(value, "shape", None)
    return None if shape is None else tuple(shape)
