"""Compare runs: where and when they part."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from multiboard.compare import tables
from multiboard.compare.divergence import SHOWN, Divergence
from multiboard.compare.findings import Rules
from multiboard.compare.layer_maps import LayerMap, layer_map, layer_maps
from multiboard.compare.layer_table import logged_summary
from multiboard.compare.noise import MeasuredNoise, Noise, RoundingModel
from multiboard.compare.notes import Note
from multiboard.compare.oracle import same_wrong
from multiboard.compare.pairs import Settings, compare_pair, errors_against, start_text
from multiboard.compare.sides import Side, all_findings, matched, side_of, sure
from multiboard.compare.sources import Source, check_names, load
from multiboard.compare.tolerances import KINDS, Tolerance, check_kind, tolerances
from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from multiboard.compare.align import Alignment
    from multiboard.compare.diagnosis import Diagnosis
    from multiboard.compare.exact import Compared, ExactRow
    from multiboard.compare.findings import Finding
    from multiboard.compare.gate import Mismatch
    from multiboard.compare.noise_at_start import Start
    from multiboard.compare.oracle import Errors, OracleRow
    from multiboard.compare.tables import LayerRow, ScalarRow, Table

__all__ = ["Comparison", "LayerMap", "compare", "layer_map"]

_HALVES = frozenset({"bfloat16", "float16"})


@dataclass(frozen=True, eq=False)
class Comparison:
    """What tells runs apart from the first of them, the baseline.

    Attributes:
        names: of the runs, the baseline first.
        findings: everything that was compared, a series each.
        gate: settings, sizes and steps that are not the same; they explain what follows.
        parted: where each run parts, all its tensors and scalars, the cause before what follows from it.
        notes: what was not compared.
        alignments: which layers belong together, by run.
        tolerances: relative differences, by kind.
        noise: where the noise floor comes from.
        kept: tensors that were compared element by element.
        reference: name of the run that computes more exactly; '' if there is none.
        errors: of all that the runs and the reference have, by how far they are from it.
        starts: what the first step shows of the noise, by run, of those whose weights are equal to those of the baseline there.
    """

    names: tuple[str, ...]
    findings: tuple[Finding, ...]
    gate: tuple[Mismatch, ...]
    parted: tuple[Divergence, ...]
    notes: tuple[Note, ...]
    alignments: Mapping[str, Alignment]
    tolerances: Mapping[str, float]
    noise: str
    kept: tuple[Compared, ...] = ()
    reference: str = ""
    errors: tuple[Errors, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    starts: Mapping[str, Start] = field(default_factory=dict)

    @cached_property
    def scalars(self) -> Table[ScalarRow]:
        """All scalars at all common steps."""
        return tables.scalar_table(self.findings)

    @cached_property
    def layers(self) -> Table[LayerRow]:
        """All tensors of all layers at all common steps."""
        return tables.tensor_table(self.findings)

    @cached_property
    def exact(self) -> Table[ExactRow]:
        """All tensors that were kept element by element, at all common steps."""
        return tables.exact_table(self.kept)

    @cached_property
    def oracle(self) -> Table[OracleRow]:
        """Errors of two runs against the reference, at all common steps."""
        return tables.oracle_table(self.errors)

    @cached_property
    def same_wrong(self) -> tuple[OracleRow, ...]:
        """Where runs agree and both are wrong, as the reference shows."""
        return tuple(same_wrong(self.errors))

    @cached_property
    def divergence(self) -> tuple[Divergence, ...]:
        """The first divergence of each run, and the next five."""
        return tuple(one for run in self.names[1:] for one in [found for found in self.parted if found.run == run][:SHOWN])

    @property
    def code(self) -> int:
        """Exit status: 0 within tolerance, 1 diverged, 2 not all could be compared."""
        if self.parted or self.same_wrong or any(mismatch.fails for mismatch in self.gate):
            return 1
        return 2 if any(note.missing for note in self.notes) else 0

    def __str__(self) -> str:
        from multiboard.compare.comparison_text import text

        return text(self)

    def table(self) -> RenderableType:
        """Return what a terminal shows: mismatches, first divergence, largest differences, what was left out. Needs rich."""
        from multiboard.compare.comparison_text import renderable

        return renderable(self)

    def to_json(self) -> str:
        """Return all but the single steps as JSON; NaN and infinite numbers are texts."""
        from multiboard.compare.comparison_json import to_json

        return to_json(self)

    def to_junit(self) -> str:
        """Return a report for test tools: one test case per kind and run."""
        from multiboard.compare.junit import to_junit

        return to_junit(self)

    def assert_close(self) -> None:
        """Raise an AssertionError with the first divergence, unless all was compared and is within tolerance."""
        if self.code:
            raise AssertionError(str(self))


def compare(
    a: Source,
    b: Source,
    *more: Source,
    tolerance: Tolerance = None,
    noise: str | Sequence[Source] | None = None,
    layers: LayerMap | None = None,
    kinds: Sequence[str] = KINDS,
    guesses: bool = False,
    names: Sequence[str] | None = None,
    oracle: Source | None = None,
) -> Comparison:
    """Compare runs with the first of them, step by step and layer by layer.

    Args:
        a: the baseline: a run directory, or what `multiboard.read` returns of it.
        b: another run.
        more: further runs, each compared with the baseline.
        tolerance: the largest relative difference that is none: by kind, or one number, or a TOML file of it.
        noise: repeats of one training, from which the noise floor is measured, one alone beside the baseline; or 'f32' or 'bf16'
            for a model of rounding errors; None chooses the model by the types of the weights.
        layers: paths of layers in the other runs by paths in the baseline, which belong together; or such a map by run, the
            oracle among them; or a TOML file of either.
        kinds: what to compare, e.g. 'loss' and 'grads'.
        guesses: whether to compare layers also if it is a guess that they belong together.
        names: of the runs, the baseline first; None takes the ends of their paths.
        oracle: a run of the same training that computes more exactly, e.g. in float64, from which the errors of the others are.

    Raises:
        ReadError: a directory holds no event files.
        ArgumentError: a directory holds several runs; a tolerance, kind, model or layer is none; or two runs get one name.

    Example:
        >>> import tempfile, multiboard as mb
        >>> runs = [tempfile.mkdtemp() for _ in range(2)]
        >>> for directory, loss in zip(runs, (0.5, 0.6)):
        ...     with mb.Run(directory) as run:
        ...         run.log({"train/loss": loss}, step=3)
        >>> found = mb.compare(*runs)
        >>> found.code, found.divergence[0].name, found.divergence[0].step
        (1, 'train/loss', 3)
    """
    sides = [side_of(load(source)) for source in (a, b, *more)]
    named = check_names([side.run for side in sides], names)
    wanted = tuple(check_kind(kind) for kind in ((kinds,) if isinstance(kinds, str) else kinds))
    allowed = tolerances(tolerance)
    rules = Rules(allowed, _noise(noise, sides[0]), wanted)
    reference = None if oracle is None else side_of(load(oracle))
    told = "" if reference is None else _name(reference)
    maps = layer_maps(layers, named[1:], told)
    settings = Settings(rules, None, guesses, measured=noise is None)
    pairs = [
        compare_pair((named[0], name), (sides[0], other), settings._replace(mapped=maps[name]))
        for name, other in zip(named[1:], sides[1:], strict=True)
    ]
    starts = {name: pair.start for name, pair in zip(named[1:], pairs, strict=True) if pair.start is not None}
    given = [None if told in named else maps[told], *(maps[name] for name in named[1:])]
    errors = () if reference is None else tuple(errors_against(reference, sides, pairs, settings, given))
    return Comparison(
        names=tuple(named),
        findings=tuple(finding for pair in pairs for finding in pair.findings),
        gate=tuple(mismatch for pair in pairs for mismatch in pair.gate),
        parted=tuple(one for pair in pairs for one in pair.parted),
        notes=(*(note for pair in pairs for note in pair.notes), *_beside(reference, named, errors)),
        alignments={name: pair.alignment for name, pair in zip(named[1:], pairs, strict=True)},
        tolerances={kind: allowed[kind] for kind in wanted},
        noise="; ".join([rules.noise.text, *filter(None, map(start_text, named[1:], pairs))]),
        starts=starts,
        kept=tuple(one for pair in pairs for one in pair.kept),
        reference=told,
        errors=errors,
        diagnoses=tuple(diagnosis for pair in pairs for diagnosis in pair.diagnoses),
    )


def _beside(reference: Side | None, named: Sequence[str], errors: Sequence[Errors]) -> list[Note]:
    """Return a note on each run of which nothing could be compared with the reference."""
    alone = [] if reference is None else [name for name in named[1:] if not any(one.run == name for one in errors)]
    return [
        Note(name, "anything with the reference: no tensor and no scalar of all three belong together", True) for name in alone
    ]


def _name(side: Side) -> str:
    return Path(side.run.path).absolute().name


def _noise(given: str | Sequence[Source] | None, baseline: Side) -> Noise:
    if given is None:
        return RoundingModel(_model_of(baseline))
    if isinstance(given, str):
        return RoundingModel(given)
    repeats = [side_of(load(source)) for source in given]
    if not repeats:
        raise ArgumentError("noise", given, "pass repeats of one training, or 'f32' or 'bf16'")
    if len(repeats) == 1:
        repeats.insert(0, baseline)
    rules = Rules(tolerances(None), RoundingModel(), KINDS)
    found = [
        finding
        for pair in combinations(repeats, 2)
        for finding in all_findings("", pair, sure(matched(pair, None)[1], guesses=False), rules)
    ]
    return MeasuredNoise(((one.kind, one.name, one.step, one.distance) for one in found), len(repeats))


def _model_of(baseline: Side) -> str:
    run = baseline.run
    summary = logged_summary(run)
    types = {weight.dtype for row in summary.rows for weight in row.weights} if summary else set()
    types |= {role.dtype for layer in baseline.layers for role in layer.roles}
    return "bf16" if types & _HALVES else "f32"
