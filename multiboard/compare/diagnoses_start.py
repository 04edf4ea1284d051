"""Mistakes that show before the first update: other parameters, or other numbers of them."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard import tags
from multiboard.compare.diagnosis import Diagnosis, common, matrix, role_of
from multiboard.compare.diagnosis_fixes import FIXES
from multiboard.compare.notes import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from multiboard.compare.diagnosis import At, Seen
    from multiboard.compare.divergence import Divergence
    from multiboard.reader import RunData

_CLOSE: Final = 0.04
"""Relative difference of standard deviations that sampling makes."""


def missing(seen: Seen) -> Iterator[Diagnosis]:
    """Yield the parameters that layers have in one run only, those of one role together."""
    ours, theirs = ({layer.path: layer for layer in side} for side in seen.layers)
    pairs = Counter(pair.a for pair in seen.alignment.pairs), Counter(pair.b for pair in seen.alignment.pairs)
    told = [_with_parameters(run) & side.keys() for run, side in zip(seen.runs, (ours, theirs), strict=True)]
    lone: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for pair in seen.alignment.pairs:
        if pairs[0][pair.a] > 1 or pairs[1][pair.b] > 1:  # of several in one, no role tells anything
            continue
        if pair.a in told[0] and pair.b in told[1]:
            for role in ("bias", "scale"):
                has = [role_of(layer, role) is not None for layer in (ours[pair.a], theirs[pair.b])]
                if has[0] != has[1]:
                    lone.setdefault((role, has.index(False)), []).append((pair.a, pair.b))
    for (role, without), paths in lone.items():
        yield _without(seen, paths, role, without)


def _with_parameters(run: RunData) -> set[str]:
    """Return the layers of which a run tells parameters, so that one that is missing is not just unknown."""
    parts = (tag.partition("/") for tag in run.histograms)
    return {path.rpartition("/")[0] for group, _, path in parts if group in {tags.PARAMS, tags.GRADS}}


def _without(seen: Seen, paths: Sequence[tuple[str, str]], role: str, without: int) -> Diagnosis:
    with_it = 1 - without
    first = paths[0][with_it]
    found = role_of(seen.layer(first, with_it), role)
    size = f" of {found.size:,}" if found and found.size else ""
    option = FIXES[role].get(seen.framework(without), "")
    text = (
        f"{listed(pair[without] for pair in paths)}: no {role} in {seen.names[without]}. Give each of these layers "
        f"{option or 'one'} there, or make the other without. It does not show in a loss at the first step, where a bias is 0 "
        "and a scale 1."
    )
    evidence = f"{first} has a {role}{size} in {seen.names[with_it]}, and none in {seen.names[without]}"
    more = (f"so it is with {len(paths)} layers",) if len(paths) > 1 else ()
    return Diagnosis(seen.names[1], f"missing {role}", text, (evidence, *more), paths[0][0], None)


def start(seen: Seen, parted: Divergence) -> Iterator[Diagnosis]:
    """Yield why parameters are not the same at the first step.

    Args:
        seen: of the runs.
        parted: the first divergence.
    """
    if parted.kind != tags.PARAMS or parted.since is not None:
        return
    found = seen.at(tags.PARAMS, parted.step)
    other = [one for one in found if one.parts]
    scaled = [one for one in other if one.only_scaled() and abs(np.log2(one.ratio)) > 0.02]  # noqa: PLR2004
    if other and len(scaled) == len(other):
        yield _gain(seen, parted, scaled, len(found))
    elif other:
        yield _weights(seen, parted, other, len(found))


def _gain(seen: Seen, parted: Divergence, scaled: Sequence[At], count: int) -> Diagnosis:
    ratio = common((one.ratio for one in scaled), 0.03)
    how = f"{ratio:.4g} times as large" if ratio else "of another size"
    evidence = [f"{len(scaled)} of {count} tensors are {how} at step {parted.step}, with the same shape of their distributions"]
    for one in scaled[:3]:
        a, b = one.norms
        evidence.append(f"norm of {one.name}: {a:.5g} in {seen.names[0]}, {b:.5g} in {seen.names[1]}" + _recipes(seen, one))
    text = (
        f"This fits initial weights of another gain: those of {seen.names[1]} are {how}. Frameworks have other defaults: "
        "PyTorch's layers take uniform values of variance 1 / (3 fan_in), Flax's normal ones of 1 / fan_in, Keras' "
        "Glorot-uniform ones of 2 / (fan_in + fan_out). Name the initializer in both programs, or port the weights."
    )
    return Diagnosis(seen.names[1], "gain of initial weights", text, tuple(evidence), scaled[0].layer, parted.step)


def _recipes(seen: Seen, one: At) -> str:
    """Tell which initializers have the spread that was seen; '' if that is not known of both."""
    shape, size = matrix(seen.layer(one.layer)), one.size()
    if shape is None or 0 in shape or not size or one.role != "kernel":
        return ""
    inputs, outputs = shape
    known = {
        "He": math.sqrt(2 / inputs),
        "LeCun": math.sqrt(1 / inputs),
        "Glorot": math.sqrt(2 / (inputs + outputs)),
        "PyTorch's default": math.sqrt(1 / (3 * inputs)),
    }
    fits = [
        next((name for name, spread in known.items() if abs(norm / math.sqrt(size) / spread - 1) < _CLOSE), None)
        for norm in one.norms
    ]
    return f" (these would be {fits[0]} and {fits[1]})" if all(fits) else f" ({fits[0]} the first)" if fits[0] else ""


def _weights(seen: Seen, parted: Divergence, other: Sequence[At], count: int) -> Diagnosis:
    worst = max(other, key=lambda one: one.distance)
    text = (
        "The runs did not begin with the same weights: what follows may be due to that alone. Port the initial weights from one "
        "program to the other, or compare with --noise and repeats of several seeds."
    )
    late = ("steps before were not compared, and may be where they come from",) if parted.step else ()
    evidence = (
        f"{len(other)} of {count} tensors differ at step {parted.step}, before any update that was compared",
        f"{worst.name} is {worst.distance:.2g} apart",
        *late,
    )
    return Diagnosis(seen.names[1], "other initial weights", text, evidence, worst.layer if len(other) == 1 else "", parted.step)
