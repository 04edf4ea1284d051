"""Captures of loops that are written by hand: without an optimizer's hooks, where and when the caller says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torch import nn, no_grad

from multiboard import tags
from multiboard.arguments import check_run
from multiboard.errors import ArgumentError, MultiboardError
from multiboard.selection import Selection
from multiboard_torch.buffers import Buffers
from multiboard_torch.draft import Draft, Processes, found_parameter
from multiboard_torch.layers import named_parameters
from multiboard_torch.options import check_options
from multiboard_torch.selection import among

if TYPE_CHECKING:
    from torch import Tensor

    from multiboard.run import Run
    from multiboard.selection import Chosen
    from multiboard_torch.layers import Named


def log_params(
    model: nn.Module, run: Run, step: int, *, layers: Chosen | None = None, histograms: bool = True, norms: bool = True
) -> None:
    """Write the distributions and norms of the parameters as they are now.

    They get the tags of `watch`: `params/<layer>/<role>` and `norm/params/...`. Call it before the update whose step it is.

    Args:
        model: the model, also wrapped or compiled. Sharded parameters are those of `watch`: here they are left out.
        run: the run to write to.
        step: global step of the next update.
        layers: restricts the parameters, as in `watch`.
        histograms: False writes norms only.
        norms: False writes no norms.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """
    found = [(named, named.parameter) for named in _chosen(model, layers)]
    _log(tags.PARAMS, found, run, step, histograms=histograms, norms=norms)


def log_grads(
    model: nn.Module, run: Run, step: int, *, layers: Chosen | None = None, histograms: bool = True, norms: bool = True
) -> None:
    """Write the distributions and norms of the gradients as they are now.

    They get the tags of `watch`: `grads/<layer>/<role>` and `norm/grads/...`. Call it after the backward pass, and after
    unscaling and clipping if what the update uses is of interest. Parameters without a gradient are left out.

    Args:
        model: as in `log_params`.
        run: the run to write to.
        step: global step of the update that the gradients belong to.
        layers: restricts the parameters, as in `watch`.
        histograms: False writes norms only.
        norms: False writes no norms.

    Raises:
        ArgumentError: an argument is not one of the possible ones.
    """
    found = [(named, named.parameter.grad) for named in _chosen(model, layers) if named.parameter.grad is not None]
    _log(tags.GRADS, found, run, step, histograms=histograms, norms=norms)


def _chosen(model: nn.Module, layers: Chosen | None) -> list[Named]:
    if not isinstance(model, nn.Module):
        raise ArgumentError("model", model, "pass the torch.nn.Module that is trained")
    named = list(named_parameters(model))
    return named if layers is None else among(Selection("layers", layers), named, model)


def _log(group: str, found: list[tuple[Named, Tensor]], run: Run, step: int, *, histograms: bool, norms: bool) -> None:
    options = check_options((group,), histograms=histograms, norms=norms, sample=None)
    writing = check_run(run)

    def report(error: Exception, what: str) -> None:
        writing.report(f"capture {type(error).__name__}", f"{what}: {type(error).__name__}: {error}")

    try:
        with no_grad():
            draft = Draft(step, options, _BUFFERS, Processes(), report)
            draft.add(group, [found_parameter(named, tensor) for named, tensor in found])
            for capture in draft.finished():
                writing.capture(capture)
    except MultiboardError:
        raise  # a mistake of the caller in the first step of the run, as in `run.log`
    except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
        report(error, f"{group} of step {step} were left out")


_BUFFERS: Final = Buffers()
"""Shared by all calls."""
