"""What layers return, counted where it is computed, at captured steps only.

A forward hook on each chosen layer calls one operator, which adds the counts of the activation to a table that exists beforehand.
The hook looks at one flag: a compiled model has one graph without the operator and one with it, and no graph break. The operator
is opaque to the compiler, so that what the model computes stays the same. On a CPU it copies the activation for the writer thread
instead, a fifth of the cost, as long as the copies are not too large.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from multiboard import tags
from multiboard.values import Capture
from multiboard_torch._compat import in_backward
from multiboard_torch.batch import Batch, values_of
from multiboard_torch.buffers import Buffers
from multiboard_torch.distributed import local_part
from multiboard_torch.layers import class_name
from multiboard_torch.statistics import Tally, add_to_tally, any_order, empty_tally, kernel_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from multiboard.run import Run
    from multiboard_torch.draft import Processes
    from multiboard_torch.options import Options
    from multiboard_torch.selection import Selection

STAGE: Final = "output"


class Activations:
    """The hooks on the chosen layers of one model.

    Args:
        model: the model, also wrapped or compiled.
        selection: which layers.
        report: called with an error and a sentence for what cannot be counted.

    Attributes:
        switch: whether outputs are counted at the moment.
    """

    def __init__(self, model: nn.Module, selection: Selection, report: Callable[[Exception, str], None]) -> None:
        self._model, self._selection, self._report = model, selection, report
        self.switch = Switch()
        self._layers: dict[str, _Layer] = {}
        self._handles: list[Any] = []
        self._attach()
        selection.check_found(self._layers, [name for name, _ in model.named_modules()])

    def start(self) -> None:
        """Count from now on what the layers return, also those that were added to the model meanwhile."""
        self._attach()
        self.switch.on = True

    def stop(self) -> None:
        """Count no more."""
        self.switch.on = False

    def submit(self, run: Run | None, step: int, options: Options, processes: Processes) -> None:
        """Hand what was counted to the run, and begin anew; None takes part in the sums of other processes only."""
        batch = Batch(None, processes.reducer, step)
        self._check_called(step)
        for layer in self._layers.values():
            tally, copies = layer.taken()
            batch.add_counted(tally, [copies], shared=processes.reducer is not None)
        later = processes.later(batch)
        if run is not None and (processes.alone or processes.reducer is not None):
            names = tuple(f"{tags.ACTIVATIONS}/{path}" for path in self._layers)
            descriptions = dict(zip(names, (layer.description for layer in self._layers.values()), strict=True))
            run.capture(
                Capture(names, later, step, time(), descriptions, options.norms, histograms=options.histograms, if_any=True)
            )

    def _check_called(self, step: int) -> None:
        if not any(layer.calls for layer in self._layers.values()):
            error = NothingSeenError("watch a compiled model before its first call, and train with gradients recorded")
            self._report(error, f"activations of step {step} were left out, since no chosen layer was called")

    def seconds(self) -> float:
        """Return the time that counting took on the training thread since the last call."""
        spent, _SPENT[0] = _SPENT[0], 0.0
        return spent

    def remove(self) -> None:
        """Take the hooks off."""
        self.stop()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _attach(self) -> None:
        known = {id(layer.module) for layer in self._layers.values()}
        for name, module in self._model.named_modules():
            path = tags.layer_path(name)
            if path and id(module) not in known and self._selection.has(name, module):
                layer = self._layers[path] = _Layer(module, name, _device_of(module, self._model))
                self._handles.append(module.register_forward_hook(_hook(self.switch, layer, self._report)))


class Switch:
    """A flag that compiled code may look at."""

    def __init__(self) -> None:
        self.on = False


class NothingSeenError(RuntimeError):
    """No layer has returned anything at a captured step."""


class _Layer:
    """A layer and what it has returned.

    Attributes:
        module: the layer.
        number: under which the operator finds it.
        calls: outputs since the last capture.
        description: markdown for the dashboard.
    """

    def __init__(self, module: nn.Module, name: str, device: torch.device) -> None:
        self.module, self.path = module, tags.layer_path(name)
        self.description = tags.description(self.path.replace("/", "."), class_name(module), STAGE)
        self.tally = empty_tally(1, device)
        self.number = len(_LAYERS)
        self.calls = 0
        self._called = False
        self._copies: list[Tensor] = []
        self._held = 0
        _LAYERS.append(weakref.ref(self))

    def is_first_time(self) -> bool:
        """Tell whether a call is not the second one for a batch, which a checkpoint makes in the backward pass.

        A reentrant checkpoint makes the first one without gradients, so there the second one counts.
        """
        if in_backward():
            return not self._called
        self._called = True
        return True

    def take_in(self, values: Tensor, tally: Tally) -> None:
        """Copy an output, or add its counts to a tally."""
        self.calls += 1
        if values.device.type == "cpu" and self._held + values.nbytes <= _COPIED_BYTES:
            copies, _ = Buffers().copy([values])
            self._copies += copies
            self._held += values.nbytes
            return
        values = values.to(tally.table.device, non_blocking=True)
        with any_order():
            add_to_tally(tally, [values], kernel_for(values.device))

    def taken(self) -> tuple[Tally, list[Tensor]]:
        """Return what was counted and what was copied, and begin anew."""
        taken = Tally(*(part.clone() for part in self.tally)), self._copies
        for part, nothing in zip(self.tally, empty_tally(1, self.tally.table.device), strict=True):
            part.copy_(nothing)
        self._copies, self._held, self.calls, self._called = [], 0, 0, False
        return taken


_LAYERS: Final[list[weakref.ref[_Layer]]] = []
_COPIED_BYTES: Final = 2**26
"""What the copies of one layer may hold at one step."""


def _hook(switch: Switch, layer: _Layer, report: Callable[[Exception, str], None]) -> Callable[..., None]:
    (table, moments), number = layer.tally, layer.number

    def count_output(module: nn.Module, arguments: Any, output: Any) -> None:  # noqa: ARG001
        if switch.on and torch.is_grad_enabled():
            tensor = first_tensor(output)
            if tensor is None:
                return
            if torch.compiler.is_compiling():
                torch.ops.multiboard.count(tensor.detach(), table, moments, number)
            elif layer.is_first_time():
                _take_in_guarded(layer, tensor, report)

    return count_output


def _take_in_guarded(layer: _Layer, output: Tensor, report: Callable[[Exception, str], None]) -> None:
    began = perf_counter()
    try:
        with torch.no_grad():
            layer.take_in(values_of(local_part(output)), layer.tally)
    except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
        report(error, f"{tags.ACTIVATIONS}/{layer.path} was left out")
    _SPENT[0] += perf_counter() - began


def first_tensor(output: Any) -> Tensor | None:
    """Return the output that is counted: a tensor, or the first one in a sequence or mapping."""
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, Sequence) and not isinstance(output, str):
        for part in output:
            found = first_tensor(part)
            if found is not None:
                return found
    return None


_SPENT: Final = [0.0]


def _count(values: Tensor, table: Tensor, moments: Tensor, number: int) -> None:
    began, layer = perf_counter(), _LAYERS[number]()
    if layer is not None:
        layer.take_in(values, Tally(table, moments))
    _SPENT[0] += perf_counter() - began


_operator: Final = torch.library.custom_op(
    "multiboard::count",
    _count,
    mutates_args=("table", "moments"),
    schema="(Tensor values, Tensor(a!) table, Tensor(b!) moments, int number) -> ()",
)


@_operator.register_fake
def _count_nothing(values: Tensor, table: Tensor, moments: Tensor, number: int) -> None:  # noqa: ARG001
    return None


def _device_of(module: nn.Module, model: nn.Module) -> torch.device:
    """Return the device on which a layer probably computes."""
    for parameter in (*module.parameters(), *model.parameters()):
        return parameter.device
    return torch.device("cpu")
