"""How outputs of layers get out of a train step of PyTorch: copied or counted when they are returned.

Later operations may change them in place, and keeping them all to the end of the step could take more memory than there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from multiboard_torch._compat import in_backward
from multiboard_torch.batch import Batch, check_backlog, values_of
from multiboard_torch.buffers import COPIED_BYTES, Buffers
from multiboard_torch.statistics import add_to_tally, empty_tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from multiboard_keras.layer_calls import Call
    from multiboard_torch.statistics import Tally


class Outputs:
    """The outputs that one run of a train step shows.

    Attributes:
        calls: of layers, one per output.
        lost: by path of a layer: why an output was lost; here `take` tells it.
        keeps: whether `kept` will be called.
    """

    def __init__(self) -> None:
        self.keeps = False
        self._whole: list[torch.Tensor] = []
        self.calls: list[Call] = []
        self.lost: dict[str, str] = {}
        self._taken: list[tuple[list[Tally], list[torch.Tensor]]] = []
        self._held = 0

    def run(self, step: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run the step."""
        return step(*args, **kwargs)

    def counts(self, part: object) -> bool:
        """Return whether a part of an output is a tensor."""
        return isinstance(part, torch.Tensor)

    def take(self, call: Call, tensor: torch.Tensor) -> torch.Tensor:
        """Keep the values of an output and return it.

        Raises:
            BacklogError: the writer thread is too far behind for another copy.
        """
        if not in_backward():
            with torch.no_grad():
                self._taken.append(self._take(values_of(tensor)))
                if self.keeps:
                    self._whole.append(values_of(tensor).clone())
            self.calls.append(call)
        return tensor

    def _take(self, values: torch.Tensor) -> tuple[list[Tally], list[torch.Tensor]]:
        """Return counts, or a copy that is to be counted."""
        if values.device.type == "cpu" and self._held + values.nbytes <= COPIED_BYTES:
            check_backlog()
            self._held += values.nbytes
            return [], Buffers().copy([values])[0]
        tally = empty_tally(1, values.device)
        add_to_tally(tally, [values])
        return [tally], []

    def kept(self, at: int) -> torch.Tensor:
        """Return a copy of the output of a call."""
        return self._whole[at]

    def begin(self, rows: Sequence[Sequence[int]]) -> Batch:
        """Start counting the outputs, those of each row together."""
        batch = Batch()
        batch.add_counted([self._together(row) for row in rows], shared=False)
        return batch

    def _together(self, row: Sequence[int]) -> tuple[list[Tally], list[torch.Tensor]]:
        taken = [self._taken[i] for i in row]
        return [tally for tallies, _ in taken for tally in tallies], [copy for _, copies in taken for copy in copies]
