"""What a comparison leaves out, in sentences."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from multiboard.compare.tolerances import scalar_kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from multiboard.compare.align import Alignment
    from multiboard.compare.findings import Finding
    from multiboard.compare.layer_table import Layer
    from multiboard.compare.tensor_matches import Matches
    from multiboard.reader import RunData

_NAMED = 4


class Note(NamedTuple):
    """Something that was not compared.

    Attributes:
        run: the other run.
        text: what, and what to do about it.
        missing: whether the runs cannot be called equal without it.
    """

    run: str
    text: str
    missing: bool


class Sides(NamedTuple):
    """The two runs of a comparison.

    Attributes:
        names: of the baseline and of the other run.
        runs: what they hold.
        held: what `multiboard.compare.tensor_matches.contents` returns of both.
    """

    names: tuple[str, str]
    runs: tuple[RunData, RunData]
    held: tuple[Mapping[str, tuple[str, ...]], Mapping[str, tuple[str, ...]]]


def notes(
    sides: Sides,
    alignment: Alignment,
    matched: Matches,
    findings: Sequence[Finding],
    kinds: Collection[str],
    guesses: Sequence[str],
) -> list[Note]:
    """Return what was not compared of two runs.

    Args:
        sides: the runs.
        alignment: of their layers.
        matched: their tensors.
        findings: what was compared.
        kinds: that should be.
        guesses: pairs of layers that were left out because they are guesses.
    """
    run = sides.names[1]
    found = [Note(run, *sentence) for sentence in _tensors(sides, alignment, matched, kinds)]
    if guesses:
        what = f"it is a guess that these belong together: {listed(guesses)}"
        found.append(Note(run, f"{what}; name their layers, or allow guesses", missing=True))
    apart = [f"{finding.kind} {finding.name}" for finding in findings if not len(finding.step)]
    if apart:
        found.append(Note(run, f"no step in common: {listed(apart)}", missing=True))
    found += [Note(run, text, missing=False) for text in _left_out(sides, findings, kinds)]
    if not any(len(finding.step) for finding in findings):
        found.append(Note(run, "nothing was compared: the runs have no tag and step in common", missing=True))
    return found


def _tensors(
    sides: Sides, alignment: Alignment, matched: Matches, kinds: Collection[str]
) -> Iterator[tuple[str, bool]]:  # fmt: skip
    lone = zip(sides.names, sides.held, (alignment.only_a, alignment.only_b), (matched.only_a, matched.only_b), strict=True)
    for name, held, layers, paths in lone:
        wanted = {path for path, of in held.items() if not set(of).isdisjoint(kinds)}
        alone = [layer.path or "(outermost)" for layer in layers if _held(layer, wanted)]
        if alone:
            yield f"layers that only {name} has: {listed(alone)}", True
        rest = [path for path in paths if path in wanted]
        if rest:
            yield f"tensors that only {name} has: {listed(rest)}", True


def _held(layer: Layer, paths: Collection[str]) -> bool:
    return layer.path in paths or any(role.tag in paths for role in layer.roles)


def _left_out(sides: Sides, findings: Sequence[Finding], kinds: Collection[str]) -> Iterator[str]:
    for name, run, other in zip(sides.names, sides.runs, sides.runs[::-1], strict=True):
        scalars = [tag for tag in run.scalars if tag not in other.scalars and scalar_kind(tag) in kinds]
        if scalars:
            yield f"scalars that only {name} has: {listed(scalars)}"
    ours, theirs = ({kind for of in held.values() for kind in of if kind in kinds} for held in sides.held)
    for name, groups in zip(sides.names, (ours - theirs, theirs - ours), strict=True):
        if groups:
            yield f"groups that only {name} has: {', '.join(sorted(groups))}"
    for name, side in zip(sides.names, (0, 1), strict=True):
        counts = Counter({finding.kind: finding.alone[side] for finding in findings if finding.alone[side]})
        if counts:
            yield f"steps that only {name} has: " + ", ".join(f"{count} of {kind}" for kind, count in counts.items())
    for name, run in zip(sides.names, sides.runs, strict=True):
        if run.damage:
            yield f"records of {name} that are damaged: {sum(map(len, run.damage.values()))}"


def listed(names: Iterable[str]) -> str:
    """Return some names, and how many more there are.

    >>> listed("abcdef")
    'a, b, c, d and 2 more'
    """
    named = list(names)
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more
