"""How far runs are apart that nothing tells apart: rounding, or repeats of one training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Steps = npt.NDArray[np.int64]

_EPSILON: Final = {"f32": 2.0**-24, "bf16": 2.0**-9}
_LARGEST: Final = 0.5
_FIRST: Final = {"f32": 8.0, "bf16": 4.0}
_MOST: Final = 0.75
_WEIGHT: Final = {
    "f32": {"loss": 0.1, "metrics": 0.1, "activations": 0.3, "params": 0.01, "buffers": 0.1, "schedule": 0.0},
    "bf16": {"loss": 0.25, "metrics": 0.25, "activations": 0.5, "params": 0.25, "buffers": 0.25, "schedule": 0.0},
}


class Noise(Protocol):
    """Where differences begin to mean something.

    Attributes:
        epsilon: unit roundoff of the arithmetic.
        factor: times the noise floor that is still no divergence, larger if few repeats tell it.
        text: what it is, in a sentence that is printed.
    """

    epsilon: float
    factor: float
    text: str

    def floor(self, kind: str, name: str, step: Steps) -> Floats:
        """Return the relative difference that noise alone makes, by step."""


class RoundingModel:
    """Noise of runs that differ in the order of their sums only, as two frameworks do.

    In float32 a rounding error of a few units in the last place at step 0 grows with the square of the steps. Two runs of a small
    classifier are 1e-6 apart at step 0 in their updates, 1e-5 at step 60 and 1e-2 at step 880; in their losses a tenth of it, and
    in their parameters a thousandth. In bfloat16 the weights are rounded anew at each step, and these errors add up as a random
    walk does: two runs of a small network of dense layers are 3 units in the last place apart in their gradients at step 0, 10 at
    step 50 and 13 at step 100, in their losses less than 1, 3 and 6.

    Args:
        name: 'f32' or 'bf16', the type that is computed in.
        scale: times the usual rounding error.
    """

    factor = 2.0

    def __init__(self, name: str = "f32", scale: float = 1.0) -> None:
        if name not in _EPSILON:
            raise ArgumentError(
                "noise", name, f"the models are {' and '.join(_EPSILON)}; or pass runs of one training that repeats"
            )
        self.name, self.scale = name, scale
        self.epsilon = _EPSILON[name]
        self.text = f"noise: model of {name} rounding, no repeats were given"

    def floor(self, kind: str, name: str, step: Steps) -> Floats:
        """Return the relative difference that noise alone makes, by step."""
        del name
        at = np.maximum(step, 0).astype(np.float64)
        steps = np.square(at) if self.name == "f32" else 2.0 * np.sqrt(at)
        grown = self.scale * self.epsilon * (_FIRST[self.name] + steps)
        return np.minimum(grown * _WEIGHT[self.name].get(kind, 1.0), _LARGEST)

    def scaled_by(self, factor: float) -> RoundingModel:
        """Return the model of larger rounding errors."""
        return RoundingModel(self.name, self.scale * factor)


class MeasuredNoise:
    """Noise as repeats of one training show it.

    The largest difference of any two repeats up to a step, and no less than three quarters of all tensors of the kind have: a few
    repeats can be close to each other in one tensor by chance.

    Args:
        found: kind, name, steps and relative differences of each pair of repeats.
        repeats: how many there are.
    """

    epsilon = _EPSILON["f32"]

    def __init__(self, found: Iterable[tuple[str, str, Steps, Floats]], repeats: int) -> None:
        points: dict[tuple[str, str], list[tuple[Steps, Floats]]] = {}
        for kind, name, step, distance in found:
            points.setdefault((kind, name), []).append((step, np.where(np.isfinite(distance), distance, 0.0)))
        self._reached = {key: _Reached(pairs) for key, pairs in points.items()}
        self._kinds = {kind: self._usual(kind) for kind in dict.fromkeys(kind for kind, _ in points)}
        self.factor = 2.0 * (1.0 + 4.0 / (repeats * (repeats - 1) / 2)) ** 0.5
        self.text = f"noise: measured from {repeats} repeats"

    def _usual(self, kind: str) -> _Reached:
        series = [reached for (of, _), reached in self._reached.items() if of == kind]
        steps = np.unique(np.concatenate([one.steps for one in series]))
        return _Reached([(steps, np.quantile(np.stack([one.at(steps) for one in series]), _MOST, axis=0))])

    def floor(self, kind: str, name: str, step: Steps) -> Floats:
        """Return the relative difference that noise alone makes, by step; 0 for a kind that no repeat has."""
        known = [found for found in (self._reached.get((kind, name)), self._kinds.get(kind)) if found]
        largest: Floats = np.maximum.reduce([np.zeros(len(step)), *(found.at(step) for found in known)])
        return largest


class _Reached:
    """The largest value up to a step.

    Args:
        points: steps and values of several series.
    """

    def __init__(self, points: Iterable[tuple[Steps, Floats]]) -> None:
        steps, values = (np.concatenate(part) for part in zip(*points, strict=True))
        order = np.argsort(steps, kind="stable")
        self.steps = steps[order]
        self._values = np.concatenate([[0.0], np.maximum.accumulate(values[order])])

    def at(self, step: Steps) -> Floats:
        """Return it at some steps; 0 before the first one."""
        values: Floats = self._values[np.searchsorted(self.steps, step, side="right")]
        return values
