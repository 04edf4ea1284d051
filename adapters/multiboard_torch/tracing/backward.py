"""Where an operator of the backward pass belongs: below `backward/`, in the module whose forward pass it derives.

The nodes of the autograd graph are numbered as they are made. What an operator of the forward pass sees as the last number is
that of its own node, so that a number leads back to the scope of the forward pass.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final

from multiboard.graph.ir import BACKWARD
from multiboard_torch._compat import autograd_node, graph_task, sequence_counter, sequence_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from multiboard.graph.ir import Frame, Scope
    from multiboard.graph.recorder import Recorder

_GRADIENTS: Final = "accumulate_grad"
"""The call that holds sums of gradients, which belong to no operator of the forward pass."""
_NO_NUMBER: Final = 2**63
"""Nodes that are not numbered have the largest number."""


class Backward:
    """Scopes of the backward pass.

    Args:
        recorder: numbers the frames.
        scope_of_weight: tells in which module a parameter was used first.
    """

    def __init__(self, recorder: Recorder, scope_of_weight: Callable[[Tensor], Scope | None]) -> None:
        self._recorder, self._scope_of_weight = recorder, scope_of_weight
        self._counter = sequence_counter()
        self._scopes: dict[int, Scope] = {}
        self._numbers: list[int] = []
        self._passes: dict[int, tuple[Frame, int]] = {}
        self._mirrored: dict[tuple[int, int], Frame] = {}

    def remember(self, scope: Scope) -> None:
        """Note the scope of an operator of the forward pass."""
        if self._counter is None:
            return
        last = self._counter() - 1
        if last < 0 or last in self._scopes:
            return
        self._scopes[last] = scope
        if not self._numbers or last > self._numbers[-1]:
            self._numbers.append(last)

    def depth(self, depth: int) -> int | None:
        """Return how deep the stack was when the current backward pass began; None outside of one.

        Args:
            depth: of the stack now.
        """
        task = graph_task()
        if task == -1:
            return None
        if task not in self._passes:
            self._passes[task] = (self._recorder.frame("region", BACKWARD), depth)
        return self._passes[task][1]

    def has_begun(self) -> bool:
        """Tell whether the backward pass of this thread is one that was heard of, and not one of another model."""
        return graph_task() in self._passes

    def scope(self) -> Scope:
        """Return where the operator belongs that the current backward pass runs."""
        node = autograd_node()
        forward = () if node is None else self._forward(node)
        if not forward and (node is None or _is_sum(node)):
            return (self._region(), self._mirror(self._region(), _GRADIENTS))
        return self.mirrored(forward)

    def mirrored(self, forward: Scope) -> Scope:
        """Return the scope of the backward pass of what ran in a scope of the forward pass."""
        region = self._region()
        if forward and forward[0].kind == "region" and forward[0].name == BACKWARD:
            return forward
        scope: Scope = (region,)
        for frame in forward:
            key = (region.uid, frame.uid)
            if key not in self._mirrored:
                self._mirrored[key] = self._recorder.frame(frame.kind, frame.name, frame.cls)
            scope = (*scope, self._mirrored[key])
        return scope

    def _forward(self, node: Any) -> Scope:
        number = sequence_of(node)
        if number is None:
            return ()
        if number >= _NO_NUMBER or _is_sum(node):
            return self._of_parameter(node)
        if number in self._scopes:
            return self._scopes[number]
        before = bisect_right(self._numbers, number)
        return self._scopes[self._numbers[before - 1]] if before else ()

    def _of_parameter(self, node: Any) -> Scope:
        variable = getattr(node, "variable", None)
        scope = None if variable is None else self._scope_of_weight(variable)
        return () if scope is None else scope

    def _mirror(self, region: Frame, name: str) -> Frame:
        key = (region.uid, -1)
        if key not in self._mirrored:
            self._mirrored[key] = self._recorder.frame("call", name)
        return self._mirrored[key]

    def _region(self) -> Frame:
        task = graph_task()
        if task not in self._passes:
            self._passes[task] = (self._recorder.frame("region", BACKWARD), 0)
        return self._passes[task][0]


def _is_sum(node: Any) -> bool:
    name = getattr(node, "name", None)
    return callable(name) and str(name()).endswith("AccumulateGrad")
