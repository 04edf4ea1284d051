"""A tracker for Accelerate: what `accelerator.log` is given goes into a run.

    from accelerate import Accelerator
    import multiboard.accelerate as mba
    accelerator = Accelerator(log_with=[mba.Tracker("runs/first")])
    accelerator.init_trackers("project", config={"lr": 3e-4})

The name of the project is not used: the run is where the tracker says.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from accelerate import PartialState
from accelerate.tracking import GeneralTracker

from multiboard.arguments import check_log_dir, check_run
from multiboard.kinds.hparams import leaves
from multiboard.metric_names import by_tag
from multiboard.run import Run
from multiboard.trainers import StepCounts, log_each, reporting

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["Tracker"]


class Tracker(GeneralTracker):  # type: ignore[misc]  # Accelerate has no type information
    """Log what a training with Accelerate logs, under the tags of all adapters of multiboard.

    'train_loss' becomes `train/loss`, 'eval_acc' or 'val_acc' `val/acc`, 'epoch' `train/epoch`; a name with a '/' stays, any
    other goes under 'train/'. The n-th value of a name that is logged without a step is at step n. Only the main process writes.
    Nothing raises into a training: what goes wrong is counted by the run and said once.

    Args:
        log_dir: the run directory, without `run`; `accelerator.init_trackers` opens it.
        run: an open run to write to; it stays open, and has the hyper-parameters that `mb.Run(log_dir, config=...)` was given.
        options: further arguments of `mb.Run`, e.g. `resume=True`.

    Attributes:
        tracker: the run, which `accelerator.get_tracker("multiboard", unwrap=True)` returns; None on other processes.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """

    name = "multiboard"
    requires_logging_directory = False
    main_process_only = True

    def __init__(self, log_dir: str | os.PathLike[str] = "runs/accelerate", *, run: Run | None = None, **options: Any) -> None:
        self._log_dir = os.fspath(check_log_dir(log_dir))
        self._given = None if run is None else check_run(run)
        self._options = options
        self._run: Run | None = None
        self._ended = self._started = False
        self._counts = StepCounts()
        super().__init__()

    @property
    def tracker(self) -> Run | None:
        """The run, until `finish`."""
        return self._open()

    def start(self) -> None:
        """Open the run, also once more after `finish`; `accelerator.init_trackers` calls this.

        Raises:
            LogDirError: the directory cannot be written.
        """
        self._ended = False
        run = self._open()
        if run is not None and self._started:
            message = (
                "`init_trackers` was called twice: Accelerate gives a tracker every value twice then, and steps that it does not "
                "state are wrong; make a new Accelerator."
            )
            run.report("tracker started twice", message)
        self._started = True

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """Record the hyper-parameters of the run.

        Args:
            values: by name, may be nested.
        """
        with self._reporting("configuration"):
            run = self._open()
            if run is not None and self._given is None:
                run.hparams(values)

    def log(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:  # noqa: ARG002  # Accelerate's signature
        """Log numbers and texts of one step.

        Args:
            values: by name: numbers, also tensors of one element, which are not waited for, texts, or numbers by name.
            step: number of optimizer steps before this one; None is the one after the last of these names.
            kwargs: of other trackers; they have no effect.
        """
        with self._reporting("metrics"):
            run = self._open()
            if run is None:
                return
            flat = by_tag(dict(leaves(values)))
            at = self._counts.step(flat, step)
            texts = {tag: value for tag, value in flat.items() if isinstance(value, str)}
            if numbers := {tag: value for tag, value in flat.items() if tag not in texts}:
                log_each(run, numbers, at)
            for tag, text in texts.items():
                run.text(tag, text, at)

    def log_images(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Log pictures.

        Args:
            values: by name: a batch of pictures, or a list of pictures of one size, as in `Run.image`.
            step: as in `log`.
            kwargs: `dataformats`, `description` and the others of `Run.image`.
        """
        with self._reporting("images"):
            import numpy as np

            run = self._open()
            if run is None:
                return
            at = self._counts.step(values, step)
            for tag, pixels in values.items():
                batch = np.stack([np.asarray(one) for one in pixels]) if isinstance(pixels, (list, tuple)) else pixels
                run.image(tag, batch, at, **kwargs)

    def finish(self) -> None:
        """Close the run, unless it was given; `accelerator.end_training` calls this."""
        self._ended, self._started = True, False
        run, self._run = self._run, None
        if run is not None and run is not self._given:
            run.close()

    def _open(self) -> Run | None:
        """Return the run of the main process; opens it, also for versions of Accelerate that do not call `start`."""
        if self._run is None and not self._ended and PartialState().is_main_process:
            self._run = self._given or Run(self._log_dir, **self._options)
            self._counts = StepCounts(self._run.start_step)
        return self._run

    def _reporting(self, what: str) -> AbstractContextManager[None]:
        return reporting(what, lambda: self._run)
