"""Compare runs: where and when they part."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from multiboard import tags
from multiboard.compare import findings as found_in
from multiboard.compare import tables
from multiboard.compare.align import Alignment, align
from multiboard.compare.divergence import SHOWN, Divergence, divergences
from multiboard.compare.gate import Mismatch, mismatches
from multiboard.compare.layer_table import layer_table, logged_summary
from multiboard.compare.noise import MeasuredNoise, Noise, RoundingModel
from multiboard.compare.notes import Note, Sides, notes
from multiboard.compare.sources import Source, load, names
from multiboard.compare.tensor_matches import contents, match_tensors
from multiboard.compare.tolerances import KINDS, Tolerance, check_kind, tolerances
from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from multiboard.compare.findings import Finding
    from multiboard.compare.layer_table import Layer
    from multiboard.compare.tables import LayerRow, ScalarRow, Table
    from multiboard.compare.tensor_matches import Match, Matches
    from multiboard.reader import RunData

LayerMap: TypeAlias = Mapping[str, str] | str | os.PathLike[str]
_HALVES = frozenset({"bfloat16", "float16"})


@dataclass(frozen=True, slots=True, eq=False)
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
    """

    names: tuple[str, ...]
    findings: tuple[Finding, ...]
    gate: tuple[Mismatch, ...]
    parted: tuple[Divergence, ...]
    notes: tuple[Note, ...]
    alignments: Mapping[str, Alignment]
    tolerances: Mapping[str, float]
    noise: str

    @property
    def scalars(self) -> Table[ScalarRow]:
        """All scalars at all common steps."""
        return tables.scalar_table(self.findings)

    @property
    def layers(self) -> Table[LayerRow]:
        """All tensors of all layers at all common steps."""
        return tables.tensor_table(self.findings)

    @property
    def divergence(self) -> tuple[Divergence, ...]:
        """The first divergence of each run, and the next five."""
        return tuple(one for run in self.names[1:] for one in [found for found in self.parted if found.run == run][:SHOWN])

    @property
    def code(self) -> int:
        """Exit status: 0 within tolerance, 1 diverged, 2 not all could be compared."""
        if self.parted or any(mismatch.fails for mismatch in self.gate):
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
) -> Comparison:
    """Compare runs with the first of them, step by step and layer by layer.

    Args:
        a: the baseline: a run directory, or what `multiboard.read` returns of it.
        b: another run.
        more: further runs, each compared with the baseline.
        tolerance: the largest relative difference that is none: by kind, or one number, or a TOML file of it.
        noise: repeats of one training, from which the noise floor is measured, one alone beside the baseline; or 'f32' or 'bf16'
            for a model of rounding errors; None chooses the model by the types of the weights.
        layers: paths of layers in the other runs by paths in the baseline, which belong together; or a TOML file of it.
        kinds: what to compare, e.g. 'loss' and 'grads'.
        guesses: whether to compare layers also if it is a guess that they belong together.

    Raises:
        ReadError: a directory holds no event files.
        ArgumentError: a directory holds several runs; or a tolerance, kind, model or layer that is none.

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
    baseline, *others = sides = [_side(load(source)) for source in (a, b, *more)]
    named = names([side.run for side in sides])
    wanted = tuple(check_kind(kind) for kind in ((kinds,) if isinstance(kinds, str) else kinds))
    allowed = tolerances(tolerance)
    rules = found_in.Rules(allowed, _noise(noise, baseline), wanted)
    mapped = _layer_map(layers)
    pairs = [
        _pair((named[0], name), (baseline, other), rules, mapped, guesses) for name, other in zip(named[1:], others, strict=True)
    ]
    return Comparison(
        names=tuple(named),
        findings=tuple(finding for pair in pairs for finding in pair.findings),
        gate=tuple(mismatch for pair in pairs for mismatch in pair.gate),
        parted=tuple(one for pair in pairs for one in pair.parted),
        notes=tuple(note for pair in pairs for note in pair.notes),
        alignments={name: pair.alignment for name, pair in zip(named[1:], pairs, strict=True)},
        tolerances={kind: allowed[kind] for kind in wanted},
        noise=rules.noise.text,
    )


class _Pair(NamedTuple):
    findings: list[Finding]
    parted: tuple[Divergence, ...]
    gate: list[Mismatch]
    notes: list[Note]
    alignment: Alignment


class _Side(NamedTuple):
    """A run, its layers, and the kinds that it tells of each tensor."""

    run: RunData
    layers: list[Layer]
    held: Mapping[str, tuple[str, ...]]


def _side(run: RunData) -> _Side:
    return _Side(run, layer_table(run), contents(run))


def _pair(
    named: tuple[str, str], sides: tuple[_Side, _Side], rules: found_in.Rules, mapped: Mapping[str, str] | None, guesses: bool
) -> _Pair:
    a, b = sides
    runs, held = (a.run, b.run), (a.held, b.held)
    alignment, matched = _matched(sides, mapped)
    sure = _sure(matched, guesses)
    found = _findings(named[1], sides, sure, rules)
    unsure = dict.fromkeys(f"{one.name} ~ {one.other}" for one in matched.matches if one.level == "guess")
    left_out = [] if guesses else list(unsure)
    parted = divergences(found)
    return _Pair(
        found,
        parted,
        mismatches(named[1], runs, (a.layers, b.layers), held, _parted_gradients(sure, parted), matched.sizes),
        notes(Sides(named, runs, held), alignment, matched, found, rules.kinds, left_out),
        alignment,
    )


def _matched(sides: tuple[_Side, _Side], mapped: Mapping[str, str] | None) -> tuple[Alignment, Matches]:
    """Return which layers and tensors belong together; paths are trusted within one framework."""
    a, b = sides
    framework = a.run.facts.get("framework")
    alignment = align(
        a.layers, b.layers, layers=mapped, paths=framework is not None and framework == b.run.facts.get("framework")
    )
    return alignment, match_tensors((a.layers, b.layers), alignment, (a.held, b.held))


def _sure(matched: Matches, guesses: bool) -> list[Match]:
    return [match for match in matched.matches if guesses or match.level != "guess"]


def _findings(run: str, sides: tuple[_Side, _Side], matches: Sequence[Match], rules: found_in.Rules) -> list[Finding]:
    a, b = sides[0].run, sides[1].run
    return [*found_in.scalar_findings(run, a, b, rules), *found_in.tensor_findings(run, a, b, matches, rules)]


def _parted_gradients(matches: Sequence[Match], parted: Sequence[Divergence]) -> list[Match]:
    """Return the matches of the gradients that part: of the others it does not matter where they were seen."""
    names_of = {one.name for one in parted if one.kind == tags.GRADS}
    return [match for match in matches if match.kind == tags.GRADS and match.name in names_of]


def _noise(given: str | Sequence[Source] | None, baseline: _Side) -> Noise:
    if given is None:
        return RoundingModel(_model_of(baseline.run))
    if isinstance(given, str):
        return RoundingModel(given)
    repeats = [_side(load(source)) for source in given]
    if not repeats:
        raise ArgumentError("noise", given, "pass repeats of one training, or 'f32' or 'bf16'")
    if len(repeats) == 1:
        repeats.insert(0, baseline)
    rules = found_in.Rules(tolerances(None), RoundingModel(), KINDS)
    found = [
        finding
        for pair in combinations(repeats, 2)
        for finding in _findings("", pair, _sure(_matched(pair, None)[1], guesses=False), rules)
    ]
    return MeasuredNoise(((one.kind, one.name, one.step, one.distance) for one in found), len(repeats))


def _model_of(run: RunData) -> str:
    summary = logged_summary(run)
    types = {weight.dtype for row in summary.rows for weight in row.weights} if summary else set()
    return "bf16" if types & _HALVES else "f32"


def _layer_map(given: LayerMap | None) -> dict[str, str] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        given = _from_file(Path(given))
    return {tags.layer_path(mine): tags.layer_path(other) for mine, other in given.items()}


def _from_file(path: Path) -> dict[str, str]:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ArgumentError("layers", os.fspath(path), f"the file cannot be read as TOML ({error})") from error
    for name, value in found.items():
        if not isinstance(value, str):
            raise ArgumentError("layers", value, f'write lines such as "{name}" = "path/in/the/other/run"')
    return found
