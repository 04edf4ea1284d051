"""Attaching a watch to a model and its optimizers: the one line that a user writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed as dist
from torch import nn

from multiboard import ranks, tags
from multiboard.arguments import check_positive, check_run, check_start_step
from multiboard.errors import ArgumentError
from multiboard.exact import check_exact
from multiboard.profile.argument import check_profiler
from multiboard.run import Run
from multiboard.selection import Selection
from multiboard_torch import distributed
from multiboard_torch.activations import Activations
from multiboard_torch.capture import Watch
from multiboard_torch.claims import Claim
from multiboard_torch.draft import Processes
from multiboard_torch.options import check_options
from multiboard_torch.spacing import Spacing, check_overhead
from multiboard_torch.statistics import kernel_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch.optim import Optimizer

    from multiboard.exact import Exact
    from multiboard.profile.profiler import Profiler
    from multiboard.selection import Chosen


def watch(
    model: nn.Module,
    optimizer: Optimizer | Iterable[Optimizer],
    run: Run | None,
    *,
    every: int = 100,
    log: Iterable[str] = (tags.PARAMS, tags.GRADS, tags.UPDATES),
    activations: Chosen | None = None,
    layers: Chosen | None = None,
    histograms: bool = True,
    norms: bool = True,
    sample: int | None = None,
    overhead: float | None = None,
    per_rank: bool = False,
    start_step: int = 0,
    profiler: Profiler | None = None,
    exact: Exact | bool | None = None,
) -> Watch:
    """Write the distributions of parameters, gradients and updates, and the learning rate, at every n-th optimizer step.

    At a captured step n the run gets histograms `params/<layer>/<role>` (the values before update n), `grads/<layer>/<role>` (the
    gradients of update n) and `updates/<layer>/<role>` (what update n adds), their norms and numbers of non-finite values,
    `update_ratio/<layer>/<role>`, and `train/learning_rate`. The training is not changed and does not wait: on a CPU the hooks
    copy the values, on other devices they enqueue kernels. What goes wrong in a capture is counted in `multiboard/errors` and
    said once.

    Of a sparse gradient the coalesced values are counted, of complex values the magnitudes. With several parameter groups of
    different rates each rate is written too, as `train/learning_rate/<index>`. Optimizers that take turns (GANs) need a watch
    each; a parameter that none of them holds is written by the first one, and totals like `norm/grads` are those of each watch.

    Args:
        model: the model, also wrapped (DataParallel, DistributedDataParallel, Lightning Fabric), sharded (`fully_shard`) or
            compiled.
        optimizer: the optimizer that updates the model, or a part of it; or several that make one update together, also one per
            parameter that steps inside the backward pass. Gradients are seen in a step pre-hook, or after the step if it is given
            a closure, which computes them.
        run: the run to write to. Of a distributed job every rank may open the same one, or pass None on others than 0, which
            take part in the sums and write nothing.
        every: updates from one capture to the next, at least 1; step 0 is captured.
        log: any of 'params', 'grads', 'updates', 'optimizer_state' (as update n has used it) and 'buffers' (running means).
        activations: layers whose outputs are written as `activations/<layer>`: patterns such as 'encoder.*', compiled regular
            expressions, or a function of the layer's name and module that returns a bool. Outputs of one update are counted
            together, those without gradients (evaluation) not at all. Attach before the first call of a compiled model.
        layers: restricts parameters, gradients, updates and states; patterns on the names of layers or parameters, as above.
        histograms: False writes norms and ratios only, which costs a tenth.
        norms: False writes no norms and ratios.
        sample: values of a tensor that are counted at most, evenly spaced; norms are always those of all values.
        overhead: share of the time that captures may take, e.g. 0.01: they are spaced out where they take more. The share of the
            last one is written as `multiboard/overhead`.
        per_rank: every process writes what it holds (its shards) to a run of its own: the given one if that was opened with
            `per_rank=True`, else `rank_<number>` below the directory of rank 0's.
        start_step: number of updates made before, when a training is resumed.
        profiler: a `multiboard.Profiler` that follows the updates, e.g. `mb.Profiler(run, start=500)`, one per process.
        exact: a `multiboard.Exact` that says of which tensors all elements are kept, and at which steps, as `exact/<group>/...`;
            True keeps parameters and gradients at step 0. Each costs one more copy. Sharded and sparse ones are left out.

    Returns:
        A handle that counts the steps and takes the hooks off again; it need not be kept.

    Raises:
        ArgumentError: an argument is not one of the possible ones, the optimizer holds no parameter of the model, a pattern means
            nothing, or another watch of this run writes other parameters under the same tags.

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
    model = _without_fabric(model)
    optimizers = _check_optimizers(optimizer)
    check_start_step(start_step)
    check_profiler(profiler)
    options = check_options(log, histograms=histograms, norms=norms, sample=sample)
    limit, interval = check_overhead(overhead), check_positive("every", every)
    options = options._replace(exact=check_exact(exact, interval))
    chosen = None if layers is None else Selection("layers", layers)
    watched = None if activations is None else Selection("activations", activations)
    writing = _run_of_rank(run, per_rank=per_rank)
    claim = Claim(model, optimizers, writing, chosen)
    processes = _processes(model, per_rank=per_rank, activations=watched is not None, overhead=limit)
    agree = None if processes.reducer is None or limit is None else processes.reducer.agree
    handle = Watch(model, optimizers, writing, options, claim, Spacing(interval, limit, agree), processes, start_step)
    for device in {parameter.device for parameter in model.parameters()}:
        kernel_for(device)  # compiled now, and not at the first captured step
    try:
        handle.begin(None if watched is None else Activations(model, watched, handle.report))
        if profiler is not None:
            handle.drive(profiler)
    except BaseException:
        handle.remove()
        raise
    return handle


def _without_fabric(model: nn.Module) -> nn.Module:
    """Return what `Fabric.setup` has wrapped: its wrapper holds the model twice, under names of its own."""
    while type(model).__name__ == "_FabricModule":
        model = model._forward_module  # type: ignore[assignment]  # noqa: SLF001  # `module` would leave out what else wraps it
    return model


def _check_optimizers(optimizer: object) -> Sequence[Optimizer]:
    optimizers = [optimizer] if isinstance(optimizer, torch.optim.Optimizer) else optimizer
    try:
        found: list[Optimizer] = list(optimizers)  # type: ignore[call-overload]
    except TypeError:
        found = []
    found = [_unwrapped(one) for one in found]
    if not found or not all(isinstance(one, torch.optim.Optimizer) for one in found):
        remedy = "pass the torch.optim.Optimizer whose step() updates the model, or a list of those that make one update together"
        raise ArgumentError("optimizer", optimizer, remedy)
    return found


def _unwrapped(optimizer: Any) -> Any:
    """Return the optimizer inside one of Accelerate, which is called an optimizer and has no hooks."""
    while isinstance(optimizer, torch.optim.Optimizer) and not hasattr(optimizer, "_optimizer_step_pre_hooks"):
        inner = getattr(optimizer, "optimizer", None)
        if inner is None:
            return None
        optimizer = inner
    return optimizer


def _run_of_rank(run: Run | None, *, per_rank: bool) -> Run | None:
    """Return the run that this process writes to."""
    rank = distributed.rank()
    if run is not None or rank == 0:
        check_run(run)
    if not per_rank:
        return run if rank == 0 else None
    return _own_run(run, rank)


def _own_run(run: Run | None, rank: int) -> Run:
    """Return the run of this rank alone; all ranks ask for theirs at the same time."""
    told: list[Any] = [run and run.log_dir, run and run.url]
    if distributed.processes() > 1:
        dist.broadcast_object_list(told, src=0)
    name, first = ranks.directory(rank), Path(str(told[0]))
    if run is not None and Path(run.log_dir).name == name:
        return run
    if told[1] is not None:
        raise ArgumentError("run", run, "open it with per_rank=True, so that each rank uploads a run of its own")
    if run is not None and rank == 0:
        return run.child(name)
    top = first.parent if first.name == ranks.directory(0) else first
    return Run(top / name, facts=False, per_rank=None)


def _processes(model: nn.Module, *, per_rank: bool, activations: bool, overhead: float | None) -> Processes:
    if per_rank or distributed.processes() == 1:
        return Processes()
    together = activations or any(distributed.is_sharded(parameter) for parameter in model.parameters())
    return Processes(distributed.Reducer(agrees=overhead is not None) if together else None, alone=False)
