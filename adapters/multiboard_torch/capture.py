"""Captures of a training loop: the hooks of optimizers, and what goes into one capture."""

from __future__ import annotations

import contextlib
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import torch

from multiboard import tags
from multiboard.errors import MultiboardWarning, cause_of
from multiboard_torch._compat import is_capturing
from multiboard_torch.batch import check_backlog
from multiboard_torch.buffers import Buffers
from multiboard_torch.clipping import listen, norms_around, stop_listening
from multiboard_torch.distributed import rank
from multiboard_torch.draft import Draft, Found, found_parameter
from multiboard_torch.exact import ExactTensors
from multiboard_torch.layer_info import FirstCalls, layer_rows
from multiboard_torch.layers import named_buffers
from multiboard_torch.optimizers import has_closure, held_by, states, unscaled, was_skipped
from multiboard_torch.profile_layers import ModelNames, own_work
from multiboard_torch.rates import learning_rates
from multiboard_torch.spacing import Stopwatch
from multiboard_torch.unseen import UNSEEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from multiboard.profile.profiler import Profiler
    from multiboard.run import Run
    from multiboard.values import Capture
    from multiboard_torch.activations import Activations
    from multiboard_torch.claims import Claim
    from multiboard_torch.draft import Processes
    from multiboard_torch.layers import Named
    from multiboard_torch.options import Options
    from multiboard_torch.spacing import Spacing

STAGE: Final = tags.GIVEN
"""Accumulated, unscaled, clipped and all-reduced, if the loop does these before `optimizer.step()`."""


class Watch:
    """The hooks of the optimizers that make one update: made by `watch`, a context manager that removes them at its end.

    Attributes:
        step: the global step of the next update: before and inside `optimizer.step()` that of the loss just computed, afterwards
            one more.
        profiler: follows the steps; None if there is none.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[Optimizer],
        run: Run | None,
        options: Options,
        claim: Claim,
        spacing: Spacing,
        processes: Processes,
        start_step: int,
    ) -> None:
        self.step = start_step
        self.profiler: Profiler | None = None
        self._model, self._optimizers, self._run = model, tuple(optimizers), run
        self._options, self._claim, self._spacing, self._processes = options, claim, spacing, processes
        self._activations: Activations | None = None
        self._exact = None if options.exact is None or run is None else ExactTensors(model, options, self.report)
        self._calls: FirstCalls | None = None
        self._undescribed = run is not None
        self._buffers, self._stopwatch = Buffers(), Stopwatch()
        self._draft: Draft | None = None
        self._own: list[Named] = []
        self._stepped: set[int] = set()
        self._begun: set[int] = set()
        self._due = self._planned = self._paused = False
        self._errors = 0
        self._said: set[str] = set()
        self._stage = STAGE
        # Traced into a compiled training step, the changing step number would compile the step again each time.
        before, after = (torch.compiler.disable(hook) for hook in (self._before_step, self._after_step))
        self._handles = [
            handle
            for optimizer in self._optimizers
            for handle in (optimizer.register_step_pre_hook(before), optimizer.register_step_post_hook(after))
        ]

    def begin(self, activations: Activations | None) -> None:
        """Plan the first capture."""
        self._activations = activations
        if self._undescribed:
            self._guard(self._watch_calls, "the order in which layers are called was left out")
        listen(self)
        self._plan()

    def drive(self, profiler: Profiler) -> None:
        """Let a profiler follow the steps from now on, each from the end of the update before to the end of its own."""
        profiler.attach(self._run, "torch", names=ModelNames(self._model))
        self.profiler = profiler
        profiler.reached(self.step)

    def remove(self) -> None:
        """Take all hooks off; a second call does nothing. Captures already taken are still written."""
        if self._stepped:
            self._end_update()
        if self.profiler is not None and self._handles:
            self.profiler.end()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._due, self._draft = False, None
        stop_listening(self)
        self._end_calls()
        if self._activations is not None:
            self._activations.remove()
        if self._exact is not None:
            self._exact.forget()
        self._activations, self._buffers = None, Buffers()
        if self._processes.reducer is not None:
            self._processes.reducer.close()
        self._claim.give_up()

    def pause(self) -> None:
        """Capture nothing until `resume`; steps are counted on."""
        self._paused = True
        self._plan()

    def resume(self) -> None:
        """Capture again after `pause`."""
        self._paused = False
        self._plan()

    def log_now(self) -> None:
        """Capture the next update whatever `every` says, also while paused; in a job of several processes call it on all."""
        self._spacing.force()
        self._plan()

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Be None in a copy of what holds this handle, e.g. of a module: nothing watches the copy."""
        return type(None), ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()

    def __repr__(self) -> str:
        optimizers = ", ".join(dict.fromkeys(type(optimizer).__name__ for optimizer in self._optimizers))
        return f"Watch({type(self._model).__name__}, {optimizers}, {self._run!r}, step={self.step})"

    def holds(self, parameters: set[int]) -> bool:
        """Tell whether any of these parameters, given by id, is one that this watch updates."""
        return not self._claim.held().isdisjoint(parameters)

    def note_clipping(self, before: Tensor, max_norm: float) -> None:
        """Write the norms around a clipping of gradients of the next update, if that is captured.

        Args:
            before: the norm before it.
            max_norm: that was asked for.
        """
        self._stage = tags.gradient_stage(tags.AFTER_CLIPPING, f"to a norm of {max_norm:g}")
        if self._due:
            self._guard(lambda: self._log(norms_around(before, max_norm)), "the norm of clipped gradients was left out")

    def report(self, error: Exception, what: str) -> None:
        """Count what went wrong, and say it once per cause; raises nothing."""
        self._errors += 1
        kind, cause = type(error).__name__, cause_of(error, "capture")
        if self._run is None:
            self._say(cause, f"{what} on rank {rank()}: {kind}: {error}")
        else:
            self._run.report(cause, f"{what}: {kind}: {error}")
            if not self._run.closed:
                self._guard(lambda: self._log({tags.ERRORS: float(self._errors)}), "")

    def _say(self, cause: str, message: str) -> None:
        """Say once what goes wrong on a process without a run."""
        if cause not in self._said:
            self._said.add(cause)
            with contextlib.suppress(Exception):  # a filter that turns warnings into errors
                warnings.warn(message, MultiboardWarning, stacklevel=2)

    # ------------------------------------------------------------------ hooks: they return None and raise nothing

    def _before_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        again = id(optimizer) in self._begun  # its last step raised; or it calls that of its base class, which runs the hooks too
        if id(optimizer) in self._stepped and not again:
            self._end_update()
        self._begun.add(id(optimizer))
        if not self._due or (again and self._stepped):
            return
        if self._draft is None or again:
            self._draft = None
            self._capture(self._start)
        if not has_closure(optimizer, args, kwargs):
            self._capture(lambda: self._add_grads(optimizer))

    def _after_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if id(optimizer) not in self._begun:
            return
        self._begun.discard(id(optimizer))
        if was_skipped(optimizer):
            self._draft = None
            self._forget_activations()
            return
        if self._due and has_closure(optimizer, args, kwargs):
            self._capture(lambda: self._add_grads(optimizer))
        self._stepped.add(id(optimizer))
        if len(self._stepped) == len(self._optimizers):
            self._end_update()

    def _capture(self, action: Callable[[], None]) -> None:
        """Do a part of the capture; if it fails the rest of it is left out, too."""
        if self._due and not is_capturing():
            device = next((parameter.device for parameter in self._model.parameters()), torch.device("cpu"))
            with own_work(self.profiler):
                self._due = self._guard(
                    lambda: self._stopwatch.measure(action, device), f"the capture of step {self.step} was left out"
                )

    def _guard(self, action: Callable[[], None], otherwise: str) -> bool:
        try:
            with torch.no_grad(), UNSEEN:
                action()
        except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
            if otherwise:
                self.report(error, otherwise)
            return False
        return True

    def _end_update(self) -> None:
        self._stepped.clear()
        if self._undescribed and not is_capturing():
            self._undescribed = False
            self._guard(self._describe_layers, "the table of the layers was left out")
        if self._draft is not None:
            self._guard(self._log_rates, f"the learning rate of step {self.step} was left out")
            self._capture(self._finish)
        if self._planned:  # also if it failed: other processes agree with this one on the next step
            self._guard(self._note_cost, "the overhead was left out")
        self._spacing.give_up_forced()
        self._draft, self._stage, self._own = None, STAGE, []
        self.step += 1
        self._plan()
        if self.profiler is not None and self.step >= self.profiler.next_step and not is_capturing():
            self.profiler.reached(self.step)

    def _plan(self) -> None:
        """Decide whether the next update is captured, and count activations from now on if so."""
        if self._handles:
            self._guard(self._decide, "the next capture was left out")

    def _decide(self) -> None:
        self._due = self._planned = False
        writes = self._run is not None and not self._run.closed
        self._due = self._planned = (writes or self._processes.reducer is not None) and self._spacing.due(
            self.step, paused=self._paused
        )
        if self._activations is not None:
            self._activations.start() if self._due else self._activations.stop()
        if self._exact is not None:
            layers = [] if self._activations is None else self._activations.layers()
            self._exact.plan(self.step, captured=self._due, layers=layers)

    def _note_cost(self) -> None:
        if self._activations is not None:
            self._stopwatch.add(self._activations.take_seconds())
        self._spacing.captured(self.step, self._stopwatch.take())
        if self._spacing.limited and self._spacing.share is not None:
            self._log({tags.OVERHEAD: self._spacing.share})

    def _forget_activations(self) -> None:
        if self._activations is not None:
            self._activations.forget()

    # ------------------------------------------------------------------ the layer table

    def _watch_calls(self) -> None:
        self._calls = FirstCalls(self._model)

    def _end_calls(self) -> None:
        if self._calls is not None:
            self._calls.end()

    def _describe_layers(self) -> None:
        """Write the table of the layers at the first update: by now each of them was called."""
        self._end_calls()
        if self._run is not None and not self._run.closed:
            order = () if self._calls is None else self._calls.order
            self._run.describe_layers(layer_rows(self._model, order, self._stage), self.step)

    # ------------------------------------------------------------------ one capture

    def _start(self) -> None:
        if self._processes.reducer is None:
            check_backlog()
        draft = Draft(self.step, self._options, self._buffers, self._processes, self.report)
        groups = self._options.groups
        own = self._own = self._claim.own()
        if tags.PARAMS in groups:
            held = self._claim.held() if tags.UPDATES in groups else set()
            draft.add(tags.PARAMS, self._parameters(own, held), keep=True)
            draft.add(tags.PARAMS, self._parameters(own, {id(named.parameter) for named in own} - held))
        elif tags.UPDATES in groups:
            draft.add(tags.PARAMS, self._parameters(own, self._claim.held()), keep=True, written=False)
        if tags.BUFFERS in groups:
            draft.add(tags.BUFFERS, [found_parameter(named, named.parameter) for named in named_buffers(self._model)])
        self._draft = draft
        if self._exact is not None:
            self._exact.begin(self._parameters(own, {id(named.parameter) for named in own}))

    def _add_grads(self, optimizer: Optimizer) -> None:
        if self._draft is None or tags.GRADS not in self._options.groups:
            return
        held = held_by(optimizer.param_groups)
        grads = [(named, named.parameter.grad) for named in self._own if id(named.parameter) in held]
        found = [
            found_parameter(named, named.parameter if grad is None else unscaled(optimizer, grad), self._stage)._replace(
                absent=grad is None
            )
            for named, grad in grads
        ]
        self._draft.add(tags.GRADS, found)
        if self._exact is not None:
            self._exact.take(tags.GRADS, found)

    def _finish(self) -> None:
        draft = self._draft
        if draft is None:
            return
        own, held = self._own, self._claim.held()
        if tags.UPDATES in self._options.groups:
            draft.add_changes(tags.UPDATES, self._parameters(own, held))
        if tags.OPTIMIZER_STATE in self._options.groups:
            draft.add(tags.OPTIMIZER_STATE, [found for optimizer in self._optimizers for found in states(optimizer, own)])
        if self._exact is not None and self._run is not None:
            self._exact.finished(self._run, self.step, self._parameters(own, held))
        finished = draft.finished()
        if self._activations is not None:
            finished.append(self._activations.finished(self.step, self._options, self._processes))
        for capture in finished:
            self._guard(partial(self._deliver, capture), f"a capture of step {self.step} was left out")

    def _deliver(self, capture: Capture) -> None:
        if self._run is not None:
            self._run.capture(capture)

    def _log_rates(self) -> None:
        self._log(learning_rates(self._claim.groups(), self._claim.groups_before()))

    def _parameters(self, own: Iterable[Named], chosen: set[int]) -> list[Found]:
        return [found_parameter(named, named.parameter) for named in own if id(named.parameter) in chosen]

    def _log(self, numbers: dict[str, Any]) -> None:
        if self._run is not None and numbers:
            self._run.log(numbers, self.step)
