"""Layers that have died: what they return is nearly always 0, or their gradient is exactly 0 while others are not.

Both must last for three captures in a row. A layer is told once; what dies with it, e.g. the gradients of all layers before it,
is part of the same alert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multiboard import tags as names
from multiboard.alerts.alert import Advice, Alert
from multiboard.alerts.rule import Cooldown
from multiboard.buckets import ZERO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from multiboard.buckets import Statistics

_IN_A_ROW: Final = 3
_ZEROS: Final = 0.99
"""Share of the values."""
_OUTPUTS: Final = f"{names.ACTIVATIONS}/"
_TOTAL: Final = names.norm(names.GRADS)
_TENSORS: Final = f"{_TOTAL}/"
_NONFINITE: Final = frozenset(map(names.nonfinite, (names.GRADS, names.PARAMS, names.UPDATES, names.ACTIVATIONS)))
"""As long as one of these counts something, nothing dies: a ReLU may make 0 of NaN, and stops its gradient."""


class DeadUnits:
    """Finds layers that have died.

    Args:
        cooldown: steps in which further dead layers belong to the same alert.
    """

    name = "dead_units"
    advice = Advice(
        "Dead units",
        (
            "biases far below 0 in front of a ReLU, often after one update that was too large",
            "a learning rate that is too high, or initial weights that are too large",
            "a layer that is not on the way to the loss: a branch that is not used, a `detach` or `stop_gradient`",
            "a layer that is frozen on purpose by a gradient of 0: then this is no mistake",
        ),
        (
            "`activations/...` of the layer and `params/.../bias` before it: when did they move",
            "`norm/grads/...`: the last layer with a gradient of 0 in the order of the calls is next to the cause",
        ),
    )

    def __init__(self, cooldown: int) -> None:
        self._cooldown = Cooldown(cooldown)
        self._in_a_row: dict[str, int] = {}
        self._bad: set[str] = set()

    def wants(self, tag: str) -> bool:
        """Tell whether a tag is the norm of the gradient of a tensor, or of all, or counts what is not finite."""
        return tag == _TOTAL or tag.startswith(_TENSORS) or tag in _NONFINITE

    def saw_scalars(self, numbers: Mapping[str, float], tags: Sequence[str], step: int) -> Iterator[Alert]:
        """Look at the norms of gradients, layer by layer."""
        for tag in _NONFINITE.intersection(tags):
            (self._bad.add if numbers[tag] > 0 else self._bad.discard)(tag)
        if self._bad:
            return
        if not numbers.get(_TOTAL, 0.0) > 0:  # all are 0: the loss hangs on no parameter, e.g. of an empty batch
            return
        largest: dict[str, float] = {}
        layers = {tag: _layer(tag) for tag in tags if tag.startswith(_TENSORS)}
        for tag, layer in layers.items():
            largest[layer] = max(largest.get(layer, 0.0), abs(numbers[tag]))
        dead = [layer for layer, norm in largest.items() if self._died(f"{names.GRADS}/{layer}", dead=norm == 0)]
        if dead and self._cooldown.over(step):
            self._cooldown.start(step)
            others = f", and of {len(dead) - 1} more," if len(dead) > 1 else ""
            lasting = f"was exactly 0 in {_IN_A_ROW} captures up to step {step}, while others were not: it learns nothing"
            message = f"the gradient of layer {dead[-1]!r}{others} {lasting}."
            shown = next(tag for tag, layer in layers.items() if layer == dead[-1])
            yield Alert(self.name, step, shown, 0.0, message)

    def saw_histogram(self, tag: str, statistics: Statistics, step: int) -> Iterator[Alert]:
        """Look at what layers return."""
        count = statistics.finite
        if self._bad or not tag.startswith(_OUTPUTS) or not count or statistics.nonfinite:
            return
        zeros = int(statistics.specials[ZERO]) / count
        if self._died(tag, dead=zeros >= _ZEROS) and self._cooldown.over(step):
            self._cooldown.start(step)
            layer = tag.removeprefix(_OUTPUTS)
            message = f"{100 * zeros:.4g} % of what layer {layer!r} returns was 0 in {_IN_A_ROW} captures up to step {step}."
            yield Alert(self.name, step, tag, zeros, message)

    def _died(self, key: str, *, dead: bool) -> bool:
        """Count captures in a row; tell whether this is the one that makes it an alert."""
        self._in_a_row[key] = self._in_a_row.get(key, 0) + 1 if dead else 0
        return self._in_a_row[key] == _IN_A_ROW


def _layer(tag: str) -> str:
    """Return the layer of the norm of a gradient; a tensor that is in no layer is its own."""
    path = tag.removeprefix(_TENSORS)
    return path.rpartition("/")[0] or path
