"""What the callback's numbers are called, in which run they go, and at which step."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, Protocol

from multiboard import tags
from multiboard_keras._compat import buffers
from multiboard_keras.layers import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multiboard.run import Run

    Numbers = Mapping[str, Any]


TAKEN: Final = frozenset(tag.removeprefix(tags.TRAIN) for tag in (tags.EPOCH, tags.LEARNING_RATE))
"""Names of metrics whose tags would be those of other numbers."""


class Naming(Protocol):
    """Where the numbers go.

    Attributes:
        run: the run that takes captures, times and whatever else there is besides numbers.
        evaluations: the run that takes what `evaluate` finds.
        own_metrics: whether the metrics of a batch are of the batch alone; otherwise they are Keras' running means.
    """

    own_metrics: bool

    @property
    def run(self) -> Run:
        """See the class."""
        ...

    @property
    def evaluations(self) -> Run:
        """See the class."""
        ...

    def batch(self, metrics: Numbers, rates: Numbers, speed: float | None, step: int, batch: int) -> None:
        """Log the metrics of a batch.

        Args:
            metrics: by the name of the metric.
            rates: learning rates, by tag; those of epochs alone are not among them.
            speed: steps per second; None for none.
            step: of the update.
            batch: number of batches so far, with this one.
        """
        ...

    def epoch(self, training: Numbers, validation: Numbers, epoch: int, step: int) -> None:
        """Log the metrics of an epoch; `step` is that of its last update."""
        ...

    def learning_rate(self, rates: Numbers, epoch: int | None, step: int) -> None:
        """Log learning rates, by tag, at an update or, with a number of an epoch, at its end."""
        ...

    def evaluation(self, metrics: Numbers, step: int, *, in_fit: bool) -> None:
        """Log what `evaluate` has found after the update of a step."""
        ...

    def image_tag(self, model: Any) -> Callable[[Any], str]:
        """Return the function that names the picture of a weight."""
        ...

    def epoch_step(self, epoch: int, step: int) -> int:
        """Return the step of what is logged once in an epoch."""
        ...


class UniformNaming:
    """The tags and steps that all adapters of multiboard share, in one run."""

    own_metrics = True

    def __init__(self, run: Run) -> None:
        self.run = self.evaluations = run
        self._names: tuple[str, ...] = ()
        self._tags: tuple[str, ...] = ()

    def batch(self, metrics: Numbers, rates: Numbers, speed: float | None, step: int, batch: int) -> None:  # noqa: ARG002
        """See `Naming`; the meter writes the speed."""
        metrics = self._without_ours(metrics)
        names = (*metrics, *rates)
        if names != self._names:
            self._names, self._tags = names, (*(f"{tags.TRAIN}{name}" for name in metrics), *rates)
        self.run.log_again(self._tags, (*metrics.values(), *rates.values()), step)

    def epoch(self, training: Numbers, validation: Numbers, epoch: int, step: int) -> None:
        """See `Naming`."""
        numbers = {f"{tags.TRAIN}{name}": number for name, number in self._without_ours(training).items()}
        numbers |= {f"{tags.VAL}{name}": number for name, number in validation.items()}
        self.run.log(numbers | {tags.EPOCH: epoch}, step)

    def learning_rate(self, rates: Numbers, epoch: int | None, step: int) -> None:  # noqa: ARG002
        """See `Naming`."""
        self.run.log(rates, step)

    def evaluation(self, metrics: Numbers, step: int, *, in_fit: bool) -> None:
        """See `Naming`; in a fit the epoch has the same numbers."""
        if not in_fit:
            self.run.log({f"{tags.VAL}{name}": number for name, number in metrics.items()}, step)

    def _without_ours(self, metrics: Numbers) -> Numbers:
        """Return the metrics whose tags mean nothing else."""
        if TAKEN.isdisjoint(metrics):
            return metrics
        for name in sorted(TAKEN.intersection(metrics)):
            message = f"the metric {name!r} is left out: the tag '{tags.TRAIN}{name}' is that of every run; give it another name."
            self.run.report(f"metric {name}", message)
        return {name: number for name, number in metrics.items() if name not in TAKEN}

    def image_tag(self, model: Any) -> Callable[[Any], str]:
        """See `Naming`; those that a capture calls buffers are buffers here."""
        names, untrained = Names(model), {id(variable) for variable in buffers(model)}
        return lambda variable: f"{tags.BUFFERS if id(variable) in untrained else tags.PARAMS}/{names.of(variable).path}/image"

    def epoch_step(self, epoch: int, step: int) -> int:  # noqa: ARG002
        """See `Naming`."""
        return step


class KerasNaming:
    """Runs, tags and steps of `keras.callbacks.TensorBoard`, for dashboards that exist.

    As there, batches count from 1, the steps of epochs are their numbers, and the metrics of batches are Keras' running means.
    Batches go on to count in a second fit, where the original begins again at 1.

    Args:
        open_run: opens the run of a name, 'train' or 'validation'; called when there is something to write.
    """

    own_metrics = False

    def __init__(self, open_run: Callable[[str], Run]) -> None:
        self._open_run = open_run

    @functools.cached_property
    def run(self) -> Run:
        """See `Naming`."""
        return self._open_run("train")

    @functools.cached_property
    def evaluations(self) -> Run:
        """See `Naming`."""
        return self._open_run("validation")

    def batch(self, metrics: Numbers, rates: Numbers, speed: float | None, step: int, batch: int) -> None:  # noqa: ARG002
        """See `Naming`; only epochs have learning rates."""
        numbers = metrics if speed is None else {**metrics, "steps_per_second": speed}
        self.run.log({f"batch_{name}": number for name, number in numbers.items()}, batch)

    def epoch(self, training: Numbers, validation: Numbers, epoch: int, step: int) -> None:  # noqa: ARG002
        """See `Naming`."""
        self.run.log({f"epoch_{name}": number for name, number in training.items()}, epoch)
        if validation:
            self.evaluations.log({f"epoch_{name}": number for name, number in validation.items()}, epoch)

    def learning_rate(self, rates: Numbers, epoch: int | None, step: int) -> None:  # noqa: ARG002
        """See `Naming`; only epochs have one."""
        if epoch is not None:
            named = {tag.removeprefix(tags.TRAIN).replace("/", "_"): rate for tag, rate in rates.items()}
            self.run.log({f"epoch_{name}": rate for name, rate in named.items()}, epoch)

    def evaluation(self, metrics: Numbers, step: int, *, in_fit: bool) -> None:  # noqa: ARG002
        """See `Naming`; the step is the number of updates."""
        self.evaluations.log({f"evaluation_{name}_vs_iterations": number for name, number in metrics.items()}, step + 1)

    def image_tag(self, model: Any) -> Callable[[Any], str]:  # noqa: ARG002
        """See `Naming`."""
        return lambda variable: f"{native(variable)}/image"

    def epoch_step(self, epoch: int, step: int) -> int:  # noqa: ARG002
        """See `Naming`."""
        return epoch


def native(variable: Any) -> str:
    """Return the name under which the original callback writes a weight."""
    path: str = variable.path.replace(":", "_")
    return path
