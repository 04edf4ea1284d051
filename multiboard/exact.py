"""Which tensors a run keeps element by element: the argument `exact` of the adapters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from multiboard import tags
from multiboard.arguments import check_choices, check_positive
from multiboard.errors import ArgumentError
from multiboard.selection import Selection

if TYPE_CHECKING:
    from multiboard.selection import Pattern

KINDS: Final = (tags.PARAMS, tags.GRADS, tags.UPDATES, tags.ACTIVATIONS)
LIMIT: Final = 2**16


@dataclass(frozen=True)
class Exact:
    """Which tensors are kept element by element at some of the captured steps, as `exact/<kind>/<layer>`, for `mb.compare`.

    They are written in one layout, that of Flax: the element at a place is the same in every framework.

    Args:
        layers: which ones: patterns on the paths of layers or tensors such as 'encoder.*', or compiled regular expressions.
        steps: at which of the captured steps; a number n means every step that n divides.
        kinds: any of 'params', 'grads', 'updates' and 'activations'; of the last ones those that are captured anyway.
        limit: elements of a tensor that are kept at most. Of larger ones a sample is, the same elements in every framework.

    Raises:
        ArgumentError: an argument is not one of the possible ones.

    Example:
        >>> Exact(layers=["encoder.*"], steps=[0, 100]).has_step(100)
        True
    """

    layers: Pattern | Iterable[Pattern] = "*"
    steps: int | Iterable[int] = (0,)
    kinds: Iterable[str] = (tags.PARAMS, tags.GRADS)
    limit: int = LIMIT

    def __post_init__(self) -> None:
        """Check the arguments, and keep what can be gone through only once."""
        if callable(self.layers):
            raise ArgumentError("layers", self.layers, "pass patterns such as ['encoder.*']")
        if not hasattr(self.layers, "search") and isinstance(self.layers, Iterable) and not isinstance(self.layers, str):
            object.__setattr__(self, "layers", tuple(self.layers))
        Selection("layers", self.layers)
        object.__setattr__(self, "steps", _steps(self.steps))
        object.__setattr__(self, "kinds", check_choices("kinds", self.kinds, KINDS))
        check_positive("limit", self.limit)

    @cached_property
    def selection(self) -> Selection:
        """Tells which layers are meant."""
        return Selection("exact", self.layers)

    def has_step(self, step: int) -> bool:
        """Tell whether tensors are kept at a step that is captured."""
        return step % self.steps == 0 if isinstance(self.steps, int) else step in self.steps

    def has(self, kind: str, path: str) -> bool:
        """Tell whether a tensor is kept, by its path: that of the layer and its role, of an activation that of the layer."""
        layer = path if kind == tags.ACTIVATIONS else path.rpartition("/")[0]
        return kind in self.kinds and any(self.selection.has(name, None) for name in (path, layer) if name)


def check_exact(exact: object, every: int) -> Exact | None:
    """Return what is kept, None for nothing.

    Args:
        exact: as the user passed it: an `Exact`, True for its defaults, or None or False.
        every: updates from one capture to the next; 0 if captures come otherwise.

    Raises:
        ArgumentError: it is none of these, or a step that it names is not captured.
    """
    if exact is None or exact is False:
        return None
    found = Exact() if exact is True else exact
    if not isinstance(found, Exact):
        raise ArgumentError("exact", exact, "pass True, or a multiboard.Exact that says which layers, at which steps")
    named = (found.steps,) if isinstance(found.steps, int) else tuple(found.steps)
    for step in named:
        if every and step % every:
            raise ArgumentError("exact", found, f"step {step} is no captured one: name multiples of every={every}")
    return found


def _steps(steps: object) -> int | tuple[int, ...]:
    if isinstance(steps, int):
        return check_positive("steps", steps)
    found = tuple(steps) if isinstance(steps, Iterable) else ()
    if not found or not all(isinstance(step, int) and not isinstance(step, bool) and step >= 0 for step in found):
        raise ArgumentError("steps", steps, "pass numbers of steps, e.g. (0, 100), or one number n for every n-th step")
    return found
