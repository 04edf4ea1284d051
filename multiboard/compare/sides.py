"""One run of a comparison with what is known of its layers, and which tensors of two of them belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from multiboard.compare import findings as found_in
from multiboard.compare.align import Alignment, align
from multiboard.compare.equal_weights import EqualWeights
from multiboard.compare.layer_table import layer_table, logged_rows
from multiboard.compare.tensor_matches import contents, match_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from multiboard.compare.findings import Finding
    from multiboard.compare.layer_table import Layer
    from multiboard.compare.tensor_matches import Match, Matches
    from multiboard.reader import RunData


class Side(NamedTuple):
    """A run, its layers, and the kinds that it tells of each tensor."""

    run: RunData
    layers: list[Layer]
    held: Mapping[str, tuple[str, ...]]


def side_of(run: RunData) -> Side:
    """Return a run with what a comparison needs of it."""
    return Side(run, layer_table(run), contents(run))


def matched(sides: tuple[Side, Side], mapped: Mapping[str, str] | None) -> tuple[Alignment, Matches]:
    """Return which layers and tensors belong together; paths are trusted within one framework."""
    a, b = sides
    equal = EqualWeights((a.run, a.layers), (b.run, b.layers))
    alignment = align(a.layers, b.layers, layers=mapped, equal=equal, paths=_of_one_framework(a.run, b.run))
    return alignment, match_tensors((a.layers, b.layers), alignment, (a.held, b.held))


def _of_one_framework(a: RunData, b: RunData) -> bool:
    """Return whether both runs are known to be of one framework; the facts name all that their processes had loaded."""
    ours, theirs = logged_rows(a), logged_rows(b)
    if ours and theirs:
        return ours.framework == theirs.framework
    told = a.facts.get("framework")
    return told is not None and told == b.facts.get("framework")


def sure(found: Matches, *, guesses: bool) -> list[Match]:
    """Return the tensors that are compared: guesses only if they are allowed."""
    return [match for match in found.matches if guesses or match.level != "guess"]


def all_findings(run: str, sides: tuple[Side, Side], matches: Sequence[Match], rules: found_in.Rules) -> list[Finding]:
    """Return what was compared of two runs."""
    a, b = sides[0].run, sides[1].run
    return [*found_in.scalar_findings(run, a, b, rules), *found_in.tensor_findings(run, a, b, matches, rules)]
