"""How outputs of layers get out of a train step on JAX, where they are inside a gradient, and perhaps a scan or a recomputation.

A step that is traced is harvested: each output gets a tag. In a step that runs eagerly an output goes through an operation that
does nothing but keep the array it is given.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from multiboard.buckets import LARGEST, SMALLEST
from multiboard_jax._compat import apart, is_traced
from multiboard_jax.collected import rows as measured_rows
from multiboard_jax.distributed import Placement, replicated
from multiboard_jax.harvest import harvest
from multiboard_jax.statistics import Measured, measure
from multiboard_jax.tagging import HISTOGRAM, Label, bind, is_number
from multiboard_keras._compat import with_mask_of
from multiboard_keras.layer_calls import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from multiboard_jax.harvest import Harvest

_PREFIX: Final = "call of a Keras layer"


class Outputs:
    """The outputs that one run of a train step shows.

    Attributes:
        calls: of layers, one per output; known after the run.
        lost: by path of a layer: why an output was lost; known after the run.
        keeps: whether `kept` will be called.
    """

    def __init__(self) -> None:
        self.keeps = False
        self.calls: list[Call] = []
        self.lost: dict[str, str] = {}
        self._met: dict[str, None] = {}
        self._eager = False
        self._found: list[Any] = []
        self._placement = _placement()

    def run(self, step: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run the step; if it cannot be harvested once more without tags, for its own errors will come again."""
        if not is_traced((args, kwargs)):
            return self._run_eagerly(step, args, kwargs)
        try:
            result, found = harvest(_apart(step), self._placement, *args, **kwargs)
        except Exception as error:  # noqa: BLE001
            self.lost = dict.fromkeys(self._met, f"{type(error).__name__}: {error}")
        else:
            self._keep(found)
            return result
        return step(*args, **kwargs)

    def _run_eagerly(self, step: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        self._eager = True
        token = _outputs.set(self)
        try:
            return step(*args, **kwargs)
        finally:
            _outputs.reset(token)
            reason = "computed in a loop or a function that is compiled, in a step that is not"
            self.lost = dict.fromkeys(self._met.keys() - {call.path for call in self.calls}, reason)

    def counts(self, part: object) -> bool:
        """Return whether a part of an output is an array of numbers."""
        return isinstance(part, jax.Array) and is_number(part)

    def take(self, call: Call, array: jax.Array) -> jax.Array:
        """Name or keep an output and return what the layer is to return in its place."""
        self._met[call.path] = None
        if self._eager:
            taken: jax.Array = _keep_p.bind(array, call=call)
        else:
            taken = bind(array, Label(f"{_PREFIX}/{call.loop}/{call.path}", HISTOGRAM))
        tensor: jax.Array = with_mask_of(taken, array)
        return tensor

    def keep(self, call: Call, array: jax.Array) -> None:
        """Keep an array of a step that runs eagerly."""
        self.calls.append(call)
        self._found.append(array)

    def _keep(self, found: Harvest) -> None:
        ours = [tagged for tagged in found.found.values() if tagged.label.name.startswith(_PREFIX)]
        self.calls += [_call(tagged.label.name) for tagged in ours]
        self._found += ours
        lost = {_call(name).path: where for name, where in found.lost.items() if name.startswith(_PREFIX)}
        self.lost |= {path: f"computed inside {where!r}, from where nothing can be collected" for path, where in lost.items()}

    def kept(self, at: int) -> jax.Array | None:
        """Return the output of a call; None if it was summed up where it was computed."""
        found = self._found[at] if self._eager else self._found[at].value
        return found if isinstance(found, jax.Array) else None

    def begin(self, rows: Sequence[Sequence[int]]) -> Measured:
        """Start counting the outputs, those of each row together."""
        if self._eager:
            measured = measure(self._found, self._placement)
        else:
            measured = measured_rows({str(i): tagged for i, tagged in enumerate(self._found)}, self._placement)
        return replicated(_added_up(measured, rows), self._placement)


def _apart(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a step in whose trace no function that was traced before, for another selection of layers, is used again."""

    def traced(*args: Any, **kwargs: Any) -> Any:
        with apart(object()):
            return step(*args, **kwargs)

    return traced


def _call(name: str) -> Call:
    _, loop, path = name.split("/", maxsplit=2)
    return Call(path, int(loop))


def _placement() -> Placement | None:
    distribution = keras.distribution.distribution()
    mesh = None if distribution is None else distribution.device_mesh.backend_mesh
    return None if mesh is None or mesh.size == 1 else Placement(mesh)


def _added_up(measured: Measured, rows: Sequence[Sequence[int]]) -> Measured:
    if len(rows) == len(measured.counts):
        return measured
    places = np.empty(len(measured.counts), np.int32)
    for place, row in enumerate(rows):
        places[list(row)] = place
    add, least, most = (functools.partial(f, segment_ids=places, num_segments=len(rows)) for f in _SEGMENTS)
    counts, specials, moments = measured
    ends = least(moments[:, SMALLEST]), most(moments[:, LARGEST])
    return Measured(add(counts), add(specials), jnp.column_stack([add(moments[:, :SMALLEST]), *ends]))


_SEGMENTS: Final = (jax.ops.segment_sum, jax.ops.segment_min, jax.ops.segment_max)

_outputs: Final[ContextVar[Outputs | None]] = ContextVar("outputs", default=None)
_keep_p: Final = Primitive("multiboard_keep")


def _keep_array(array: Any, *, call: Call) -> Any:
    outputs = _outputs.get()
    if outputs is not None and isinstance(array, jax.Array):
        outputs.keep(call, array)
    return array


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], *, call: Call) -> tuple[Any, Any]:
    return _keep_p.bind(*primals, call=call), tangents[0]


def _batch(values: Sequence[Any], axes: Sequence[Any], *, call: Call) -> tuple[Any, Any]:
    return _keep_p.bind(*values, call=call), axes[0]


_keep_p.def_impl(_keep_array)
_keep_p.def_abstract_eval(lambda array, **_: array)
ad.primitive_jvps[_keep_p] = _jvp
batching.primitive_batchers[_keep_p] = _batch
mlir.register_lowering(_keep_p, lambda _, array, **__: [array])
