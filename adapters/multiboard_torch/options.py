"""What a watch captures, as the user asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from multiboard import tags
from multiboard.arguments import check_choices, check_positive, check_written

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multiboard.exact import Exact


class Options(NamedTuple):
    """What of each tensor is written.

    Attributes:
        groups: of `tags.GROUPS`.
        histograms: whether distributions are written.
        norms: whether norms and update ratios are.
        sample: values of a tensor that are counted at most; None counts all.
        exact: which tensors are kept element by element; None for none.
    """

    groups: tuple[str, ...]
    histograms: bool = True
    norms: bool = True
    sample: int | None = None
    exact: Exact | None = None

    @property
    def norms_apart(self) -> bool:
        """Whether norms are taken of the values themselves: they do not follow from the counts."""
        return self.norms and not (self.histograms and self.sample is None)


def check_options(log: Iterable[str], *, histograms: bool, norms: bool, sample: int | None) -> Options:
    """Return the options, or raise ArgumentError."""
    check_written(histograms=histograms, norms=norms)
    counted = None if sample is None else check_positive("sample", sample)
    return Options(check_choices("log", log, tags.GROUPS), bool(histograms), bool(norms), counted)
