"""Tensors that are kept element by element: they leave the train step beside what is counted.

On PyTorch they are copied when they are seen. On JAX and TensorFlow they are further outputs of a train step of their own, which
is compiled when the first one is due.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import keras

from multiboard import exact_samples, tags
from multiboard.arrays import take_array
from multiboard.exact_samples import Kept
from multiboard.transforms import IDENTITY
from multiboard_keras.backend import BACKEND
from multiboard_keras.layer_info import layer_rows
from multiboard_keras.rows import apart, exact_difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from multiboard.exact import Exact
    from multiboard.run import Run

    Tensor = Any

EAGER: Final = BACKEND == "torch"


class ExactTensors:
    """What one run of a train step keeps element by element.

    Args:
        model: a compiled model.
        exact: which tensors; None for none.

    Attributes:
        kept: what is kept, in the order of the tensors.
        tensors: of which a step that is traced returns the values: pairs of a tensor and what it is subtracted from, or None.
    """

    def __init__(self, model: Any, exact: Exact | None) -> None:
        self.kept: list[Kept] = []
        self.tensors: list[tuple[Tensor, Tensor | None]] = []
        self._exact = exact
        self._transforms: Mapping[str, str] = {} if exact is None else layer_rows(model).transforms()

    def begin(self) -> None:
        """Forget what an earlier run of the train step has kept."""
        self.kept, self.tensors = [], []

    def copies(self, kind: str, paths: Sequence[str], tensors: Sequence[Tensor], read: Callable[[Tensor], Tensor]) -> list[Any]:
        """Return what is kept of tensors as they are now, None for those that are not.

        Args:
            kind: 'params', 'grads', 'updates' or 'activations'.
            paths: of the tensors, without the group.
            tensors: of Keras' backend.
            read: returns the values of this moment.
        """
        return [
            self._copy(read(tensor), self._transform(kind, path)) if self._meant(kind, path) else None
            for path, tensor in zip(paths, tensors, strict=True)
        ]

    def add(
        self,
        kind: str,
        described: Iterable[tuple[str, str]],
        tensors: Sequence[Tensor],
        read: Callable[[Tensor], Tensor],
        before: Sequence[Any] | None = None,
    ) -> None:
        """Keep tensors as they are now.

        Args:
            kind: as in `copies`.
            described: paths of the tensors, and what else is told of them.
            tensors: of Keras' backend.
            read: returns the values of this moment.
            before: what `copies` returned for them, if what has been added since is to be kept.
        """
        for at, ((path, base), tensor) in enumerate(zip(described, tensors, strict=True)):
            if self._meant(kind, path):
                self._add(kind, path, base, read(tensor), None if before is None else before[at])

    def _add(self, kind: str, path: str, base: str, tensor: Tensor, before: Any) -> None:
        transform = self._transform(kind, path)
        shape = tuple(tensor.shape)
        limit = 0 if self._exact is None else self._exact.limit
        whole = exact_samples.places(shape, transform, limit) is None
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        description = exact_samples.described(base, dtype, shape, transform, limit)
        self.kept.append(Kept(exact_samples.tag(kind, path), shape if whole else None, transform, description))
        self.tensors.append((self._copy(tensor, transform), before))

    def finished(self) -> tuple[Any, ...]:
        """Return one tensor for each that is kept, on PyTorch pairs of it and what it is subtracted from."""
        if EAGER:
            return tuple(self.tensors)
        found = [tensor if before is None else exact_difference(tensor, before) for tensor, before in self.tensors]
        return tuple(apart(tensor) for tensor in found)

    def _meant(self, kind: str, path: str) -> bool:
        return self._exact is not None and self._exact.has(kind, path)

    def _transform(self, kind: str, path: str) -> str:
        return IDENTITY if kind == tags.ACTIVATIONS else self._transforms.get(path) or IDENTITY

    def _copy(self, tensor: Tensor, transform: str) -> Any:
        places = exact_samples.places(tuple(tensor.shape), transform, 0 if self._exact is None else self._exact.limit)
        if places is not None:
            tensor = keras.ops.take(keras.ops.reshape(tensor, (-1,)), places)
        return take_array("exact", tensor) if EAGER else tensor


def write(run: Run, tensors: Sequence[Any], kept: Iterable[Kept], step: int) -> None:
    """Hand kept tensors to the run, without waiting for them."""
    for tensor, one in zip(tensors, kept, strict=True):
        values, before = tensor if EAGER else (tensor, None)
        if hasattr(values, "copy_to_host_async"):
            values.copy_to_host_async()
        later = exact_samples.Later(values, one.shape, one.transform, before)
        run.kept_tensor(one.tag, later, step, description=one.description)
