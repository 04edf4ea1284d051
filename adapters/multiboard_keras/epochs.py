"""What is logged once in an epoch: its metrics, and what is read from the model between two steps."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from multiboard_keras.images import log_weight_images
from multiboard_keras.scalars import learning_rates, only_scalars, split_logs
from multiboard_keras.weight_histograms import log_weight_histograms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard_keras.batches import Fit
    from multiboard_keras.options import Options


class Epochs:
    """Logs the epochs of one fit.

    Args:
        model: a compiled model.
        options: of the callback.
        fit: what belongs to the fit.
    """

    def __init__(self, model: Any, options: Options, fit: Fit) -> None:
        self._model, self._options, self._fit = model, options, fit
        self._began, self._batches = 0.0, 0
        self._rates: dict[str, Any] = {}
        if options.images and not options.histogram_freq:
            message = (
                "write_images writes with histogram_freq, at the end of every epoch that it divides; pass e.g. histogram_freq=1."
            )
            fit.reporting.report("write_images", message)

    def begin(self) -> None:
        """Begin an epoch."""
        self._began, self._batches = perf_counter(), self._fit.steps.batches(0)
        self._rates = {}

    def end_training(self, *, rates: bool) -> None:
        """Take note of the learning rates before other callbacks change them, unless they were logged with batches (`rates`)."""
        if self._options.in_keras or not rates:
            with self._fit.reporting.of("learning rate"):
                self._rates = self._rates or learning_rates(self._model, next_one=self._options.in_keras)

    def end(self, epoch: int, logs: Mapping[str, Any], *, metrics: bool) -> None:
        """Log an epoch, at its last update.

        Args:
            epoch: its number, from 0.
            logs: of the epoch, on the host.
            metrics: whether those of the batches were logged.
        """
        naming, step, reporting = self._fit.naming, self._fit.steps.last, self._fit.reporting
        with reporting.of("epoch"):
            training, validation = split_logs(logs)
            numbers = {} if metrics and not self._options.in_keras else only_scalars(training, reporting)
            if self._options.in_keras and self._options.rate:
                numbers["steps_per_second"] = (self._fit.steps.batches(0) - self._batches) / (perf_counter() - self._began)
            naming.epoch(numbers, only_scalars(validation, reporting), epoch, step)
        with reporting.of("learning rate"):
            if self._rates:
                naming.learning_rate(self._rates, epoch, step)
        with reporting.of("weight"):
            self._log_weights(epoch, naming.epoch_step(epoch, step))
        with reporting.of("embedding"):
            if _divides(self._options.embeddings_freq, epoch):
                self._options.embeddings.log(self._model, naming.run, naming.epoch_step(epoch, step))
        with reporting.of("sample"):
            if self._options.samples is not None and self._options.samples.due(epoch):
                self._options.samples.log(self._model, naming.run, epoch, naming.epoch_step(epoch, step))

    def _log_weights(self, epoch: int, step: int) -> None:
        if not _divides(self._options.histogram_freq, epoch):
            return
        if self._options.in_keras:
            log_weight_histograms(self._model, self._fit.naming.run, step)
        if self._options.images:
            log_weight_images(self._model, self._fit.naming.run, step, self._fit.naming.image_tag(self._model))


def _divides(freq: int, epoch: int) -> bool:
    return freq > 0 and epoch % freq == 0
