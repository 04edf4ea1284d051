"""What a wrapped step logs, and how it is compiled, as the user asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from multiboard import tags
from multiboard.arguments import check_choices, check_flag, check_written
from multiboard.errors import ArgumentError
from multiboard_jax.activations import check

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from multiboard.exact import Exact
    from multiboard.selection import Chosen, Selection


class Options(NamedTuple):
    """What of each array is written.

    Attributes:
        groups: of `tags.GROUPS`.
        histograms: whether distributions are written, and with them the numbers of non-finite values.
        norms: whether norms and update ratios are.
        activations: which layers' outputs are measured, as `activations.seen` takes it; None for none.
        exact: which arrays are kept element by element; None for none.
    """

    groups: tuple[str, ...]
    histograms: bool = True
    norms: bool = True
    activations: Selection | None = None
    exact: Exact | None = None


def check_options(log: Iterable[str], *, histograms: bool, norms: bool, activations: Chosen | None) -> Options:
    """Return the options, or raise ArgumentError."""
    for name, value in (("histograms", histograms), ("norms", norms)):
        check_flag(name, value)
    check_written(histograms=histograms, norms=norms)
    selection = None if activations is None else check(activations)
    return Options(check_choices("log", log, tags.GROUPS), histograms, norms, selection)


def check_jit_options(**options: int | str | Sequence[int] | Sequence[str]) -> dict[str, Any]:
    """Return those options of `jax.jit` that are not empty, or raise ArgumentError.

    Empty ones are left out: `jit` finds positions that belong to names only if it is given none.

    Args:
        options: names ending with 'nums' are positions of arguments, those ending with 'names' are their names.
    """
    checked = {}
    for name, value in options.items():
        kind: type = int if name.endswith("nums") else str
        single = isinstance(value, kind)
        values = (value,) if single else value
        if not isinstance(values, (tuple, list)) or not all(isinstance(v, kind) and not isinstance(v, bool) for v in values):
            example = "positions of arguments, e.g. (0, 1)" if kind is int else "names of arguments, e.g. ('state',)"
            raise ArgumentError(name, value, f"pass {example}")
        if values:
            checked[name] = tuple(values)
    return checked
