"""Mistakes of the optimizer and of its schedule: gradients are equal and updates are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard import tags
from multiboard.compare.diagnosis import UNIFORM, At, Diagnosis, common

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from multiboard.compare.diagnosis import Seen
    from multiboard.compare.divergence import Divergence
    from multiboard.compare.findings import Finding

_FLAT: Final = frozenset({"scale", "bias", "embedding"})
"""Roles that programs leave out of weight decay."""


# ---------------------------------------------------------------------- schedule


def schedule(seen: Seen, parted: Divergence) -> Iterator[Diagnosis]:
    """Yield why learning rates differ.

    Args:
        seen: of the runs.
        parted: the first divergence.
    """
    if parted.kind != "schedule":
        return
    finding = next((one for one in seen.scalars("schedule") if one.name == parted.name), None)
    if finding is None or ("rate" not in parted.name and "lr" not in parted.name.lower()):
        return
    shift, ratio = _shift(finding), common(_ratios(finding), 1e-3)
    values = f"{parted.name} is {parted.a:.5g} in {seen.names[0]} and {parted.b:.5g} in {seen.names[1]} at step {parted.beyond}"
    if ratio is not None:
        text = "Learning rates differ by one factor at all steps: compare the settings, and what the rate is multiplied with."
        yield _made(seen, parted, "another learning rate", text, values, f"{ratio:.4g} times as large at all compared steps")
    elif shift is not None and abs(shift) < 20.5:  # noqa: PLR2004
        yield _off(seen, parted, round(shift), values)
    else:
        text = "The schedules have other forms or lengths: compare their settings, and the number of steps that they are told."
        yield _made(seen, parted, "another schedule", text, values)


def _made(seen: Seen, parted: Divergence, title: str, text: str, *evidence: str) -> Diagnosis:
    return Diagnosis(seen.names[1], title, text, evidence, "", parted.step)


def _off(seen: Seen, parted: Divergence, shift: int, values: str) -> Diagnosis:
    steps = f"{abs(shift)} step{'' if abs(shift) == 1 else 's'}"
    text = (
        f"This fits a schedule that is {steps} {'ahead' if shift > 0 else 'behind'} in {seen.names[1]}: counted from 1 instead "
        f"of from 0, or moved on before the update instead of after it. {seen.fix('schedule')}"
    )
    title = "learning-rate schedule off by one" if abs(shift) == 1 else "shifted learning-rate schedule"
    return _made(
        seen, parted, title, text, values, f"it has the values of {seen.names[0]} {steps} {'later' if shift > 0 else 'earlier'}"
    )


def _ratios(finding: Finding) -> list[float]:
    known = (finding.a != 0) | (finding.b != 0)
    return [float(value) for value in finding.b[known] / np.where(finding.a[known] == 0, np.nan, finding.a[known])]


def _shift(finding: Finding) -> float | None:
    """Return by how many steps the baseline has the same values later; None if no number fits most steps.

    Between points the rates are taken to be on straight lines.
    """
    known = np.isfinite(finding.a) & np.isfinite(finding.b)
    step, a, b = finding.step[known].astype(np.float64), finding.a[known], finding.b[known]
    scale = float(np.abs(a).max(initial=0.0))
    if len(step) < 3 or not scale:  # noqa: PLR2004
        return None
    best: tuple[float, int] | None = None
    for shift in (number for size in range(1, 21) for number in (size, -size)):
        at = step + shift
        inside = (at >= step[0]) & (at <= step[-1])
        if inside.sum() < 2:  # noqa: PLR2004
            continue
        expected = np.interp(at[inside], step, a)
        error = np.abs(expected - b[inside])
        fitting = float(np.median(error)) / scale
        if best is None or fitting < best[0]:
            best = fitting, shift
    return None if best is None or best[0] > 0.01 * _span(a, b) else float(best[1])


def _span(a: object, b: object) -> float:
    """Return how far two curves are apart at most, as part of the largest value."""
    apart = np.abs(np.asarray(a) - np.asarray(b))
    return float(apart.max() / max(float(np.abs(np.asarray(a)).max()), 1e-300))


# ---------------------------------------------------------------------- updates


def update(seen: Seen, parted: Divergence) -> Iterator[Diagnosis]:
    """Yield why updates differ, although parameters and gradients do not, the likeliest first.

    Args:
        seen: of the runs.
        parted: the first divergence.
    """
    if parted.kind != tags.UPDATES:
        return
    found = seen.at(tags.UPDATES, parted.step)
    names = {one.name for one in seen.parted if (one.kind, one.step) == (parted.kind, parted.step)}
    other = [one for one in found if one.name in names]
    if not other:
        return
    ratio = common((one.ratio for one in found), UNIFORM)
    roles = {one.role for one in other}
    rest = {one.role for one in found if one.name not in names}
    if len(other) == len(found) and ratio is not None:
        yield _rate(seen, parted, ratio)
    elif roles <= _FLAT and "kernel" in rest:
        yield _flat(seen, parted, other, found)
    elif roles == {"kernel"} and rest & _FLAT and not rest & {"kernel"}:
        yield _decay(seen, parted, other)
    elif (epsilon := _epsilon(seen, found)) is not None:
        yield _optimizer_epsilon(seen, parted, other, epsilon)
    elif seen.first is not None and parted.step > seen.first:
        yield _memory(seen, parted, other, found)


def _rate(seen: Seen, parted: Divergence, ratio: float) -> Diagnosis:
    text = (
        "All updates differ by one factor with equal gradients. This fits another learning rate that is not logged, a "
        "schedule that is applied twice or not at all, or Nesterov's momentum at the first step. Log the rate that the "
        "optimizer has at this step."
    )
    return _made(seen, parted, "another learning rate", text, f"all updates are {ratio:.4g} times as large at step {parted.step}")


def _flat(seen: Seen, parted: Divergence, other: Sequence[At], found: Sequence[At]) -> Diagnosis:
    text = (
        "This fits weight decay that takes in norms and biases in one run only: it moves scales, which begin at 1, and leaves "
        f"biases that are 0 alone. {seen.fix('excluded from decay')} Or exclude nothing in both."
    )
    worst = max(other, key=lambda one: one.distance)
    kernels = sum(one.role == "kernel" for one in found)
    evidence = [
        f"updates of {len(other)} norms and biases differ at step {parted.step}, those of all {kernels} kernels are equal",
        f"{worst.name} is {worst.distance:.2g} apart",
    ]
    return _made(
        seen, parted, "weight decay on norms and biases", text, *evidence, *_decay_of_scale(seen, other, parted.step)
    )._replace(layer=other[0].layer)


def _decay_of_scale(seen: Seen, other: Sequence[At], step: int) -> list[str]:
    """Tell how far an update of scales that are 1 is moved, beside the learning rate."""
    rates = [one for one in seen.scalars("schedule") if one.name == tags.LEARNING_RATE]
    at = np.flatnonzero(rates[0].step == step) if rates else np.zeros(0, np.intp)
    scale = next((one for one in other if one.role == "scale" and one.moved == one.moved), None)
    if scale is None or not len(at) or not rates[0].a[at[0]] or step != seen.first:
        return []
    return [f"updates of {scale.name} are moved by about {scale.moved / float(rates[0].a[at[0]]):.1g} of the learning rate"]


def _decay(seen: Seen, parted: Divergence, other: Sequence[At]) -> Diagnosis:
    text = (
        "Updates of kernels differ, those of norms and biases, which do not decay, are equal. This fits weight decay that "
        "acts beside the gradient (AdamW) in one run and through it (Adam with a penalty) or not at all in the other, or "
        f"another strength. {seen.fix('decay')}"
    )
    worst = max(other, key=lambda one: one.distance)
    evidence = [f"updates of all {len(other)} kernels differ at step {parted.step}, {worst.name} most: {worst.distance:.2g}"]
    return _made(seen, parted, "weight decay", text, *evidence, *_bare(seen, other, parted.step))._replace(layer=parted.layer)


def _bare(seen: Seen, other: Sequence[At], step: int) -> list[str]:
    """Tell in which run all values move by just the learning rate, as Adam moves them at its first step."""
    rates = [one for one in seen.scalars("schedule") if one.name == tags.LEARNING_RATE]
    at = np.flatnonzero(rates[0].step == step) if rates else np.zeros(0, np.intp)
    if step != seen.first or not len(at):
        return []
    rate = float(rates[0].a[at[0]])
    bare = [
        all(abs(one.norms[side] / np.sqrt(one.size()) / rate - 1) < 5e-4 for one in other) if rate else False  # noqa: PLR2004
        for side in (0, 1)
    ]
    if bare[0] == bare[1]:
        return []
    name = seen.names[bare.index(True)]
    return [f"each value is moved by just the learning rate in {name}, so that nothing decays beside the gradient there"]


def _epsilon(seen: Seen, found: Sequence[At]) -> float | None:
    """Return the epsilon that explains updates that are smaller the smaller their gradients are; None if none does.

    At its first step Adam moves a value by its rate times |g| / (|g| + epsilon).
    """
    step = int(found[0].finding.step[found[0].place])
    grads = {one.name: one for one in seen.at(tags.GRADS, step)}
    points = []
    for one in found:
        gradient = grads.get(one.name)
        if gradient is not None and np.isfinite(one.ratio) and gradient.size() > 0:
            points.append((gradient.norms[0] / np.sqrt(gradient.size()), one.ratio))
    sizes, ratios = np.array(points).T if len(points) >= 3 else (np.zeros(0), np.zeros(0))  # noqa: PLR2004
    if len(ratios) and (ratios > 1).all():
        ratios = 1 / ratios
    if not len(ratios) or not (ratios < 1).all() or step != seen.first:
        return None
    falls = np.corrcoef(_ranks(sizes), _ranks(ratios))[0, 1]
    return float(np.median(sizes * (1 / ratios - 1))) if falls > 0.5 else None  # noqa: PLR2004


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.argsort(np.argsort(values)).astype(np.float64)


def _optimizer_epsilon(seen: Seen, parted: Divergence, other: Sequence[At], epsilon: float) -> Diagnosis:
    ratios = [one.ratio for one in other if np.isfinite(one.ratio)]
    text = (
        "Updates are smaller in one run, most of all where gradients are small. This fits another epsilon of the optimizer, "
        f"which is added to the root of the second moment. {seen.fix('epsilon of the optimizer')}"
    )
    evidence = (
        f"updates at step {parted.step} are {min(ratios):.3g} to {max(ratios):.3g} times as large, less for small gradients",
        f"an epsilon of about {epsilon:.0e} explains that",
    )
    return _made(seen, parted, "epsilon of the optimizer", text, *evidence)._replace(layer=parted.layer)


def _memory(seen: Seen, parted: Divergence, other: Sequence[At], found: Sequence[At]) -> Diagnosis:
    text = (
        "Updates are equal at the first step and differ later with equal gradients. This fits what an optimizer remembers: "
        "momentum, beta1 or beta2, Nesterov's form, a correction of the moments, or a state that is reset. Compare the "
        "optimizer's settings, and log 'optimizer_state'."
    )
    evidence = (f"{len(other)} of {len(found)} updates differ from step {parted.step} on, none at step {seen.first}",)
    return _made(seen, parted, "momentum or moments of the optimizer", text, *evidence)
