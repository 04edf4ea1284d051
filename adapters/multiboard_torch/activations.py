"""What layers return, counted where it is computed, at captured steps only.

A forward hook on each chosen layer looks at one flag. If it is set, one operator adds the counts of the output to a table that
exists beforehand; on a CPU it copies the output for the writer thread instead, a fifth of the cost, as long as the copies are not
too large.
"""

from __future__ import annotations

from itertools import chain
from time import time
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from multiboard import tags
from multiboard.values import Capture
from multiboard_torch.batch import Batch
from multiboard_torch.outputs import Hook, LayerOutput, Switch, begin_anew

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.selection import Selection
    from multiboard_torch.draft import Processes
    from multiboard_torch.options import Options


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
        self._layers: dict[str, LayerOutput] = {}
        self._handles: list[Any] = []
        try:
            self._attach()
            selection.check_found(self._layers, [tags.layer_path(name) for name, _ in model.named_modules()])
        except BaseException:
            self.remove()
            raise

    def start(self) -> None:
        """Count from now on what the layers return, also those that were added to the model meanwhile."""
        self._attach()
        for layer in self._layers.values():
            layer.tally = layer.tally_on(_device_of(layer.module, self._model))
        self.switch.on = True

    def layers(self) -> list[LayerOutput]:
        """Return what the chosen layers have returned."""
        return list(self._layers.values())

    def stop(self) -> None:
        """Count no more, and forget what was counted."""
        self.switch.on = False
        self.forget()

    def forget(self) -> None:
        """Forget what was counted since the last capture."""
        begin_anew([layer for layer in self._layers.values() if layer.calls])
        self.switch.held = 0

    def finished(self, step: int, options: Options, processes: Processes) -> Capture:
        """Return what was counted, and begin anew; several processes add it up from now on, whether the run takes it or not."""
        self._check_called(step)
        batch = Batch()
        batch.add_counted([layer.counted() for layer in self._layers.values()], shared=processes.reducer is not None)
        self.forget()
        names = tuple(f"{tags.ACTIVATIONS}/{path}" for path in self._layers)
        descriptions = dict(zip(names, (layer.description for layer in self._layers.values()), strict=True))
        capture = Capture(names, processes.later(batch, step), step, time(), descriptions, if_any=True)
        return capture._replace(norms=options.norms, histograms=options.histograms)

    def _check_called(self, step: int) -> None:
        if not any(layer.calls for layer in self._layers.values()):
            error = NothingSeenError("watch a compiled model before its first call, and train with gradients recorded")
            self._report(error, f"activations of step {step} were left out, since no chosen layer was called")

    def take_seconds(self) -> float:
        """Return the time that taking in has cost the training thread since the last call."""
        spent, self.switch.seconds = self.switch.seconds, 0.0
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
            if path and id(module) not in known and self._selection.has(path, module):
                layer = self._layers[path] = LayerOutput(module, name, self.switch, self._report, _device_of(module, self._model))
                self._handles.append(module.register_forward_hook(Hook(self.switch, layer)))


class NothingSeenError(RuntimeError):
    """No layer has returned anything at a captured step."""


def _device_of(module: nn.Module, model: nn.Module) -> torch.device:
    """Return the device on which a layer probably computes."""
    first = next(chain(module.parameters(), model.parameters()), None)
    return torch.device("cpu") if first is None else first.device
