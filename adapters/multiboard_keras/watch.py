"""What looks into a train step while it runs: made once, as on PyTorch every step runs in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiboard_keras.batch_metrics import BatchMetrics
from multiboard_keras.optimizer import Updates
from multiboard_keras.sight import Replacements, Sight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.exact import Exact
    from multiboard_keras.layers import Names


class Watch:
    """Looks at the metrics and the updates of one run of a train step after the other, as a context of each.

    Args:
        model: a compiled model.
        names: of its variables.
        problems: gets the last error of each kind of extras.
        metrics: under which kind those of metrics are kept; None for metrics that nobody wants.
        capture: likewise of updates.
        groups: any of `tags.GROUPS` to capture, with the learning rates; None captures nothing.
        exact: which tensors are kept element by element; None for none.

    Attributes:
        sight: of the run.
        metrics: of its batch.
        updates: of its optimizers.
    """

    def __init__(
        self,
        model: Any,
        names: Names,
        problems: dict[str, Exception],
        *,
        metrics: str | None,
        capture: str,
        groups: Sequence[str] | None,
        exact: Exact | None,
    ) -> None:
        self.sight = Sight(problems)
        self.metrics = BatchMetrics(model, self.sight, metrics or "")
        self.updates = Updates(model, groups or (), names, self.sight, capture, exact)
        self._replacements = Replacements()
        self._parts = [part for part, wanted in ((self.metrics, metrics), (self.updates, groups)) if wanted is not None]
        for part in self._parts:
            part.watch(self._replacements)

    def fits(self) -> bool:
        """Whether the model has the metrics and optimizers that it had when this one was made."""
        try:
            return all(part.fits() for part in self._parts)
        except Exception:  # noqa: BLE001  # nothing of ours may end a training
            return False

    def __enter__(self) -> None:
        """Begin to look at a run."""
        self.sight.begin()
        self.metrics.begin()
        self.updates.begin()
        self._replacements.__enter__()

    def __exit__(self, error: object, *_: object) -> None:
        """End it."""
        self._replacements.__exit__()
        if error is not None:
            self.forget()

    def forget(self) -> None:
        """Forget what the last run has shown: none of its tensors may outlive it."""
        self.metrics.begin()
        self.updates.forget()
