"""The callback: the life of its run, and what is logged when."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from multiboard import tags
from multiboard.arguments import check_given, check_log_dir, check_positive
from multiboard.meter import Calls
from multiboard.run import Run
from multiboard.trainers import log_each, reporting
from multiboard.urls import is_url, join
from multiboard.writer.runs import open_run
from multiboard_torch import Meter, watch
from multiboard_torch.rates import learning_rates
from multiboard_torch.trainers import check_watch_options
from multiboard_transformers.config import hyper_parameters
from multiboard_transformers.metrics import sort

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from transformers import TrainerControl, TrainerState, TrainingArguments

    from multiboard_torch import Watch


class Callback(TrainerCallback):
    """Log what a Hugging Face Trainer logs, and the distributions of parameters and gradients, see `multiboard.torch.watch`.

    'loss' becomes `train/loss`, 'eval_loss' `val/loss`, what `predict` returns `test/...`, 'epoch' `train/epoch`, run times and
    speeds `perf/...`; the mean loss that is logged at the end is `train/mean_loss`. Step n is the n-th update, from 0, however
    many batches are accumulated into it: one less than the Trainer prints. An evaluation is at the last update before it, and a
    training that is resumed from a checkpoint goes on. `train/learning_rate` is the rate of the update, also where the Trainer
    logs that of the next one. `perf/step_ms` is the mean over `every` updates, without evaluations.

    The hyper-parameters of the run are the arguments of the Trainer and the configuration of the model, without secrets. A given
    run has its own: `mb.Run(log_dir, config=hyper_parameters(trainer.args, model))`.

    Nothing raises into a training: what goes wrong is counted by the run and said once. Only the first process writes.

    Args:
        log_dir: the run directory, without `run`; None is `args.logging_dir`, the environment's TENSORBOARD_LOGGING_DIR, or else
            'runs' in `args.output_dir`. A trial of a hyper-parameter search has a directory of its own below it.
        run: an open run to write to; it stays open.
        every: updates from one capture to the next, at least 1; step 0 is captured. None captures nothing.
        log: as in `watch`; None is its default.
        config: further hyper-parameters, which replace those of the same name.
        options: further arguments of `watch`, e.g. `activations`, `layers` or `overhead`.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        *,
        run: Run | None = None,
        every: int | None = 100,
        log: str | Iterable[str] | None = None,
        config: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._log_dir = None if log_dir is None else check_log_dir(log_dir)
        self._given = check_given(run, config)
        self._every = None if every is None else check_positive("every", every)
        self._config = config or {}
        self._options = check_watch_options(options) | ({} if log is None else {"log": log})
        self._run: Run | None = None
        self._handle: Watch | None = None
        self._meter: Meter | None = None
        self._clock = Calls(0)
        self._rates: dict[str, Any] = {}
        self._epoch_step: int | None = None
        self._training = False

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy for another process needs: run and hooks stay here."""
        return self.__dict__ | {"_run": None, "_handle": None, "_meter": None}

    # ------------------------------------------------------------------ what the Trainer calls

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:  # noqa: ARG002  # the Trainer's signature
        """Open the run, and attach to the optimizer."""
        self._detach()
        self._training, self._rates, self._epoch_step = True, {}, None
        with self._reporting("run"):
            self._begin(args, state, kwargs.get("model"))
        if self._every is not None and (self._run is not None or args.world_size > 1):
            with self._reporting("watch"):
                self._attach(state, kwargs.get("model"), kwargs.get("optimizer"))

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:  # noqa: ARG002
        """Begin to measure."""
        if self._meter is not None:
            self._meter.start()

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:  # noqa: ARG002
        """Tell the watch the step: updates that a loss scale leaves out count for the Trainer."""
        if self._handle is not None and self._handle.step != state.global_step:
            self._handle.step = state.global_step
            self._handle.resume()  # decides whether that step is captured

    def on_optimizer_step(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:  # noqa: ARG002
        """Remember the rates of the update, before the schedule changes them."""
        with self._reporting("learning rate"):
            self._rates = learning_rates(kwargs["optimizer"].param_groups)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:  # noqa: ARG002
        """Measure the step."""
        if self._meter is not None:
            self._clock.step = state.global_step
            self._meter.step()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: dict[str, Any] | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Log what the Trainer logs, at the last update."""
        with self._reporting("metrics"):
            self._log(args, state, logs or {})

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:  # noqa: ARG002
        """Leave the evaluation out of the step times; outside of a training, close the run."""
        if self._meter is not None:
            self._meter.start()
        self._close()

    def on_predict(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        metrics: dict[str, Any],
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Log the metrics of a prediction, which the Trainer does not log."""
        with self._reporting("metrics"):
            self._log(args, state, metrics)
        self._close()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:  # noqa: ARG002
        """Take the hooks off and close the run, unless it was given."""
        if self._meter is not None:
            self._meter.write()
        self._detach()
        self._training = False
        self._close()

    # ------------------------------------------------------------------ inside

    def _begin(self, args: TrainingArguments, state: TrainerState, model: Any) -> None:
        if not state.is_world_process_zero:
            return
        self._run = self._given
        if self._run is None:
            directory, done = self._directory(args, state), state.global_step
            self._run = open_run(directory, first_step=done, facts=True) if done else Run(directory, per_rank=None)
            self._run.hparams(hyper_parameters(args, model) | dict(self._config))

    def _attach(self, state: TrainerState, model: Any, optimizer: Any) -> None:
        every, start = self._every or 1, state.global_step
        self._clock.step = start
        if self._run is not None:
            self._meter = Meter(self._run, every=every, watching=self._clock)
        self._handle = watch(model, optimizer, self._run, every=every, start_step=start, **self._options)

    def _log(self, args: TrainingArguments, state: TrainerState, logs: dict[str, Any]) -> None:
        if not state.is_world_process_zero:
            return
        if self._run is None:
            self._run = self._given or open_run(self._directory(args, state))  # behind what the training has written
        step = max(state.global_step - 1, 0)
        numbers, texts = sort(logs)
        self._set_rates(numbers, step)
        if numbers.get(tags.EPOCH) is not None and self._epoch_step == step:
            del numbers[tags.EPOCH]
        elif tags.EPOCH in numbers:
            self._epoch_step = step
        if numbers:
            log_each(self._run, numbers, step)
        for tag, text in texts.items():
            self._run.text(tag, text, step)

    def _set_rates(self, numbers: dict[str, Any], step: int) -> None:
        """Replace the Trainer's rate, which may be that of the next update; leave it out where the watch writes it."""
        if tags.LEARNING_RATE in numbers and self._rates:
            del numbers[tags.LEARNING_RATE]
            if self._handle is None or step % (self._every or 1):
                numbers |= self._rates

    def _directory(self, args: TrainingArguments, state: TrainerState) -> str:
        given = self._log_dir or _stated_directory(args)
        directory = os.fspath(given or Path(args.output_dir or ".", "runs"))
        trial = getattr(state, "trial_name", None) if getattr(state, "is_hyper_param_search", False) else None
        if trial is None:
            return directory
        return join(directory, trial) if is_url(directory) else str(Path(directory, trial))

    def _detach(self) -> None:
        handle, self._handle, self._meter = self._handle, None, None
        if handle is not None:
            handle.remove()

    def _close(self) -> None:
        """Close the run outside of a training; a later evaluation opens it again."""
        if self._training or self._run is None:
            return
        run, self._run = self._run, None
        if run is not self._given:
            with self._reporting("run"):
                run.close()

    def _reporting(self, what: str) -> AbstractContextManager[None]:
        return reporting(what, lambda: self._run)


def _stated_directory(args: TrainingArguments) -> str | None:
    """Return the directory that the user has stated; Transformers 4 invents one with time and host, a new one each time."""
    stated: str | None = getattr(args, "logging_dir", None)
    invented = stated is not None and stated.endswith(f"_{socket.gethostname()}")
    return os.environ.get("TENSORBOARD_LOGGING_DIR") if stated is None or invented else stated
