"""What layers return, counted where it is computed, at captured steps only.

A forward hook on each chosen layer calls one operator, which adds the counts of the activation to a table that exists beforehand.
The hook looks at one flag: a compiled model has one graph without the operator and one with it, and no graph break. The operator
is opaque to the compiler, so that what the model computes stays the same. On a CPU it copies the activation for the writer thread
instead, a fifth of the cost, as long as the copies are not too large.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from itertools import count
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from multiboard import tags
from multiboard.values import Capture
from multiboard_torch._compat import in_backward, is_capturing, is_exporting, is_tracing
from multiboard_torch.batch import Batch, values_of
from multiboard_torch.buffers import Buffers
from multiboard_torch.distributed import local_part
from multiboard_torch.layers import class_name
from multiboard_torch.statistics import Tally, add_to_tally, any_order, empty_tally, kernel_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

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
        try:
            self._attach()
            selection.check_found(self._layers, [name for name, _ in model.named_modules()])
        except BaseException:
            self.remove()
            raise

    def start(self) -> None:
        """Count from now on what the layers return, also those that were added to the model meanwhile."""
        self._attach()
        for layer in self._layers.values():
            layer.tally = layer.tally_on(_device_of(layer.module, self._model))
        self.switch.on = True

    def stop(self) -> None:
        """Count no more, and forget what was counted."""
        self.switch.on = False
        self.forget()

    def forget(self) -> None:
        """Forget what was counted since the last capture."""
        for layer in self._layers.values():
            if layer.calls:
                layer.taken()
        self.switch.held = 0

    def finished(self, step: int, options: Options, processes: Processes) -> Capture:
        """Return what was counted, and begin anew; several processes add it up from now on, whether the run takes it or not."""
        self._check_called(step)
        batch = Batch()
        for layer in self._layers.values():
            batch.add_counted(*layer.taken(), shared=processes.reducer is not None)
        self.switch.held = 0
        names = tuple(f"{tags.ACTIVATIONS}/{path}" for path in self._layers)
        descriptions = dict(zip(names, (layer.description for layer in self._layers.values()), strict=True))
        capture = Capture(names, processes.later(batch, step), step, time(), descriptions, if_any=True)
        return capture._replace(norms=options.norms, histograms=options.histograms)

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
        self._layers.clear()

    def _attach(self) -> None:
        known = {id(layer.module) for layer in self._layers.values()}
        for name, module in self._model.named_modules():
            path = tags.layer_path(name)
            if path and id(module) not in known and self._selection.has(name, module):
                layer = self._layers[path] = _Layer(module, name, self.switch, self._report, _device_of(module, self._model))
                self._handles.append(module.register_forward_hook(_Hook(self.switch, layer)))


class Switch:
    """What the hooks of one watch share.

    Attributes:
        on: whether outputs are counted; compiled code may look at it.
        held: bytes of the copies of all layers.
    """

    def __init__(self) -> None:
        self.on = False
        self.held = 0


class NothingSeenError(RuntimeError):
    """No layer has returned anything at a captured step."""


class _Layer:
    """A layer and what it has returned.

    Attributes:
        module: the layer.
        number: under which the operator finds it.
        report: called with an error and a sentence for what cannot be counted.
        calls: outputs since the last capture.
        description: markdown for the dashboard.
    """

    def __init__(
        self,
        module: nn.Module,
        name: str,
        switch: Switch,
        report: Callable[[Exception, str], None],
        device: torch.device,
    ) -> None:
        self.module, self.path = module, tags.layer_path(name)
        self.description = tags.description(self.path.replace("/", "."), class_name(module), STAGE)
        self._tallies: dict[torch.device, Tally] = {}
        self.tally = self.tally_on(device)
        self.number = next(_NUMBERS)
        self.calls = 0
        self._switch, self.report = switch, report
        self._called = False
        self._copies: list[Tensor] = []
        _LAYERS[self.number] = self

    def tally_on(self, device: torch.device) -> Tally:
        """Return the counts on a device: the layer may have been moved, or return what is elsewhere."""
        if device not in self._tallies:
            self._tallies[device] = empty_tally(1, device)
        return self._tallies[device]

    def is_first_time(self) -> bool:
        """Tell whether a call is not the second one for a batch, which a checkpoint makes in the backward pass.

        A reentrant checkpoint makes the first one without gradients, so there the second one counts.
        """
        if in_backward():
            return not self._called
        self._called = True
        return True

    def take_in(self, values: Tensor, tally: Tally | None) -> None:
        """Copy an output, or add its counts to a tally, by default the one on its device."""
        if is_capturing():
            return
        self.calls += 1
        if values.device.type == "cpu" and self._switch.held + values.nbytes <= _COPIED_BYTES:
            copies, _ = Buffers().copy([values])
            self._copies += copies
            self._switch.held += values.nbytes
            return
        tally = self.tally_on(values.device) if tally is None else tally
        device = tally.table.device
        values = values.to(device)
        with any_order(device):
            add_to_tally(tally, [values], kernel_for(device))

    def taken(self) -> tuple[list[Tally], list[Tensor]]:
        """Return what was counted and what was copied, and begin anew."""
        taken = [Tally(*(part.clone() for part in tally)) for tally in self._tallies.values()], self._copies
        for device, tally in self._tallies.items():
            for part, nothing in zip(tally, empty_tally(1, device), strict=True):
                part.copy_(nothing)
        self._copies, self.calls, self._called = [], 0, False
        return taken


_LAYERS: Final[weakref.WeakValueDictionary[int, _Layer]] = weakref.WeakValueDictionary()
_NUMBERS: Final = count()
_COPIED_BYTES: Final = 2**28
"""What the copies of all layers may hold at one step; what is beyond it is counted at once."""


class _Hook:
    """Takes in what one layer returns. A copy of the model, or one that is loaded, has a hook that does nothing."""

    def __init__(self, switch: Switch, layer: _Layer) -> None:
        self.switch, self.layer = switch, layer

    def __call__(self, module: nn.Module, arguments: Any, output: Any) -> None:  # noqa: ARG002  # as PyTorch calls it
        if self.switch.on and torch.is_grad_enabled():
            if not torch.compiler.is_compiling():
                _take_in_guarded(self.layer, output)
            elif not is_exporting() and (tensor := first_tensor(output)) is not None:
                table, moments = self.layer.tally
                torch.ops.multiboard.count(tensor.detach(), table, moments, self.layer.number)

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _inert_hook, ()


def _inert_hook() -> Callable[..., None]:
    return do_nothing


def do_nothing(module: nn.Module, arguments: Any, output: Any) -> None:
    """Be the hook of a copy."""


def _take_in_guarded(layer: _Layer, output: Any) -> None:
    began = perf_counter()
    try:
        tensor = None if is_tracing() else first_tensor(output)
        if tensor is not None and layer.is_first_time():
            with torch.no_grad():
                layer.take_in(values_of(local_part(tensor)), None)
    except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
        layer.report(error, f"{tags.ACTIVATIONS}/{layer.path} was left out")
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
    began, layer = perf_counter(), _LAYERS.get(number)
    if layer is not None:
        try:
            layer.take_in(values, Tally(table, moments))
        except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
            layer.report(error, f"{tags.ACTIVATIONS}/{layer.path} was left out")
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
