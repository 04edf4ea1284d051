"""One run compared with the baseline: layers that belong together, findings, where they part, what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from multiboard import tags
from multiboard.compare import oracle
from multiboard.compare.align import all_paths
from multiboard.compare.diagnoses import diagnose
from multiboard.compare.diagnosis import Seen
from multiboard.compare.equal_weights import first_step, ported
from multiboard.compare.exact import compare_kept
from multiboard.compare.exact_divergence import with_exact
from multiboard.compare.gate import mismatches
from multiboard.compare.layer_maps import from_reference
from multiboard.compare.noise import RoundingModel
from multiboard.compare.noise_at_start import scaled, start_of
from multiboard.compare.notes import Sides, notes
from multiboard.compare.origin import origin, with_origin
from multiboard.compare.sides import Side, all_findings, matched, sure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from multiboard.compare.align import Alignment
    from multiboard.compare.diagnosis import Diagnosis
    from multiboard.compare.divergence import Divergence
    from multiboard.compare.exact import Compared
    from multiboard.compare.findings import Finding, Rules
    from multiboard.compare.gate import Mismatch
    from multiboard.compare.noise_at_start import Start
    from multiboard.compare.notes import Note
    from multiboard.compare.oracle import Errors
    from multiboard.compare.tensor_matches import Match


class ComparedPair(NamedTuple):
    """What was found of one run and the baseline.

    Attributes:
        findings: everything that was compared, a series each.
        parted: where they part, the cause first.
        gate: settings, sizes and steps that are not the same.
        notes: what was not compared.
        alignment: which layers belong together.
        kept: tensors that were compared element by element.
        start: what their first step shows of the noise; None if the weights are not equal, or nothing can be seen of it.
        diagnoses: mistakes that would explain where they part, the likeliest first.
    """

    findings: list[Finding]
    parted: tuple[Divergence, ...]
    gate: list[Mismatch]
    notes: list[Note]
    alignment: Alignment
    kept: list[Compared]
    start: Start | None
    diagnoses: tuple[Diagnosis, ...]


class Settings(NamedTuple):
    """How runs are compared.

    Attributes:
        rules: what is allowed.
        mapped: paths of layers that belong together; None for no map.
        guesses: whether pairs of layers that are guesses are compared.
        measured: whether the model of rounding may be scaled by what the first step shows.
    """

    rules: Rules
    mapped: Mapping[str, str] | None
    guesses: bool
    measured: bool


def compare_pair(named: tuple[str, str], sides: tuple[Side, Side], settings: Settings) -> ComparedPair:
    """Compare a run with the baseline.

    Args:
        named: the names of both.
        sides: both.
        settings: of the comparison.
    """
    (a, b), rules = sides, settings.rules
    runs, held = (a.run, b.run), (a.held, b.held)
    alignment, found_pairs = matched(sides, settings.mapped)
    matches = sure(found_pairs, guesses=settings.guesses)
    found = all_findings(named[1], sides, matches, rules)
    first = first_step(*runs) if ported(*runs, matches) else None
    start = start_of(found, first, rules.noise) if first is not None and isinstance(rules.noise, RoundingModel) else None
    if settings.measured and start is not None and isinstance(rules.noise, RoundingModel):
        rules = rules._replace(noise=scaled(rules.noise, start))
        found = [one.with_bounds(*rules.bounds(one.kind, one.name, one.step)) for one in found]
    kept = list(compare_kept(named[1], *runs, [match for match in matches if match.kind in rules.kinds]))
    begin = origin(found, first)
    parted = with_origin(with_exact(found, kept, rules, first), begin)
    suspects = parted or ((begin,) if begin else ())
    unsure = dict.fromkeys(f"{one.name} ~ {one.other}" for one in found_pairs.matches if one.level == "guess")
    left_out = [] if settings.guesses else list(unsure)
    return ComparedPair(
        found,
        parted,
        mismatches(named[1], runs, (a.layers, b.layers), held, _parted_gradients(matches, parted), found_pairs.sizes),
        notes(Sides(named, runs, held), alignment, found_pairs, found, rules.kinds, left_out),
        alignment,
        kept,
        start,
        diagnose(Seen(named, runs, (a.layers, b.layers), alignment, found, suspects, first)),
    )


def start_text(run: str, pair: ComparedPair) -> str:
    """Return what the first step of a run shows of the noise, '' if nothing.

    Args:
        run: its name.
        pair: the run, compared with the baseline.
    """
    return pair.start.text(run, alone=not (pair.parted or pair.diagnoses)) if pair.start else ""


def _parted_gradients(matches: Sequence[Match], parted: Sequence[Divergence]) -> list[Match]:
    """Return the matches of the gradients that part: of the others it does not matter where they were seen."""
    names_of = {one.name for one in parted if one.kind == tags.GRADS}
    return [match for match in matches if match.kind == tags.GRADS and match.name in names_of]


def errors_against(
    reference: Side,
    sides: Sequence[Side],
    pairs: Sequence[ComparedPair],
    settings: Settings,
    maps: Sequence[Mapping[str, str] | None],
) -> list[Errors]:
    """Return how far the runs are from a reference.

    Args:
        reference: computes more exactly.
        sides: the baseline and the other runs.
        pairs: the other runs, compared with the baseline.
        settings: of the comparison, without its maps of layers.
        maps: paths that belong to those of the baseline: of the reference, then of the other runs.
    """
    held, own = all_paths(reference.layers), maps[0]
    found_maps = [from_reference(held, own, mapped) for mapped in maps[1:]]
    of_baseline = {there: path for mapped, _ in found_maps for there, path in mapped.items()}
    baseline, *others = [
        _against(reference, side, settings._replace(mapped=mapped))
        for side, mapped in zip(sides, (of_baseline, *(mapped for _, mapped in found_maps)), strict=True)
    ]
    found: list[Errors] = []
    for side, other, pair in zip(sides[1:], others, pairs, strict=True):
        first = first_step(sides[0].run, side.run)
        found += oracle.errors(baseline, other, oracle.against(pair.findings, _at(pair.kept, first)))
    return found


def _against(reference: Side, side: Side, settings: Settings) -> oracle.Against:
    matches = sure(matched((reference, side), settings.mapped)[1], guesses=settings.guesses)
    first = first_step(reference.run, side.run) if ported(reference.run, side.run, matches) else None
    kept = compare_kept("", reference.run, side.run, [match for match in matches if match.kind in settings.rules.kinds])
    return oracle.against(all_findings("", (reference, side), matches, settings.rules), _at(kept, first))


def _at(kept: Iterable[Compared], step: int | None) -> list[Compared]:
    """Return what was kept at a step; elements say nothing of the training once they have come apart each for itself."""
    found = [(one, [at for at, row in enumerate(one.rows) if row.step == step]) for one in kept]
    return [one._replace(rows=[one.rows[at[0]]], norms=[one.norms[at[0]]]) for one, at in found if at]
