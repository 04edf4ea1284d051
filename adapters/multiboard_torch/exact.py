"""Tensors that are kept element by element: copies of this moment, which the writer thread brings into the compared layout."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import nn

from multiboard import exact_samples, tags
from multiboard.arrays import take_array
from multiboard.exact import Exact
from multiboard.transforms import IDENTITY, transpose
from multiboard_torch import distributed
from multiboard_torch.layer_info import layer_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from torch import Tensor

    from multiboard.run import Run
    from multiboard.values import Foreign
    from multiboard_torch.draft import Found
    from multiboard_torch.options import Options
    from multiboard_torch.outputs import LayerOutput

_CHANNELS_FIRST: Final = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
    nn.GroupNorm, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool2d, nn.Upsample, nn.Dropout2d,
)  # fmt: skip
"""Layers whose second axis holds the channels, of which the compared layout has them last."""
_WITH_PLACES: Final = 3


class _Taken(NamedTuple):
    """One tensor that is on its way to the run."""

    tag: str
    later: exact_samples.Later
    description: str


class ExactTensors:
    """What one capture keeps element by element.

    Args:
        model: also wrapped.
        options: of the watch.
        report: called with an error and a sentence for each tensor that cannot be kept.

    Attributes:
        due: whether the next step is kept.
    """

    def __init__(self, model: nn.Module, options: Options, report: Callable[[Exception, str], None]) -> None:
        self._model, self._report = model, report
        self._exact: Exact = options.exact or Exact()
        self._groups = {*options.groups, tags.ACTIVATIONS}
        self._transforms: dict[str, str] = {}
        self._places: dict[tuple[tuple[int, ...], str, torch.device], Tensor | None] = {}
        self._taken: list[_Taken] = []
        self._before: dict[int, Foreign] = {}
        self._listening: list[LayerOutput] = []
        self.due = False

    def plan(self, step: int, *, captured: bool, layers: Iterable[LayerOutput]) -> None:
        """Decide whether the next step is one, and listen to its layers if so.

        Args:
            step: the next one.
            captured: whether it is captured at all.
            layers: whose outputs are captured.
        """
        self.forget()
        self.due = captured and self._exact.has_step(step)
        if self.due:
            self._listening = [layer for layer in layers if self._exact.has(tags.ACTIVATIONS, layer.path)]
            for layer in self._listening:
                layer.keep = self._take_output

    def forget(self) -> None:
        """Forget what was taken, with the indices on the device, and listen to no layer."""
        for layer in self._listening:
            layer.keep = None
        self._taken, self._before, self._listening = [], {}, []
        self._places.clear()

    def begin(self, parameters: Sequence[Found]) -> None:
        """Keep parameters before an update, and what is needed for what the update adds to them."""
        self.take(tags.PARAMS, parameters)
        for one in self._meant(tags.UPDATES, parameters):
            with self._guarded(tags.UPDATES, one):
                self._before[id(one.tensor)] = self._copy(_checked(one.tensor), self._transform(one))

    def take(self, kind: str, found: Iterable[Found]) -> None:
        """Keep tensors as they are now."""
        for one in self._meant(kind, found):
            with self._guarded(kind, one):
                self._add(exact_samples.tag(kind, one.name), _checked(one.tensor), self._transform(one), one.description)

    def finished(self, run: Run, step: int, parameters: Sequence[Found]) -> None:
        """Hand what was taken to the run, with what an update has added to parameters."""
        for one in self._meant(tags.UPDATES, parameters):
            before = self._before.get(id(one.tensor))
            if before is not None:
                with self._guarded(tags.UPDATES, one):
                    tag = exact_samples.tag(tags.UPDATES, one.name)
                    self._add(tag, _checked(one.tensor), self._transform(one), one.description, before)
        taken = self._taken
        self.forget()
        for kept in taken:
            run.kept_tensor(kept.tag, kept.later, step, description=kept.description)

    def _meant(self, kind: str, found: Iterable[Found]) -> list[Found]:
        if not self.due or kind not in self._groups:
            return []
        return [one for one in found if not one.absent and self._exact.has(kind, one.name)]

    @contextmanager
    def _guarded(self, kind: str, found: Found) -> Iterator[None]:
        """Let one tensor that cannot be kept not cost the others."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self._report(error, f"{exact_samples.tag(kind, found.name)} was left out")

    def _transform(self, found: Found) -> str:
        self._transforms = self._transforms or layer_rows(self._model).transforms()
        return self._transforms.get(found.name, IDENTITY)

    def _take_output(self, layer: LayerOutput, output: Tensor) -> None:
        """Keep the first output of a layer."""
        first = layer.calls == 1 and isinstance(layer.module, _CHANNELS_FIRST) and output.ndim >= _WITH_PLACES
        transform = transpose(0, *range(2, output.ndim), 1) if first else IDENTITY
        if layer.calls == 1:
            self._add(exact_samples.tag(tags.ACTIVATIONS, layer.path), output, transform, layer.description)

    def _add(self, tag: str, tensor: Tensor, transform: str, base: str, before: Foreign | None = None) -> None:
        shape = tuple(tensor.shape)
        values = self._copy(tensor, transform)
        whole = shape if self._places_of(tensor, transform) is None else None
        description = exact_samples.described(base, tensor.dtype, shape, transform, self._exact.limit)
        self._taken.append(_Taken(tag, exact_samples.Later(values, whole, transform, before), description))

    def _copy(self, tensor: Tensor, transform: str) -> Foreign:
        """Return a copy of the elements that are kept; waits for no device."""
        places = self._places_of(tensor, transform)
        kept = tensor if places is None else tensor.reshape(-1).index_select(0, places)
        return take_array("exact", kept)

    def _places_of(self, tensor: Tensor, transform: str) -> Tensor | None:
        key = tuple(tensor.shape), transform, tensor.device
        if key not in self._places:
            places = exact_samples.places(key[0], transform, self._exact.limit)
            self._places[key] = None if places is None else _on(torch.from_numpy(places), tensor.device)
        return self._places[key]


def _checked(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    if distributed.is_sharded(tensor) or tensor.layout != torch.strided:
        raise NotKeptError("it is sharded or sparse: only whole dense tensors can be kept")
    return tensor


class NotKeptError(TypeError):
    """A tensor cannot be kept element by element."""


def _on(places: Tensor, device: torch.device) -> Tensor:
    """Return indices on a device without waiting for it."""
    return (places.pin_memory() if device.type == "cuda" else places).to(device, non_blocking=True)
