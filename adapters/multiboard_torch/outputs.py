"""The output of one layer: the hook that sees it, and the operator that takes it in.

A compiled model has one graph without the operator and one with it, and no graph break. The operator is opaque to the compiler,
so that what the model computes stays the same.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import library

from multiboard import tags
from multiboard_torch._compat import fill_each, in_backward, is_capturing, is_exporting, is_tracing
from multiboard_torch.batch import values_of
from multiboard_torch.buffers import COPIED_BYTES, Buffers, group
from multiboard_torch.distributed import local_part
from multiboard_torch.layers import class_name
from multiboard_torch.statistics import Tally, add_to_tally, empty_tally
from multiboard_torch.unseen import UNSEEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

STAGE: Final = "output"


class Switch:
    """What the hooks of one watch share.

    Attributes:
        on: whether outputs are counted; compiled code may look at it.
        held: bytes of the copies of all layers.
        seconds: that taking in has cost the training thread.
    """

    def __init__(self) -> None:
        self.on = False
        self.held = 0
        self.seconds = 0.0


class LayerOutput:
    """What a layer has returned.

    Attributes:
        module: the layer.
        number: under which the operator finds it.
        calls: outputs since the last capture.
        keep: called with the layer and each output, where outputs are kept element by element; else None.
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
        self.keep: Callable[[LayerOutput, Tensor], None] | None = None
        self._switch, self._report = switch, report
        self._called = False
        self._copies: list[Tensor] = []
        _LAYERS[self.number] = self

    def tally_on(self, device: torch.device) -> Tally:
        """Return the counts on a device: the layer may have been moved, or return what is elsewhere."""
        if device not in self._tallies:
            self._tallies[device] = empty_tally(1, device)
        return self._tallies[device]

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Let nothing that happens inside end a training, and count the time that it takes."""
        began = perf_counter()
        try:
            with UNSEEN:
                yield
        except Exception as error:  # noqa: BLE001
            self._report(error, f"{tags.ACTIVATIONS}/{self.path} was left out")
        self._switch.seconds += perf_counter() - began

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
        if self.keep is not None:
            self.keep(self, values)
        if values.device.type == "cpu" and self._switch.held + values.nbytes <= COPIED_BYTES:
            copies, _ = Buffers().copy([values])
            self._copies += copies
            self._switch.held += values.nbytes
            return
        tally = self.tally_on(values.device) if tally is None else tally
        add_to_tally(tally, [values.to(tally.table.device)])

    def counted(self) -> tuple[list[Tally], list[Tensor]]:
        """Return the counts since the last beginning, which may go on, and the copies that are still to be counted."""
        return list(self._tallies.values()), self._copies

    def forget(self) -> list[Tally]:
        """Forget the copies and calls, and return the counts, for `begin_anew`."""
        self._copies, self.calls, self._called = [], 0, False
        return list(self._tallies.values())


def begin_anew(layers: Sequence[LayerOutput]) -> None:
    """Forget what layers have returned, in few kernels; the tensors of the counts stay, for compiled code has them."""
    tallies = [tally for layer in layers for tally in layer.forget()]
    for device, chosen in group(tally.table.device for tally in tallies).items():
        for parts, nothing in zip(zip(*(tallies[row] for row in chosen), strict=True), empty_tally(1, device), strict=True):
            fill_each(parts, nothing)


_LAYERS: Final[weakref.WeakValueDictionary[int, LayerOutput]] = weakref.WeakValueDictionary()
_NUMBERS: Final = count()


class Hook:
    """Takes in what one layer returns. A copy of the model, or one that is loaded, has a hook that does nothing."""

    def __init__(self, switch: Switch, layer: LayerOutput) -> None:
        self.switch, self.layer = switch, layer

    def __call__(self, module: nn.Module, arguments: Any, output: Any) -> None:  # noqa: ARG002  # as PyTorch calls it
        """Take in the output if outputs are counted at the moment and gradients are recorded."""
        if self.switch.on and torch.is_grad_enabled():
            if not torch.compiler.is_compiling():
                _take_in(self.layer, output)
            elif not is_exporting() and (tensor := first_tensor(output)) is not None:
                table, moments = self.layer.tally
                torch.ops.multiboard.count(tensor.detach(), table, moments, self.layer.number)

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _inert_hook, ()


def _inert_hook() -> Callable[..., None]:
    return do_nothing


def do_nothing(module: nn.Module, arguments: Any, output: Any) -> None:
    """Be the hook of a copy."""


def _take_in(layer: LayerOutput, output: Any) -> None:
    with layer.guarded():
        tensor = None if is_tracing() else first_tensor(output)
        if tensor is not None and layer.is_first_time():
            with torch.no_grad():
                layer.take_in(values_of(local_part(tensor)), None)


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


def _count(values: Tensor, table: Tensor, moments: Tensor, number: int) -> None:
    layer = _LAYERS.get(number)
    if layer is not None:
        with layer.guarded():
            layer.take_in(values, Tally(table, moments))


_counting: Final = library.custom_op(
    "multiboard::count",
    _count,
    mutates_args=("table", "moments"),
    schema="(Tensor values, Tensor(a!) table, Tensor(b!) moments, int number) -> ()",
)


@_counting.register_fake
def _count_nothing(values: Tensor, table: Tensor, moments: Tensor, number: int) -> None:  # noqa: ARG001
    return None
