"""The callback: attaches `multiboard.torch.watch` to the optimizers of a fit, and measures its steps."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from multiboard.arguments import check_positive, check_run
from multiboard.loop import count_examples
from multiboard.meter import Calls
from multiboard.trainers import reporting
from multiboard_lightning import steps
from multiboard_lightning._compat import Callback
from multiboard_lightning.logger import Logger
from multiboard_torch import Meter, watch
from multiboard_torch.trainers import check_watch_options

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from torch.utils.hooks import RemovableHandle

    from multiboard.run import Run
    from multiboard_lightning._compat import LightningModule, Trainer
    from multiboard_torch import Watch as Handle


class Watch(Callback):
    """Write the distributions of parameters and gradients of a fit, and its step times, see `multiboard.torch.watch`.

    Everything is at the global step of its update, also after a resume; with several optimizers at the number of the training
    batch, of which the first update of each is captured. `perf/step_ms` and `perf/examples_per_s` are means over `every` updates,
    without validations. A fit with `fast_dev_run`, which has no loggers, is not watched. Nothing raises into a fit: what goes
    wrong is counted by the run and said once.

    Args:
        every: updates from one capture to the next, at least 1; step 0 is captured.
        log: as in `watch`; None is its default.
        run: the run to write to; None is that of the first `Logger` of multiboard among the loggers of the Trainer.
        options: further arguments of `watch`, e.g. `activations`, `layers` or `overhead`.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """

    def __init__(
        self, every: int = 100, log: str | Iterable[str] | None = None, *, run: Run | None = None, **options: Any
    ) -> None:
        super().__init__()
        self._every = check_positive("every", every)
        self._run = None if run is None else check_run(run)
        self._options = check_watch_options(options) | ({} if log is None else {"log": log})
        self._handles: list[Handle] = []
        self._pauses: list[RemovableHandle] = []
        self._meter: Meter | None = None
        self._clock = Calls(0)

    # ------------------------------------------------------------------ what Lightning calls

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Attach to the optimizers, which have their state by now if the fit is resumed."""
        self.remove()
        with self._reporting(trainer, "watch"):
            self._attach(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """Begin to measure."""
        if self._meter is not None:
            self._meter.start()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Tell the watches the step: what a loss scale leaves out counts for Lightning, what takes turns has missed some."""
        with self._reporting(trainer, "step"):
            self._clock.step = step = steps.updates(trainer)
            for handle in self._handles:
                if handle.step != step or len(self._handles) > 1:
                    handle.step = step
                    handle.resume()  # decides whether that step is captured

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Measure the step."""
        if self._meter is not None:
            with self._reporting(trainer, "step time"):
                several = len(trainer.optimizers) > 1  # a batch counts when it is over
                self._clock.step = steps.updates(trainer) + several
                self._meter.step(count_examples(batch))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Leave the validation out of the step times."""
        if self._meter is not None:
            self._meter.start()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Write the step times that are left."""
        if self._meter is not None:
            self._meter.write()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Take the hooks off."""
        self.remove()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        """Take the hooks off."""
        self.remove()

    def remove(self) -> None:
        """Take the hooks off the optimizers; a second call does nothing."""
        handles, self._handles, self._meter = self._handles, [], None
        pauses, self._pauses = self._pauses, []
        for handle in handles:
            handle.remove()
        for pause in pauses:
            pause.remove()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy for another process needs: the hooks stay here, and so does what Lightning puts on callbacks."""
        own = {name: value for name, value in self.__dict__.items() if name.startswith("_")}
        return own | {"_handles": [], "_pauses": [], "_meter": None}

    # ------------------------------------------------------------------ inside

    def _attach(self, trainer: Trainer, module: LightningModule) -> None:
        logger = _logger_of(trainer)
        if self._run is None and logger is None:
            if not getattr(trainer, "fast_dev_run", False):
                remedy = "pass run=, or Trainer(logger=multiboard.lightning.Logger(...))"
                logging.getLogger("multiboard").warning("the Watch callback has no run to write to: %s", remedy)
            return
        run = self._run if logger is None or self._run is not None else logger.run
        start = self._clock.step = steps.updates(trainer)
        if run is not None:
            self._meter = Meter(run, every=self._every, watching=self._clock)
        for optimizer in trainer.optimizers:
            with self._reporting(trainer, "watch"):
                handle = watch(module, optimizer, run, every=self._every, start_step=start, **self._options)
                self._handles.append(handle)
                if len(trainer.optimizers) > 1:  # of several updates in one batch the first one is captured
                    self._pauses.append(optimizer.register_step_post_hook(_Pause(handle)))

    def _reporting(self, trainer: Trainer, what: str) -> AbstractContextManager[None]:
        def find_run() -> Run | None:
            logger = _logger_of(trainer)
            return self._run or (logger.run if logger is not None else None)

        return reporting(what, find_run)


class _Pause:
    """Pauses a watch behind an update."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __call__(self, *_: object) -> None:
        """Be the hook of an optimizer."""
        self._handle.pause()


def _logger_of(trainer: Trainer) -> Logger | None:
    return next((logger for logger in trainer.loggers if isinstance(logger, Logger)), None)
