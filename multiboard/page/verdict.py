"""What tells the runs apart: the comparison as data."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from multiboard.compare.comparison_text import VERDICTS, number, oracle_lines
from multiboard.compare.notes import listed
from multiboard.graph import text

if TYPE_CHECKING:
    from multiboard.compare.align import Alignment
    from multiboard.compare.comparison import Comparison
    from multiboard.compare.divergence import Divergence
    from multiboard.compare.layer_table import Layer
    from multiboard.page.parts import Board, Part

_TOLD: Final = 3
"""Runs of which the verdict says where they part."""


def comparison(board: Board) -> Part:
    """Return verdict, mismatches, first divergence, what was left out, and which layers belong together."""
    found = board.comparison
    part = {"names": list(board.names), "tensors": board.shortlist, "user_layers": {}}
    if found is None:
        return part | _ALONE
    counts = Counter(one.run for one in found.parted)
    maps: dict[str, dict[str, Any]] = {name: {} for name in board.names[1:]}
    for (run, kind), one in board.maps.items():
        maps[run][kind] = one.described()
    return part | {
        "noise": found.noise,
        "tolerances": dict(found.tolerances),
        "code": found.code,
        "verdict": sentence(found),
        "gate": [mismatch._asdict() for mismatch in found.gate],
        "diagnoses": [one._asdict() for one in found.diagnoses],
        "divergence": [one._asdict() | {"sentence": parts_at(one)} for one in found.divergence],
        "reference": found.reference,
        "oracle": oracle_lines(found),
        "same_wrong": [row._asdict() for row in found.same_wrong],
        "parted": {run: counts[run] for run in found.names[1:]},
        "notes": [note._asdict() for note in found.notes],
        "alignments": {run: _alignment(one) for run, one in found.alignments.items()},
        "maps": maps,
        "user_layers": board.user_layers,
    }


_ALONE: dict[str, Any] = {
    "noise": "", "tolerances": {}, "code": 0, "verdict": "One run: there is nothing to compare.", "gate": [], "diagnoses": [],
    "divergence": [], "reference": "", "oracle": [], "same_wrong": [], "parted": {}, "notes": [], "alignments": {}, "maps": {},
}  # fmt: skip


def sentence(found: Comparison) -> str:
    """Return the outcome in one sentence: where runs part, the earliest first, and what is to be said of the others.

    However many runs there are, some are told of, and the others counted.
    """
    first, *others = found.names
    parted = {one.run: one for one in reversed(found.parted)}
    early = sorted((run for run in others if run in parted), key=lambda run: parted[run].step)
    told = [
        f"{run} parts from {first} at step {parted[run].step}, first in {parted[run].kind} {parted[run].name}"
        for run in early[:_TOLD]
    ]
    if len(early) > _TOLD:
        told.append(f"{len(early) - _TOLD} more part from it at that step or later")
    rest: dict[str, list[str]] = {}
    for run in others:
        if run not in parted:
            rest.setdefault(_outcome(found, run), []).append(run)
    against = "" if told else f" against {first}"
    outcomes = [f"{listed(runs)}{against}: {outcome}" for outcome, runs in rest.items()]
    if len(rest) > _TOLD:
        outcomes[_TOLD:] = [f"{sum(map(len, list(rest.values())[_TOLD:]))} more: see below"]
    return f"{'; '.join(told + outcomes)}."


def _outcome(found: Comparison, run: str) -> str:
    """Return what is to be said of a run that parts nowhere."""
    if any(row.run == run for row in found.same_wrong):
        return f"as wrong as the baseline, {found.reference} shows"
    sizes = [f"{one.what} {one.name}" for one in found.gate if one.fails and one.run == run]
    if sizes:
        return f"not of one size: {listed(sizes)}"
    return VERDICTS[2 if any(note.missing and note.run == run for note in found.notes) else 0]


def parts_at(one: Divergence) -> str:
    """Return where something parts in one sentence."""
    since = f", having agreed until step {one.since}" if one.since is not None else ", the first step that was compared"
    what = "difference of the elements" if one.exact else "difference"
    beyond = f" at step {one.beyond}" if one.beyond != one.step else ""
    return (
        f"{one.kind} {one.name} parts at step {one.step}{since}: the {what} is {number(one.distance)}{beyond}, "
        f"and {number(one.limit)} is allowed."
    )


def _alignment(found: Alignment) -> dict[str, Any]:
    return {
        "pairs": [{"a": one.a, "b": one.b, "level": one.level, "evidence": list(one.evidence)} for one in found.pairs],
        "only_a": [_layer(one) for one in found.only_a],
        "only_b": [_layer(one) for one in found.only_b],
    }


def _layer(layer: Layer) -> dict[str, Any]:
    shapes = [f"{role.name} {text.shape(role.shape)}" for role in layer.roles]
    return {"path": layer.path, "cls": layer.cls, "params": layer.params, "shapes": shapes}
