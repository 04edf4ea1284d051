"""Captures of a training loop: the hooks of an optimizer, and what goes into one capture."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any, Final, Self

import torch
from torch import nn

from multiboard import tags
from multiboard.arguments import check_choices, check_positive, check_run, check_start_step
from multiboard.errors import ArgumentError, MultiboardError
from multiboard.values import Capture
from multiboard_torch.batch import Batch, check_backlog, values_of
from multiboard_torch.claims import Claim
from multiboard_torch.rates import learning_rates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from torch import Tensor
    from torch.optim import Optimizer

    from multiboard.run import Run
    from multiboard_torch.layers import Named

STAGE: Final = "as the optimizer sees it"
"""Accumulated, unscaled, clipped and all-reduced, if the loop does these before `optimizer.step()`."""


def watch(
    model: nn.Module,
    optimizer: Optimizer,
    run: Run,
    *,
    every: int = 100,
    log: Iterable[str] = (tags.PARAMS, tags.GRADS),
    start_step: int = 0,
) -> Watch:
    """Write the distributions of parameters and gradients, and the learning rate, at every n-th optimizer step.

    At a captured step n the run gets histograms `params/<layer>/<role>` (the values before update n) and `grads/<layer>/<role>`
    (the gradients of update n), their norms and numbers of non-finite values, and `train/learning_rate`. The training is not
    changed and does not wait: on a CPU the hook copies the values, on other devices it enqueues kernels. What goes wrong in a
    capture is counted by the run and said once.

    Of a sparse gradient the coalesced values are counted, of complex values the magnitudes. With several parameter groups of
    different rates each rate is written too, as `train/learning_rate/<index>`. Two optimizers of one model need two watches; a
    parameter that neither holds is written by the first one, and totals such as `norm/grads` are those of each watch.

    Args:
        model: the model, also wrapped (DataParallel, DistributedDataParallel) or compiled. Buffers, such as running
            statistics, are no parameters and are left out.
        optimizer: the optimizer that updates the model, or a part of it. Its gradients are seen in a step pre-hook, or after the
            step if it is given a closure, which computes them.
        run: the run to write to.
        every: steps from one capture to the next, at least 1; step 0 is captured.
        log: any of 'params' and 'grads'.
        start_step: number of optimizer steps taken before, when a training is resumed.

    Returns:
        A handle that counts the steps and takes the hooks off again; it need not be kept.

    Raises:
        ArgumentError: an argument is not one of the possible ones, the optimizer holds no parameter of the model, or another
            watch of this run writes other parameters under the same tags.

    Example:
        >>> import tempfile, torch, multiboard as mb, multiboard.torch as mbt
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> with mb.Run(tempfile.mkdtemp()) as run, mbt.watch(model, optimizer, run, every=10) as watching:
        ...     for _ in range(20):
        ...         loss = model(torch.ones(4, 2)).square().mean()
        ...         loss.backward()
        ...         run.log({"train/loss": loss}, watching.step)
        ...         optimizer.step()
        >>> watching.step
        20
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError("model", model, "pass the torch.nn.Module that is trained")
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ArgumentError("optimizer", optimizer, "pass the torch.optim.Optimizer whose step() updates the model")
    check_start_step(start_step)
    groups = check_choices("log", log, (tags.PARAMS, tags.GRADS))
    return Watch(model, optimizer, check_run(run), check_positive("every", every), groups, start_step)


class Watch:
    """The hooks of one optimizer: made by `watch`, a context manager that removes them at its end.

    Attributes:
        step: the global step of the next optimizer step: before `optimizer.step()` that of the loss just computed, afterwards
            one more.
    """

    def __init__(
        self, model: nn.Module, optimizer: Optimizer, run: Run, every: int, groups: tuple[str, ...], start_step: int
    ) -> None:
        self.step = start_step
        self._model, self._optimizer, self._run = model, optimizer, run
        self._every, self._groups = every, groups
        self._after_closure: _Draft | None = None
        self._claim = Claim(model, optimizer, run)
        # Traced into a compiled training step, the changing step number would compile the step again each time.
        before, after = (torch.compiler.disable(hook) for hook in (self._before_step, self._after_step))
        self._handles = [optimizer.register_step_pre_hook(before), optimizer.register_step_post_hook(after)]

    def remove(self) -> None:
        """Take the hooks off the optimizer; a second call does nothing. Captures already taken are still written."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._after_closure = None
        self._claim.give_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"Watch({type(self._model).__name__}, {type(self._optimizer).__name__}, {self._run!r}, step={self.step})"

    # ------------------------------------------------------------------ hooks: they return None and raise nothing

    def _before_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        step, self.step = self.step, self.step + 1
        self._after_closure = None
        if step % self._every == 0:
            closure = any(callable(value) and value is not optimizer for value in (*args, *kwargs.values()))
            self._guard(lambda: self._log_rates(step), f"the learning rate of step {step} was left out")
            self._guard(lambda: self._start(step, closure), f"the capture of step {step} was left out")

    def _after_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:  # noqa: ARG002
        draft, self._after_closure = self._after_closure, None
        if draft is not None:
            self._guard(lambda: self._finish(draft), f"the capture of step {draft.step} was left out")

    def _guard(self, action: Callable[[], None], otherwise: str) -> None:
        try:
            with torch.no_grad():
                action()
        except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
            self._report(error, otherwise)

    def _report(self, error: Exception, what: str) -> None:
        kind = type(error).__name__
        cause = f"{kind} {getattr(error, 'tag', '')}".strip() if isinstance(error, MultiboardError) else f"capture {kind}"
        self._run.report(cause, f"{what}: {kind}: {error}")

    # ------------------------------------------------------------------ one capture

    def _start(self, step: int, closure: bool) -> None:
        check_backlog()
        draft = _Draft(step, self._claim.own())
        if tags.PARAMS in self._groups:
            self._add(draft, tags.PARAMS, [(named, named.parameter) for named in draft.own])
        if closure:
            self._after_closure = draft
        else:
            self._finish(draft)

    def _finish(self, draft: _Draft) -> None:
        if tags.GRADS in self._groups:
            held = self._claim.held()
            found = [(named, named.parameter.grad) for named in draft.own if id(named.parameter) in held]
            self._add(draft, tags.GRADS, [(named, self._unscaled(grad)) for named, grad in found if grad is not None])
        if draft.tags:
            self._run.capture(draft.finished())

    def _add(self, draft: _Draft, group: str, found: list[tuple[Named, Tensor]]) -> None:
        values = []
        for named, tensor in found:
            try:
                values.append(values_of(tensor))
            except Exception as error:  # noqa: BLE001  # one tensor that cannot be counted does not cost the others
                self._report(error, f"{group}/{named.path} was left out at step {draft.step}")
            else:
                draft.name(group, named)
        draft.batch.add(values)

    def _unscaled(self, grad: Tensor) -> Tensor:
        """Undo the loss scale that a fused optimizer takes off inside its step, where GradScaler leaves it as an attribute."""
        scale = getattr(self._optimizer, "grad_scale", None)
        return grad.detach() / scale.to(grad.device, non_blocking=True) if isinstance(scale, torch.Tensor) else grad

    def _log_rates(self, step: int) -> None:
        rates = learning_rates(self._optimizer, self._claim.groups_before())
        if rates:
            self._run.log(rates, step)


class _Draft:
    """A capture that is being put together."""

    def __init__(self, step: int, own: list[Named]) -> None:
        self.step = step
        self.own = own
        self.batch = Batch()
        self.tags: list[str] = []
        self._wall_time = time()
        self._descriptions: dict[str, str] = {}

    def name(self, group: str, named: Named) -> None:
        """Add the name of the next row of the batch."""
        tag = f"{group}/{named.path}"
        self.tags.append(tag)
        stage = STAGE if group == tags.GRADS else ""
        self._descriptions[tag] = tags.description(named.native, named.layer_class, stage)

    def finished(self) -> Capture:
        """Return the record for the run."""
        return Capture(tuple(self.tags), self.batch, self.step, self._wall_time, self._descriptions)
