"""Graphs of models: `graph`, the line that a user writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from torch import nn

from multiboard.arguments import check_flag, check_run
from multiboard.errors import ArgumentError
from multiboard_torch.tracing.example import call_of
from multiboard_torch.tracing.recording import Recording

if TYPE_CHECKING:
    from multiboard.run import Run

_NOTHING: Final = object()


def graph(
    model: nn.Module,
    run: Run | None = None,
    *,
    example: Any = _NOTHING,
    backward: bool = False,
    fake: bool | None = None,
    timing: bool = True,
    tag: str | None = None,
) -> Recording:
    """Record what a model does, and show it in the Graphs tab: its layers, their shapes, parameters, FLOPs and times.

    Without an example the next call of the model is observed as it trains: nothing is run twice, outputs, buffers and random
    numbers are exactly those without it, and afterwards every hook is off again. In a `with` block with `backward=True`
    everything in the block is observed, also the backward pass and the optimizer. What goes wrong raises nothing: the graph is
    written as far as it came, and says so.

    Args:
        model: the outermost object that is called, also wrapped (DataParallel, DistributedDataParallel), sharded or compiled.
            A compiled one runs this call without its compiled code.
        run: to write to; None only keeps the graph in the handle.
        example: what to call the model with at once, for its graph alone: an argument, a tuple of arguments, a dict of arguments
            by name, or a tuple whose last part is such a dict. Nothing is computed but shapes; where values are needed, as for
            `if x.sum() > 0`, the model is called once. Its buffers, attributes and random generators are put back. A sharded
            model talks to other processes, so call this in all of them.
        backward: observe the backward pass too: of the `with` block, or of the sum of all outputs of an example.
        fake: True observes shapes only, also of the next call, which then runs as usual once more: for those who cannot afford
            one slower step. False calls the model with an example in any case.
        timing: take the time of operators on a CPU. No device is waited for, so that those on others get none.
        tag: of a further graph; None for the run's own one, of which there is one.

    Returns:
        A handle with the `graph` once there is one, which `remove()` takes off; it need not be kept.

    Raises:
        ArgumentError: an argument is not one of the possible ones.

    Example:
        >>> import tempfile, torch, multiboard as mb, multiboard.torch as mbt
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
        >>> with mb.Run(tempfile.mkdtemp()) as run:
        ...     recording = mbt.graph(model, run)
        ...     loss = model(torch.ones(2, 4)).mean()
        >>> sum(node.params for node in recording.graph.nodes), sum(node.flops for node in recording.graph.nodes)
        (49, 160)
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError("model", model, "pass the torch.nn.Module that is called")
    if run is not None:
        check_run(run)
    for name, value in (("backward", backward), ("timing", timing), ("fake", fake if fake is not None else False)):
        check_flag(name, value)
    given = example is not _NOTHING
    if backward and fake and not given:
        raise ArgumentError("fake", fake, "a block with backward=True trains, which needs values; leave one of them out")
    recording = Recording(model, run, tag=tag, timing=timing, fake=bool(fake), block=backward and not given)
    if given:
        recording.run_example(call_of(model, example), fake=fake, backward=backward)
    elif not backward:
        recording.arm()
    return recording
