"""Wrapping a training step: the one line that a user writes."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from multiboard import tags
from multiboard.arguments import check_flag, check_positive, check_run, check_start_step
from multiboard.errors import ArgumentError
from multiboard.exact import check_exact
from multiboard.profile.argument import check_profiler
from multiboard_jax.capture import WrappedStep
from multiboard_jax.compiled import check_step
from multiboard_jax.options import check_jit_options, check_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from multiboard.exact import Exact
    from multiboard.profile.profiler import Profiler
    from multiboard.run import Run
    from multiboard.selection import Chosen


def wrap_train_step(
    train_step: Callable[..., Any],
    run: Run | None,
    *,
    every: int = 100,
    log: Iterable[str] = (tags.PARAMS, tags.GRADS, tags.UPDATES),
    activations: Chosen | None = None,
    histograms: bool = True,
    norms: bool = True,
    learning_rate: float | Callable[[Any], Any] | None = None,
    start_step: int = 0,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    donate_argnums: int | Sequence[int] = (),
    donate_argnames: str | Sequence[str] = (),
    metrics: bool = True,
    graph: bool = False,
    profiler: Profiler | None = None,
    exact: Exact | bool | None = None,
) -> WrappedStep:
    """Compile a training step, and log its metrics and, at every n-th step, distributions of parameters, gradients and updates.

    At a captured step n the run gets histograms `params/<layer>/<role>` (the values before update n), `grads/<layer>/<role>` (the
    gradients of update n) and `updates/<layer>/<role>` (what update n adds), their norms and numbers of non-finite values,
    `update_ratio/<layer>/<role>`, and `train/learning_rate`. Weights and losses are the same as without, and the loop does not
    wait for a device. What goes wrong in a capture is counted in `multiboard/errors` and said once. If the measured variant
    fails, the step runs plain, and it is tried again 1, 2, 4, 8, ... captures later.

    One thread calls the step. Inside `jit`, `scan`, `vmap` or `grad` it is the step itself and logs nothing, which is said once.

    Give the step without `jit`: the wrapper compiles it, once as it is and once with the measurement, which runs at captured
    steps. The first captured step, and the first one of new shapes, therefore takes as long as one more compilation. A step that
    is jitted already (`jax.jit`, `nnx.jit`, `equinox.filter_jit`) is used as it is at the other steps and keeps its shardings at
    the measured ones; which arguments are donated or static is to be repeated here, because it cannot be read.

    Plain pytrees, a `TrainState`, steps that change NNX modules, and modules of equinox are supported. Optimizers in the
    arguments (in a `TrainState`, an `nnx.Optimizer`, or themselves static) are seen; one that is a global variable of the step
    has to be built with `tap`. Other values are seen through `tag`. If the arguments hold several optimizers, the name of the
    argument goes in front of the layers' paths.

    Args:
        train_step: e.g. `step(params, opt_state, batch) -> (params, opt_state, metrics)`, with a training state
            `step(state, batch) -> (state, metrics)`, or with NNX `step(model, optimizer, batch) -> metrics`. The metrics are a
            dict of scalars, a scalar loss or None, alone or last in a tuple or list. A metric that is donated to the next step
            cannot be read: return it apart, or a copy.
        run: where to log. On other processes than 0 of a distributed job it may be None, and is not written to.
        every: updates from one capture to the next, at least 1; step 0 is captured.
        log: any of 'params', 'grads', 'updates', 'optimizer_state' (as update n has used it) and 'buffers' (batch statistics
            after step n). A `tag` below one of these is written only if it is in here.
        activations: layers whose outputs are written as `activations/<layer>`: patterns such as 'encoder.*', compiled regular
            expressions, or a function of the layer's name and module that returns a bool.
        histograms: False writes norms and ratios only, which costs a tenth.
        norms: False writes no norms and ratios.
        learning_rate: logged at captured steps: a number, or a schedule that is called with the step. None logs what
            `optax.inject_hyperparams` holds, if the optimizer has it.
        start_step: number of updates made before, when a training is resumed.
        static_argnums: as for `jax.jit`.
        static_argnames: as for `jax.jit`.
        donate_argnums: as for `jax.jit`.
        donate_argnames: as for `jax.jit`.
        metrics: log what the step returns, at every step, as 'train/<name>' ('train/loss' for a bare scalar). Names with '/'
            stay as they are, and entries of nested dicts have such names; None is left out. False logs nothing of it.
        graph: show the graph of the step in the Graphs tab, as the function `graph` does, when it is called for the first time:
            it is traced once more for that, which for a GPT-2 takes a second or two.
        profiler: a `multiboard.Profiler` that this step drives: its windows are of global steps, and layers of NNX and equinox
            have their names in it. If the window has a captured step, its profile has the measurement, as 'multiboard/...'.
        exact: a `multiboard.Exact` that says of which arrays all elements are kept, and at which steps, as `exact/<group>/...`;
            True keeps parameters and gradients at step 0. These steps run in a variant of their own, compiled once more.

    Returns:
        The step, to be called as before; it returns the same. It has `step`, `pause`, `resume` and `log_now`.

    Raises:
        ArgumentError: an argument is not one of the possible ones; at the first call, before the update: the step does not return
            metrics. Steps of NNX and equinox cannot be asked before, and what is wrong with them is reported.

    Example:
        >>> step = wrap_train_step(train_step, run, every=100)  # doctest: +SKIP
        >>> params, opt_state, metrics = step(params, opt_state, batch)  # doctest: +SKIP
    """
    check_step(train_step)
    if isinstance(getattr(train_step, "func", train_step), WrappedStep):  # also as a method of an object
        raise ArgumentError("train_step", train_step, "pass the step itself: this one is wrapped already")
    if isinstance(learning_rate, bool) or not (
        learning_rate is None or isinstance(learning_rate, (int, float)) or callable(learning_rate)
    ):
        raise ArgumentError("learning_rate", learning_rate, "pass a number, an optax schedule or None")
    jit_options = check_jit_options(
        static_argnums=static_argnums,
        static_argnames=static_argnames,
        donate_argnums=donate_argnums,
        donate_argnames=donate_argnames,
    )
    options = check_options(log, histograms=histograms, norms=norms, activations=activations)
    rate = None if learning_rate is None else functools.partial(_rate, learning_rate)
    interval, first = check_positive("every", every), check_start_step(start_step)
    options = options._replace(exact=check_exact(exact, interval))
    logged = check_flag("metrics", metrics), check_flag("graph", graph)
    return WrappedStep(
        train_step, _check_run(run), interval, options, jit_options, rate, first, *logged, check_profiler(profiler)
    )


def _check_run(run: Run | None) -> Run | None:
    """Return the run, which may be None where a job has several processes: which one this is will be asked at the first step."""
    return None if run is None and jax.distributed.is_initialized() else check_run(run)


def _rate(learning_rate: float | Callable[[Any], Any], step: int) -> Any:
    """Return the learning rate of a step without waiting: a schedule is evaluated on the host's own device."""
    if not callable(learning_rate):
        return learning_rate
    with _host(), jax.transfer_guard("allow"):
        return learning_rate(np.int32(step))


def _host() -> AbstractContextManager[Any]:
    try:
        processor = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # a process that was told to use its accelerator only
        return contextlib.nullcontext()
    context: AbstractContextManager[Any] = jax.default_device(processor)
    return context
