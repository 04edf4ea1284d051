"""What tells two runs apart before the first step: settings, sizes, steps. A mismatch here is the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from multiboard import tags
from multiboard.compare.layer_table import logged_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from multiboard.compare.layer_table import Layer
    from multiboard.compare.tensor_matches import Match, Sizes
    from multiboard.reader import RunData

_NAMES = frozenset({"framework", "log_dir"})
"""Settings that tell how a run is called."""


class Mismatch(NamedTuple):
    """Something that is not the same in two runs.

    Attributes:
        run: the other run.
        what: 'config', 'seed', 'size', 'parameters', 'gradients' or 'steps'.
        name: of the setting or tensor.
        a: in the baseline.
        b: in the other run.
        fails: whether the runs cannot be of one model, so that the comparison fails.
    """

    run: str
    what: str
    name: str
    a: str
    b: str
    fails: bool


def mismatches(
    run: str,
    runs: tuple[RunData, RunData],
    tables: tuple[Sequence[Layer], Sequence[Layer]],
    held: tuple[Mapping[str, tuple[str, ...]], Mapping[str, tuple[str, ...]]],
    gradients: Sequence[Match],
    sizes: Sequence[Sizes],
) -> list[Mismatch]:
    """Return what is not the same in two runs.

    Args:
        run: the other run.
        runs: the baseline and the other run.
        tables: their layers.
        held: what `multiboard.compare.tensor_matches.contents` returns of both.
        gradients: those that part; where they were seen may be why.
        sizes: tensors that belong together, but are not of one size.
    """
    a, b = runs
    found = [Mismatch(run, "size", one.name, f"{one.a:,}", f"{one.b:,}", fails=True) for one in sizes]
    totals = _parameters(tables, held)
    if totals and totals[0] != totals[1]:
        found.append(Mismatch(run, "parameters", "all", f"{totals[0]:,}", f"{totals[1]:,}", fails=True))
    found += _settings(run, a, b)
    found += _stages(run, a, b, gradients)
    ends = [_last_step(one) for one in runs]
    if None not in ends and ends[0] != ends[1]:
        found.append(Mismatch(run, "steps", "last", str(ends[0]), str(ends[1]), fails=False))
    return found


def _parameters(
    tables: tuple[Sequence[Layer], Sequence[Layer]], held: tuple[Mapping[str, tuple[str, ...]], Mapping[str, tuple[str, ...]]]
) -> list[int] | None:
    """Return the number of parameters of both runs, by what both log: a graph of one of them may hold more than that."""
    for kind in (tags.PARAMS, tags.GRADS):
        sizes = [
            [role.size for layer in table for role in layer.roles if kind in kinds.get(role.tag, ())]
            for table, kinds in zip(tables, held, strict=True)
        ]
        if all(one and None not in one for one in sizes):
            return [sum(size or 0 for size in one) for one in sizes]
    return None


def _settings(run: str, a: RunData, b: RunData) -> Iterator[Mismatch]:
    for name, value in a.hparams.items():
        if name in b.hparams and name not in _NAMES and b.hparams[name] != value:
            yield Mismatch(run, "config", name, _shown(value), _shown(b.hparams[name]), fails=False)
    ours, theirs = a.facts.get("seed"), b.facts.get("seed")
    if "seed" not in a.hparams and None not in (ours, theirs) and ours != theirs:
        yield Mismatch(run, "seed", "seed", _shown(ours), _shown(theirs), fails=False)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _stages(run: str, a: RunData, b: RunData, gradients: Sequence[Match]) -> Iterator[Mismatch]:
    """Yield the first gradient that was seen at another stage, e.g. before clipping in one run and after it in the other."""
    for match in gradients:
        ours, theirs = (_stage(one, paths[0]) for one, paths in ((a, match.a), (b, match.b)))
        if ours and theirs and ours != theirs:
            yield Mismatch(run, "gradients", match.name, ours, theirs, fails=False)
            return


def _stage(run: RunData, path: str) -> str:
    column = run.histograms.get(f"{tags.GRADS}/{path}")
    if column is not None:
        return tags.stage_of(column.description)
    rows = logged_rows(run)
    return rows.gradients if rows else ""


def _last_step(run: RunData) -> int | None:
    columns = [*run.scalars.values(), *run.histograms.values()]
    return max((int(column.step.max()) for column in columns if len(column)), default=None)
