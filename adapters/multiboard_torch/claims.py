"""Who writes which parameter: several optimizers may train parts of one model and be watched on one run."""

from __future__ import annotations

import weakref
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from multiboard.errors import ArgumentError
from multiboard_torch.layers import named_parameters
from multiboard_torch.optimizers import held_by
from multiboard_torch.selection import among

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn
    from torch.optim import Optimizer

    from multiboard.run import Run
    from multiboard.selection import Selection
    from multiboard_torch.layers import Named


class Claim:
    """The parameters of a model that one watch writes: those that its optimizers hold, and leftovers if it came first.

    Args:
        model: the model, also wrapped.
        optimizers: of the watch.
        run: None on a process that writes nothing.
        layers: restricts the parameters.

    Raises:
        ArgumentError: the optimizers hold no parameter of the model, other parameters have the same tags in this run, or no
            parameter is meant by `layers`.
    """

    def __init__(
        self, model: nn.Module, optimizers: Sequence[Optimizer], run: Run | None, layers: Selection | None = None
    ) -> None:
        self._model, self._optimizers, self._run, self._layers = model, optimizers, run, layers
        self._ids: tuple[int, ...] = ()
        self._names: list[Named] = []
        self._check_optimizers()
        self.chosen()
        for other in _claims(run):
            self._check_tags(other)
        if run is not None:
            _CLAIMS.setdefault(run, []).append(weakref.ref(self))

    def give_up(self) -> None:
        """Leave the parameters to the other watches of the run."""
        if self._run is not None:
            _CLAIMS[self._run] = [known for known in _CLAIMS.get(self._run, []) if known() not in {None, self}]

    def held(self) -> set[int]:
        """Return the ids of the parameters that the optimizers update; groups may be added at any time."""
        return held_by(self.groups())

    def names(self) -> list[Named]:
        """Return all parameters of the model, found anew when it has others."""
        ids = tuple(map(id, self._model.parameters()))
        if ids != self._ids:  # the named ones are kept alive, so that no new parameter gets the id of an old one
            self._ids, self._names = ids, list(named_parameters(self._model))
        return self._names

    def chosen(self) -> list[Named]:
        """Return the parameters that are to be written by anyone."""
        if self._layers is None:
            return self.names()
        return among(self._layers, self.names(), self._model)

    def own(self) -> list[Named]:
        """Return the parameters that this watch writes; only one that two optimizers hold has a second writer in the run."""
        taken = {parameter for other in _claims(self._run) if other is not self for parameter in other.held()}
        taken |= {id(named.parameter) for other in self._earlier() for named in other.names()}
        held = self.held()
        return [named for named in self.chosen() if id(named.parameter) in held or id(named.parameter) not in taken]

    def groups(self) -> list[dict[str, Any]]:
        """Return the parameter groups of the optimizers."""
        return [group for optimizer in self._optimizers for group in optimizer.param_groups]

    def groups_before(self) -> int:
        """Return how many parameter groups the earlier watches of the run have: the index of the first group of this one."""
        return sum(len(other.groups()) for other in self._earlier())

    def _earlier(self) -> list[Claim]:
        return list(takewhile(lambda claim: claim is not self, _claims(self._run)))

    def _check_optimizers(self) -> None:
        if self.held().isdisjoint(id(named.parameter) for named in self.names()):
            culprit = self._optimizers[0] if len(self._optimizers) == 1 else self._optimizers
            raise ArgumentError("optimizer", culprit, "none of its parameters belongs to the model; pass one that does")

    def _check_tags(self, other: Claim) -> None:
        mine = {named.path: named.parameter for named in self.names()}
        for named in other.names():
            if mine.get(named.path, named.parameter) is not named.parameter:
                remedy = (
                    f"another watch of this run writes other parameters as {named.path!r}; remove() it, watch both models in one "
                    "torch.nn.ModuleDict, or give this one a run of its own, e.g. run.child('critic')"
                )
                raise ArgumentError("model", self._model, remedy)


_CLAIMS: Final[weakref.WeakKeyDictionary[Run, list[weakref.ref[Claim]]]] = weakref.WeakKeyDictionary()


def _claims(run: Run | None) -> list[Claim]:
    """Return the living claims of a run, the earliest first."""
    return [] if run is None else [found for known in _CLAIMS.get(run, []) if (found := known()) is not None]
