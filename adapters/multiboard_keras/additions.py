"""Metrics that only add to their variables: what they add in an update is their state of that update alone.

Such are the means and sums of Keras, thus its losses and most of its metrics. The computation that was done for Keras is not
repeated.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

import keras

from multiboard_keras.backend import BACKEND
from multiboard_keras.means import means_in
from multiboard_keras.metric_parts import inside
from multiboard_keras.sight import Replacements

if TYPE_CHECKING:
    from collections.abc import Callable

    Tensor = Any


def adds_only(metric: Any) -> bool:
    """Whether updates add to zeros what depends on nothing that was there before: means and sums, of no class but Keras' own."""
    if not type(metric).__module__.startswith("keras."):
        return False
    if isinstance(metric, (keras.metrics.Mean, keras.metrics.Sum)):
        return True
    parts = inside(metric)
    of_parts = {id(variable) for part in parts for variable in part.variables}
    return bool(of_parts) and of_parts == {id(variable) for variable in metric.variables} and all(map(adds_only, parts))


class Additions:
    """Notes what updates of a metric add to its variables, as a context of each.

    Args:
        metric: if it does more than to add, nothing is noted.

    Attributes:
        means: see `means_in`; None where divisions are compiled, and for what does more than to add.
    """

    def __init__(self, metric: Any) -> None:
        variables = metric.variables if adds_only(metric) else []
        eager = bool(variables) and BACKEND == "torch"
        self.means = means_in(metric) if eager else None
        self._replacements = Replacements()
        for place, variable in enumerate(variables):
            self._replacements.add(variable, "assign_add", functools.partial(self._noting, place))
        self._count = len(variables)
        self._added: list[list[Tensor]] = []

    def __bool__(self) -> bool:
        """Whether anything will be noted."""
        return self._count > 0

    def __enter__(self) -> None:
        """Begin to note what is added."""
        self._added = [[] for _ in range(self._count)]
        self._replacements.__enter__()

    def __exit__(self, error: object, *_: object) -> None:
        """End it; an update that failed has added nothing."""
        self._replacements.__exit__()
        if error is not None:
            self._added = []

    @property
    def active(self) -> bool:
        """Whether something is being noted, or was and is not taken yet."""
        return bool(self._added)

    def take(self) -> list[Tensor] | None:
        """Return what was added, one tensor or number per variable of the metric, or None if one is not known; forget it."""
        added, self._added = self._added, []
        return [functools.reduce(operator.add, values) for values in added] if added and all(added) else None

    def _noting(self, place: int, original: Callable[..., Any]) -> Callable[..., Any]:
        def assign_add(value: Any) -> Any:
            result = original(value)
            if self._added:
                self._added[place].append(value)
            return result

        return assign_add
