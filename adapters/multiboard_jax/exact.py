"""Tensors that are kept element by element: further outputs of the variant of the step that runs when they are due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from multiboard import exact_samples
from multiboard.arrays import transfers_allowed
from multiboard.exact_samples import Kept
from multiboard.transforms import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from multiboard.exact import Exact
    from multiboard.run import Run
    from multiboard_jax.collected import Tagged


def keep(
    found: Mapping[str, Tagged], transforms: Mapping[str, str], exact: Exact | None
) -> tuple[tuple[jax.Array, ...], tuple[Kept, ...]]:
    """Return the arrays to be kept, inside a trace, and what they are.

    What was summed up in a loop, a branch or a shard is no array any more, and is left out.

    Args:
        found: all that is tagged in the step.
        transforms: how tensors are brought into the compared layout, by their tags without the group.
        exact: which ones; None for none.
    """
    arrays, kept = [], []
    for name, tagged in found.items() if exact is not None else ():
        kind, _, path = name.partition("/")
        if exact is not None and exact.has(kind, path) and isinstance(tagged.value, (jax.Array, np.ndarray)):
            transform = transforms.get(path) or IDENTITY
            array, one = _keep(name, tagged, transform, exact.limit)
            arrays.append(array)
            kept.append(one)
    return tuple(arrays), tuple(kept)


def _keep(name: str, tagged: Tagged, transform: str, limit: int) -> tuple[jax.Array, Kept]:
    value = jnp.asarray(tagged.value)
    shape = tuple(map(int, value.shape))
    places = exact_samples.places(shape, transform, limit)
    description = exact_samples.described(tagged.label.description, value.dtype, shape, transform, limit)
    # A copy: an argument that is returned as it is may be donated to the next step.
    # By its axes: places in a flat array of two billion elements do not fit into the integers of JAX.
    array = jnp.copy(value) if places is None else value[np.unravel_index(places, shape)]
    return array, Kept(f"{exact_samples.GROUP}/{name}", shape if places is None else None, transform, description)


def write(run: Run, arrays: Sequence[jax.Array], kept: Iterable[Kept], step: int) -> None:
    """Hand kept arrays to the run, without waiting for them."""
    for array, one in zip(arrays, kept, strict=True):
        later = exact_samples.Later(_Arrival(array), one.shape, one.transform)
        run.kept_tensor(one.tag, later, step, description=one.description)


class _Arrival:
    """An output of a compiled program on its way to the host; a `Pending`.

    Attributes:
        nbytes: that it holds on the device.
    """

    def __init__(self, array: jax.Array) -> None:
        self._array: Any = array
        self.nbytes = int(array.nbytes)
        with transfers_allowed():
            array.copy_to_host_async()

    def fetch(self) -> npt.NDArray[Any]:
        """Wait for the array and return it."""
        with transfers_allowed():
            return np.asarray(self._array)
