"""The callback: what Keras calls, and the life of its run."""

from __future__ import annotations

import contextlib
import os
import warnings
from itertools import count
from typing import TYPE_CHECKING, Any, Self

import keras

from multiboard import tags
from multiboard.directories import claim_directory
from multiboard.errors import MultiboardError, MultiboardWarning
from multiboard.run import Run
from multiboard_keras.batches import Batches, Fit
from multiboard_keras.epochs import Epochs
from multiboard_keras.gradients import micro_batches
from multiboard_keras.naming import KerasNaming, UniformNaming
from multiboard_keras.options import check_options
from multiboard_keras.reporting import Reporting
from multiboard_keras.scalars import batches_before, only_scalars
from multiboard_keras.steps import Steps
from multiboard_keras.tracing.log import Graphs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from multiboard.exact import Exact
    from multiboard.profile.profiler import Profiler
    from multiboard.selection import Chosen
    from multiboard_keras.naming import Naming
    from multiboard_keras.samples import Samples


class TensorBoard(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no type information
    """Write metrics, learning rate, and the distributions of parameters, gradients, updates and activations of a fit.

    Takes the arguments of `keras.callbacks.TensorBoard`, on every backend and without TensorFlow. Step n is the n-th optimizer
    step, from 0, and goes on over several calls of `fit` and when a training is resumed. Every tag and number means the same as
    with the other adapters of multiboard: `train/<metric>` of a batch is the metric of that batch alone, not Keras' mean since
    the start of the epoch; `val/<metric>` (also of `evaluate`) and `train/epoch` are at the step of the last update before them;
    captures hold `params/<layer>/<role>` before update n, `grads/<layer>/<role>` of update n, unscaled, accumulated and before
    clipping, and `updates/<layer>/<role>`, what update n adds. Weights, History and printed logs are those of a fit without the
    callback.

    The callback replaces `model.train_function` from the beginning of `fit` to its end; the model can be saved at any time. A
    captured step runs in a program of its own, which JAX and TensorFlow compile at the first capture.

    With `steps_per_execution` above 1, PyTorch's `jit_compile=True`, Flax NNX variables or several replicas in TensorFlow,
    batches have Keras' running means instead, and of captures only parameters are written, at the first step of a call; the run
    says so once.

    Args:
        log_dir: the run directory, without `run`. Opened at the beginning of the first epoch and closed at the end of `fit`; goes
            on where it ends if the optimizer has made updates before.
        histogram_freq: take a capture at the first step of every epoch that this number divides; 0 takes none.
        write_graph: write what the model computes in its first batch as the graphs 'layer', 'api' and 'op' of the Graphs tab,
            and the layers of a Functional or Sequential model as its conceptual graph.
        write_images: write the parameters as pictures at the end of every epoch that `histogram_freq` divides.
        write_steps_per_second: write `perf/steps_per_s` beside `perf/step_ms`.
        update_freq: 'epoch' logs the means of each epoch, 'batch' the metrics of every batch, an integer those of every n-th.
        profile_batch: the batch to profile, counted from 1 in each fit, or the first and the last one: (10, 20) or '10,20'.
            Steps of the profile are global ones, as everywhere.
        embeddings_freq: write the layers of class Embedding for the Projector tab at the end of every epoch that this number
            divides; 0 writes none.
        embeddings_metadata: what the Projector says of the rows: a file, or by name of a layer a file, a list of labels, or a
            dict with 'labels', 'columns' and 'sprite'.
        run: an open run to write to; it stays open.
        every: take a capture at every step that this number divides.
        log: what a capture holds, any of 'params', 'grads', 'updates', 'optimizer_state' and 'buffers'.
        activations: layers whose outputs a capture holds, too: patterns of paths, e.g. ['encoder.*'], or a function of path and
            layer.
        naming: 'multiboard', or 'keras' for the runs, tags and steps of `keras.callbacks.TensorBoard`, with captures of `every`
            beside them; `histogram_freq` then writes weights at the end of an epoch, as there.
        hparams: hyper-parameters, for the HParams tab.
        samples: predictions to write, see `Samples`.
        profiler: a `multiboard.Profiler` that this fit drives, instead of `profile_batch`.
        exact: a `multiboard.Exact` that says of which tensors all elements are kept, and at which captured steps, as
            `exact/<group>/...`; True keeps parameters and gradients at step 0.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """

    async_safe = True  # else Keras moves the batch end of all callbacks onto the training thread

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keep the arguments, for copies."""
        callback: Self = super().__new__(cls)
        callback._arguments, callback._copies = (args, kwargs), count(1)
        return callback

    def __deepcopy__(self, memo: object) -> Self:
        """Return a callback with the same arguments that has not seen a fit, as keras-tuner makes one for each trial.

        Its run is in a directory of its own below the one of this callback, unless it is given another `log_dir`.
        """
        args, kwargs = self._arguments
        copied = type(self)(*args, **kwargs)
        copied.log_dir = self.log_dir
        copied._copied_from = (self.log_dir, self._copies)  # noqa: SLF001  # one of these
        return copied

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int | str | tuple[int, int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        *,
        run: Run | None = None,
        every: int | None = None,
        log: Iterable[str] = (tags.PARAMS, tags.GRADS, tags.UPDATES),
        activations: Chosen | None = None,
        naming: str = "multiboard",
        hparams: Mapping[str, Any] | None = None,
        samples: Samples | None = None,
        profiler: Profiler | None = None,
        exact: Exact | bool | None = None,
    ) -> None:
        super().__init__()
        self._options = check_options(
            log_dir,
            histogram_freq,
            update_freq,
            embeddings_freq,
            write_graph=write_graph,
            write_images=write_images,
            write_steps_per_second=write_steps_per_second,
            profile_batch=profile_batch,
            profiler=profiler,
            embeddings_metadata=embeddings_metadata,
            run=run,
            every=every,
            log=log,
            activations=activations,
            naming=naming,
            hparams=hparams,
            samples=samples,
            exact=exact,
        )
        self.log_dir = os.fspath(log_dir)
        self._copied_from = ("", self._copies)
        self._hparams = self._options.hparams
        self._naming: Naming | None = None
        self._runs: list[Run] = []
        self._counted: tuple[Any, Steps] = (None, Steps(0))
        self._batches: Batches | None = None
        self._epochs: Epochs | None = None
        self._in_fit = self._begun = self._wrote = self._alone = False

    # ------------------------------------------------------------------ what Keras calls

    def set_model(self, model: Any) -> None:
        """Take note of the model: Keras calls this at the beginning of `fit`, and of an `evaluate` or `predict` of its own."""
        super().set_model(model)
        self._trained = model  # `self.model` brings the state from the device on JAX
        self._alone = True

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002  # Keras' signature
        """Check what depends on the model; the rest waits for the first epoch, when other callbacks have restored it."""
        self._in_fit, self._begun, self._alone = True, False, False
        if self._batches is not None:
            self._batches.end_fit()  # of a fit that ended in an exception, of which Keras tells nobody
        if self._options.embeddings_freq:
            self._options.embeddings.check(self._trained)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Begin to log if this is the first epoch of the fit, and decide whether its first step is captured."""
        if not self._begun:
            self._begun = True
            self._begin()
        if self._epochs is not None:
            self._epochs.begin()
        if self._batches is not None:
            self._batches.begin_epoch(epoch)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Take note of the batch: called on the training thread and in order on every backend, unlike the end of a batch."""
        if self._batches is not None:
            self._batches.begin_batch(batch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Take note of the end of the batch; called in a thread of its own if all callbacks are as safe as this one."""
        if self._batches is not None:
            self._batches.end_batch()

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Take note that the training part of the epoch is over."""
        if self._in_fit and not self._alone:
            self._end_training()

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Log what `evaluate` has found, at the last update before it."""
        alone, self._alone = self._alone, False
        if not self._in_fit:
            self._count_steps(self._trained)
        try:
            naming = self._naming or self._open("add")
            reporting = Reporting(naming.evaluations)
        except MultiboardError as error:
            with contextlib.suppress(MultiboardWarning):  # an error, if the user wants warnings to be errors
                warnings.warn(f"evaluation not logged: {error}", MultiboardWarning, stacklevel=2)
            return
        with reporting.of("evaluation"):
            naming.evaluation(only_scalars(logs or {}, reporting), self._steps.last, in_fit=not alone)
        if self._options.run is not None:
            self._naming = naming
        elif self._naming is None:
            self._close_runs()

    def on_predict_end(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Take note that a `predict` with this callback is over."""
        self._alone = False

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log what belongs to the epoch, at its last update."""
        self._end_training()
        self._steps.end_epoch()
        if self._epochs is not None:
            self._epochs.end(epoch, logs or {}, metrics=self._batches is not None and self._batches.metrics_logged)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Give the train function back and close the run, unless it was given."""
        self._in_fit = False
        if self._batches is not None:
            self._batches.end_fit()
        if self._options.run is None:
            self._close_runs()

    # ------------------------------------------------------------------ inside

    @property
    def _steps(self) -> Steps:
        return self._counted[1]

    def _begin(self) -> None:
        """Open the run and take the place of the train function."""
        model = self._trained
        self._count_steps(model)
        function = None if self._batches is None else self._batches.function
        self._batches = self._epochs = None
        given = self._options.run
        if given is not None and given.closed:
            given.report("closed before fit", f"the run {given.log_dir!r} was closed before the fit, of which nothing is logged.")
            return
        first, self._wrote = not self._wrote, True
        if self._naming is None:
            self._naming = self._open(self._steps.next > 0 and first)
        reporting = Reporting(self._naming.run)
        fit = Fit(self._naming, self._steps, reporting, self.params or {}, getattr(model, "history", None))
        self._epochs = Epochs(model, self._options, fit)
        graphs = None
        if first and self._options.graph:
            graphs = Graphs(model, fit, traced=not self._options.in_keras)
            graphs.begin()
        with reporting.of("fit"):
            self._batches = Batches(model, self._options, fit, function, graphs)

    def _end_training(self) -> None:
        if self._batches is not None:
            self._batches.end_training()
        if self._epochs is not None:
            self._epochs.end_training(rates=self._batches is not None and self._batches.rates_logged)

    def _count_steps(self, model: Any) -> None:
        optimizer = getattr(model, "optimizer", None)
        seen = batches_before(optimizer)
        if self._counted[0] is model:  # a loss scale leaves updates out, and compile() starts again at 0
            seen = self._steps.start_of_next_fit(seen)
        self._counted = (model, Steps(seen, micro_batches(optimizer)))

    def _open(self, resume: bool | str) -> Naming:
        given = self._options.run
        if given is None:
            self._leave_original()
        if not self._options.in_keras:
            return UniformNaming(given or self._open_run(self.log_dir, resume))
        if given is not None:
            return KerasNaming(given.child)
        return KerasNaming(lambda name: self._open_run(os.path.join(self.log_dir, name), resume))  # noqa: PTH118

    def _leave_original(self) -> None:
        """Choose the directory of a copy, if nobody has set another one."""
        (original, copies), self._copied_from = self._copied_from, ("", self._copies)
        if original == self.log_dir:
            self.log_dir = claim_directory(original, f"copy_{next(copies)}")

    def _open_run(self, log_dir: str, resume: bool | str) -> Run:
        """Open one of the runs; there is one row of hyper-parameters, however many fits."""
        hparams, self._hparams = self._hparams, None
        facts = resume != "add" and (not self._options.in_keras or hparams is not None)
        run = Run(log_dir, config=hparams, resume=resume, facts=facts)
        self._runs.append(run)
        return run

    def _close_runs(self) -> None:
        runs, self._runs, self._naming = self._runs, [], None
        for run in runs:
            run.close()
