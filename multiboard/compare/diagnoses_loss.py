"""Mistakes that show in losses, gradients, and statistics of batches, where the weights and what layers return are equal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard import tags
from multiboard.compare.diagnosis import UNIFORM, At, Diagnosis, common

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from multiboard.compare.diagnosis import Seen
    from multiboard.compare.divergence import Divergence
    from multiboard.compare.findings import Finding

_EVALUATED: Final = re.compile(r"^(val|valid|validation|eval|test)[/_]")


def loss(seen: Seen, parted: Divergence) -> Iterator[Diagnosis]:
    """Yield why losses and gradients differ at the first step, although what layers return does not.

    Args:
        seen: of the runs.
        parted: the first divergence.
    """
    if parted.kind not in {"loss", "metrics", tags.GRADS} or parted.step != seen.first or _EVALUATED.match(parted.name):
        return
    ratio = common((one.ratio for one in _told(seen.at(tags.GRADS, seen.first))), UNIFORM)
    losses = [(one, at) for one in seen.scalars("loss") if (at := _index(one, seen.first)) is not None]
    told = [(one.name, float(one.b[at] / one.a[at])) for one, at in losses if one.a[at] and not _EVALUATED.match(one.name)]
    apart = [(name, value) for name, value in told if abs(value - 1) > UNIFORM]
    if ratio is not None and abs(ratio - 1) > UNIFORM:
        same = next((name for name, value in apart if abs(value / ratio - 1) < UNIFORM), None)
        yield _reduction(seen, ratio, same) if same else _scaled_gradients(seen, parted, ratio)
    elif apart and ratio is not None:
        yield _logged(seen, *apart[0])
    elif parted.kind != tags.GRADS or not seen.at(tags.ACTIVATIONS, seen.first):
        yield _somewhere(seen, parted)


def _told(found: Sequence[At]) -> list[At]:
    """Return the gradients that are not so small that rounding rules them."""
    largest = max((one.norms[0] for one in found if np.isfinite(one.norms[0])), default=0.0)
    return [one for one in found if one.norms[0] > 1e-3 * largest]


def _index(finding: Finding, step: int | None) -> int | None:
    at = np.flatnonzero(finding.step == step)
    return int(at[0]) if len(at) else None


def _reduction(seen: Seen, ratio: float, name: str) -> Diagnosis:
    larger, smaller = (seen.names[1], seen.names[0]) if ratio > 1 else seen.names
    times = ratio if ratio > 1 else 1 / ratio
    whole = abs(times - round(times)) < 0.01 * times and times > 1.5  # noqa: PLR2004
    text = (
        f"This fits a loss that is the sum over {round(times)} examples or tokens in {larger} and their mean in {smaller}: is "
        "that the size of a batch?"
        if whole
        else f"This fits a loss that is weighted or averaged otherwise in {larger}, e.g. over tokens that are padding, too."
    )
    evidence = (
        f"{name} and all gradients are {ratio:.4g} times as large at step {seen.first}, what layers return is not",
        "an optimizer such as Adam hides it: its updates do not depend on the scale of the gradients",
    )
    return Diagnosis(seen.names[1], "reduction of the loss", f"{text} {seen.fix('reduction')}", evidence, "", seen.first)


def _scaled_gradients(seen: Seen, parted: Divergence, ratio: float) -> Diagnosis:
    steps = [
        value
        for step in sorted({int(step) for one in seen.findings if one.kind == tags.GRADS for step in one.step})[:8]
        if (value := common((one.ratio for one in _told(seen.at(tags.GRADS, step))), 0.2)) is not None
    ]
    clipped = len(steps) > 1 and max(steps) - min(steps) > UNIFORM * max(steps)
    title = "clipping of gradients" if clipped else "scale of gradients"
    text = (
        "All gradients of a step are changed by one factor, and by another one at other steps. This fits clipping by their "
        "norm in one run only, or with another limit."
        if clipped
        else "All gradients differ by one factor, and the loss does not. This fits a loss scale that is not taken off, "
        "gradients that are summed instead of averaged over accumulated batches or devices, or clipping by their norm in one "
        "run only."
    )
    told = ", ".join(f"{value:.3g}" for value in steps)
    evidence = (
        f"gradients are {ratio:.4g} times as large at step {seen.first}",
        f"at the first compared steps: {told} times",
    )
    return Diagnosis(seen.names[1], title, text, evidence, "", parted.step)


def _logged(seen: Seen, name: str, ratio: float) -> Diagnosis:
    text = (
        f"{name} differs and no gradient does: this fits a number that is logged otherwise, e.g. a sum instead of a mean, or "
        "without a term such as a penalty on weights. The training itself is the same."
    )
    return Diagnosis(
        seen.names[1],
        "logged loss",
        text,
        (f"{name} is {ratio:.4g} times as large at step {seen.first}",),
        "",
        seen.first,
    )


def _somewhere(seen: Seen, parted: Divergence) -> Diagnosis:
    captured = bool(seen.at(tags.ACTIVATIONS, seen.first))
    text = (
        "What the captured layers return is equal, so that it is in what comes behind them: the layers that were not "
        "captured, the labels, or the loss."
        if captured
        else "Weights are equal and the loss is not: something in the forward pass, the batch or the labels differs. Capture "
        "what layers return (activations=['*']) in both programs: the first layer that differs tells which."
    )
    evidence = (f"{parted.name} is {parted.distance:.2g} apart at step {parted.step}",)
    return Diagnosis(seen.names[1], "forward pass, batch or loss", text, evidence, "", parted.step)


# ---------------------------------------------------------------------- evaluation


def evaluation(seen: Seen, parted: Divergence) -> Iterator[Diagnosis]:
    """Yield why only numbers of the evaluation differ.

    Args:
        seen: of the runs.
        parted: the first divergence.
    """
    if parted.kind not in {"loss", "metrics"} or not _EVALUATED.match(parted.name):
        return
    if any(not _EVALUATED.match(one.name) and one.step <= parted.step for one in seen.parted):
        return
    layers = [name for name, word in (("dropout", "drop"), ("batch norm", "batchnorm")) if seen.has(word)]
    text = (
        "The training is the same and its evaluation is not. This fits a model that is evaluated as it is trained: with "
        f"dropout on, or with the statistics of the batch. {seen.fix('evaluation')} Other data in the evaluation fit, too."
    )
    evidence = [
        f"{parted.name} is {parted.distance:.2g} apart at step {parted.step}, losses of the training and weights are not",
        f"the model has {' and '.join(layers)}" if layers else "no dropout or batch norm is known of the model",
    ]
    yield Diagnosis(seen.names[1], "training mode in evaluation", text, tuple(evidence), "", parted.step)


# ---------------------------------------------------------------------- statistics of batches


def statistics(seen: Seen, parted: Divergence) -> Iterator[Diagnosis]:
    """Yield why running statistics differ, although what layers return does not.

    Args:
        seen: of the runs.
        parted: the first divergence.
    """
    if parted.kind != tags.BUFFERS:
        return
    found = seen.at(tags.BUFFERS, parted.step)
    means = [one for one in found if one.role == "mean"]
    ratio = common((one.ratio for one in means), UNIFORM)
    if ratio is not None and abs(ratio - 1) > UNIFORM:
        yield _momentum(seen, parted, ratio, means)
    elif means and all(one.same or not one.parts for one in means) and parted.name.endswith("var"):
        text = (
            "Running means are equal and variances are not: this fits a variance over n in one framework and over n - 1 in "
            "the other, as PyTorch keeps it. It matters for small batches only."
        )
        evidence = (f"{parted.name} is {parted.distance:.2g} apart at step {parted.step}",)
        yield Diagnosis(seen.names[1], "biased or unbiased variance", text, evidence, parted.layer, parted.step)


def _momentum(seen: Seen, parted: Divergence, ratio: float, means: Sequence[At]) -> Diagnosis:
    times = max(ratio, 1 / ratio)
    evidence = [f"running means are {ratio:.4g} times as large at step {parted.step}, what layers return is equal"]
    if parted.step == seen.first:
        evidence.append(
            "after one step they are the share of the new batch: if both shares add up to 1, they are "
            f"{times / (1 + times):.3g} and {1 / (1 + times):.3g}"
        )
    text = (
        "This fits another momentum of a batch norm, or the other convention: PyTorch's momentum (0.1) is the share of the "
        "new batch, that of Flax and Keras (0.9 or 0.99) is the share of what is kept, so that 0.1 becomes 0.9. The training "
        "does not change, its evaluation does."
    )
    return Diagnosis(seen.names[1], "momentum of a batch norm", text, tuple(evidence), means[0].layer, parted.step)
