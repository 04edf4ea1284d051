"""The records that cross layers: what was logged, on its way from the caller to the file.

Each record says where it belongs (tag, step) and when it was logged (wall time, seconds since the epoch). Fields typed
`Foreign` may still be on a device; the writer thread brings them to the host with `arrays.fetch` before encoding.

NamedTuples, not dataclasses: a third of the time to import and to build.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from multiboard.buckets import Statistics
    from multiboard.protocols import Pending

Foreign: TypeAlias = Any
"""A number or array of NumPy, PyTorch, JAX, TensorFlow, Keras or PIL, or a `Pending` one."""


PLAIN: Final = frozenset({float, int, bool})
"""Types of numbers that need no conversion."""
IMMEDIATE: Final = PLAIN | {np.float64, np.float32, np.float16, np.int64, np.int32, np.bool_}
"""Types of numbers that are on the host and never change."""


class Row(NamedTuple):
    """The numbers of one call as one array of JAX or TensorFlow `[k]`: one for each tag, then any number of others."""

    array: Foreign


class Scalars(NamedTuple):
    """Numbers of one `log` call; they share a step and become one event.

    Attributes:
        values: one for each tag, or a row.
    """

    tags: tuple[str, ...]
    values: tuple[Foreign, ...] | Row
    step: int
    wall_time: float


class Histogram(NamedTuple):
    """The distribution of one tensor, given as values or as finished statistics."""

    tag: str
    values: Statistics | Foreign
    step: int
    wall_time: float
    description: str = ""


class Image(NamedTuple):
    """One or several pictures of the same size.

    Attributes:
        pixels: uint8 (0 to 255) or float (0 to 1), axes as `dataformats` says.
        dataformats: the axes in order, e.g. 'HWC' or 'NCHW'.
    """

    tag: str
    pixels: Foreign
    dataformats: str
    step: int
    wall_time: float
    description: str = ""


class Text(NamedTuple):
    """One markdown text."""

    tag: str
    text: str
    step: int
    wall_time: float
    description: str = ""


class HParams(NamedTuple):
    """The hyper-parameters of the run, flat: the start of its hparams session."""

    values: Mapping[str, bool | float | str]
    wall_time: float


class SessionEnd(NamedTuple):
    """The end of the hparams session of the run."""

    success: bool
    wall_time: float


class Raw(NamedTuple):
    """One finished Event message of another writer, written as it is.

    Attributes:
        event: the serialised message (tensorflow/tensorboard event.proto), with its own step and wall time.
        step: the same step once more.
    """

    event: bytes
    step: int


class Summary(NamedTuple):
    """One finished tensor of any TensorBoard plugin.

    Attributes:
        plugin: the plugin's name, e.g. 'audio'.
        data_class: SCALAR, TENSOR or BLOB_SEQUENCE of `wire`, 0 for unset.
        tensor: the encoded tensor field, made with `wire.numbers` or `wire.strings`.
        content: the plugin's own metadata.
    """

    tag: str
    plugin: str
    data_class: int
    tensor: bytes
    step: int
    wall_time: float
    content: bytes = b""
    description: str = ""


class Derived(Protocol):
    """A value that becomes other values in the writer thread: whatever takes time or waits for a device."""

    def expand(self) -> Iterable[Value]:
        """Return the values in their order; called once."""
        ...


class MeasuredBatch(NamedTuple):
    """Statistics of T tensors as a device kernel returns them, fetched to the host.

    Attributes:
        counts: integers `[T, 1024]` by bucket.
        specials: integers `[T, 4]`: zeros, NaN, +Inf, -Inf.
        moments: float32 `[T, 4]`: sum, sum of squares, smallest, largest of the finite values.
    """

    counts: npt.NDArray[np.integer[Any]]
    specials: npt.NDArray[np.integer[Any]]
    moments: npt.NDArray[np.floating[Any]]


class Capture(NamedTuple):
    """An adapter's measurement of many tensors at one step.

    The writer thread fetches the measured batch once and writes a histogram and a norm per tensor, and a norm and a
    non-finite count per group (the first part of the tags). With params and updates in it, their ratios are written, too.

    Attributes:
        tags: one per tensor, e.g. 'grads/conv1/kernel'.
        batch: fetches a MeasuredBatch with T = len(tags).
        descriptions: by tag: markdown for the dashboard, e.g. native name and layer class.
        norms: whether norms and ratios are written.
        nonfinite: whether non-finite counts are written.
        histograms: whether histograms are written.
        if_any: leave out tensors of which not a single value was counted, e.g. of layers that were not called.
    """

    tags: tuple[str, ...]
    batch: Pending[MeasuredBatch]
    step: int
    wall_time: float
    descriptions: Mapping[str, str] = MappingProxyType({})
    norms: bool = True
    nonfinite: bool = True
    histograms: bool = True
    if_any: bool = False


Value: TypeAlias = "Scalars | Histogram | Image | Text | HParams | SessionEnd | Raw | Capture | Summary | Derived"
