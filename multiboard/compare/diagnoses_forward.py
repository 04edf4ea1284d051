"""Mistakes that show in what layers return at the first step, where the weights are equal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard import tags
from multiboard.compare.diagnosis import At, Diagnosis, matrix, role_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.compare.diagnosis import Seen
    from multiboard.compare.divergence import Divergence

_GELU_APART: Final = 5e-4
"""The two forms of GELU are nowhere farther apart than 4.8e-4."""
_SMALL: Final = 0.02
"""Relative to what they return: where both are small they are much closer."""
_NORM: Final = re.compile("norm", re.IGNORECASE)
_EPSILONS: Final = (1e-3, 1e-5, 1e-6, 1e-8, 1e-12)
"""Defaults of layers: Keras, PyTorch, Flax, and models of others."""


def forward(seen: Seen, parted: Divergence) -> Iterator[Diagnosis]:
    """Yield what may be wrong in the layer that is the first one to return something else, the likeliest first.

    Args:
        seen: of the runs.
        parted: the first divergence.
    """
    outputs = seen.at(tags.ACTIVATIONS, seen.first)
    place = next((number for number, one in enumerate(outputs) if one.name == parted.name), None)
    if parted.kind != tags.ACTIVATIONS or parted.step != seen.first or place is None:
        return
    here, before = outputs[place], outputs[place - 1] if place else None
    if before is None:
        yield from _inputs(seen, here)
    for rule in (_norm, _activation, _dropout, _dense, _convolution):
        yield from rule(seen, here, before)


def _made(seen: Seen, here: At, title: str, text: str, *evidence: str) -> Diagnosis:
    observed = f"{here.name} returns something else at step {seen.first}: {here.distance:.2g} apart in distribution or norm"
    small = "" if here.parts else ", which is within tolerance, but no rounding"
    known = "what was compared before it, and the weights, are equal there"
    return Diagnosis(seen.names[1], title, text, (observed + small, known, *evidence), here.layer, seen.first)


def _norms(seen: Seen, here: At) -> str:
    a, b = here.norms
    return f"its norm is {a:.6g} in {seen.names[0]} and {b:.6g} in {seen.names[1]}"


# ---------------------------------------------------------------------- the first layer: what goes in


def _inputs(seen: Seen, here: At) -> Iterator[Diagnosis]:
    if here.only_scaled() and abs(np.log2(here.ratio)) > 0.1:  # noqa: PLR2004
        yield _made(
            seen,
            here,
            "inputs of another scale",
            f"This fits inputs that are {here.ratio:.4g} times as large, e.g. pixels from 0 to 255 or 16 that one program "
            "divides and the other does not. Log a histogram of one batch in both programs, and prepare the data of "
            f"{seen.names[1]} as the other does.",
            f"the first layer returns {here.ratio:.4g} times as much, with the same shape of its distribution",
        )
        return
    yield _made(
        seen,
        here,
        "other inputs",
        "The first layer differs with equal weights, so that its inputs do, if it computes the same. This fits batches in "
        "another order, another augmentation, or another normalisation. Compare the first batch of both programs. "
        f"{seen.fix('shuffle')}",
        _norms(seen, here),
    )


# ---------------------------------------------------------------------- norms


def _norm(seen: Seen, here: At, before: At | None) -> Iterator[Diagnosis]:
    if not _NORM.search(f"{seen.classes(here.layer)} {here.layer}"):
        return
    if before is not None and _passes(before, here):
        yield _made(
            seen,
            here,
            "batch norm in evaluation mode",
            f"{here.name} returns its input in {seen.names[1]}, as with running statistics that nothing has changed yet. Put the "
            "model into training mode before the step.",
            _norms(seen, here),
        )
        return
    if not here.only_scaled() or abs(np.log2(here.ratio)) > 1:
        yield _made(
            seen,
            here,
            "axes or variance of a norm",
            f"{here.name} returns values that no epsilon makes of the same inputs. This fits a norm over other axes or groups, "
            "or another kind of norm. Print its settings in both programs.",
            _norms(seen, here),
        )
        return
    yield _made(
        seen,
        here,
        "epsilon of a norm",
        f"This fits another epsilon in {here.name}: it divides by the root of the variance plus epsilon. Print it in both "
        f"programs. {seen.fix('epsilon of a norm')} Less likely are a variance that is computed otherwise, and other axes.",
        _norms(seen, here),
        *_epsilons(seen, here),
    )


def _passes(before: At, here: At) -> bool:
    """Tell whether a norm returns its input in the other run only."""
    (a, b), (from_a, from_b) = here.norms, before.norms
    return bool(abs(b - from_b) < 0.01 * from_b and abs(a - from_a) > 0.05 * from_a)


def _epsilons(seen: Seen, here: At) -> Iterator[str]:
    """Tell what share of the variance epsilon takes, which shows only while scales are 1 and biases 0."""
    own = {one.role: one for one in seen.at(tags.PARAMS, seen.first) if one.layer == here.layer}
    size = here.size()
    ones = "scale" in own and abs(own["scale"].norms[0] ** 2 / own["scale"].size() - 1) < 1e-6  # noqa: PLR2004
    if not ones or ("bias" in own and own["bias"].norms[0]) or not size:
        return
    left_a, left_b = (1 - norm**2 / size for norm in here.norms)
    if left_a > 1e-7 and left_b > 1e-7:  # noqa: PLR2004  # else rounding is all that it is
        told = f"the variance of what it returns falls short of 1 by {left_a:.2g} and {left_b:.2g}, and so does epsilon: "
        pairs = [(a, b) for a in _EPSILONS for b in _EPSILONS if abs(left_b / left_a / (b / a) - 1) < 0.2]  # noqa: PLR2004
        fits = " or ".join(f"{a:g} and {b:g}" for a, b in pairs[:2])
        yield told + f"{left_b / left_a:.3g} times as much" + (f", e.g. {fits}" if fits else "")


# ---------------------------------------------------------------------- activation functions


def _activation(seen: Seen, here: At, before: At | None) -> Iterator[Diagnosis]:
    layer = seen.layer(here.layer)
    classes = f"{seen.classes(here.layer)} {here.layer}".lower()
    bare = layer is None or not layer.roles
    told = (
        f"outputs are moved by {here.moved:.2g} on the average, by less than the most that the two forms of GELU differ, 4.8e-4"
    )
    if "gelu" in classes and here.moved <= _GELU_APART and here.distance < _SMALL:
        yield _gelu(seen, here, told)
    elif bare and "drop" not in classes and here.moved == here.moved and not _NORM.search(classes):
        yield _made(
            seen,
            here,
            "another activation function",
            f"{here.name} has no weights, and returns something else of the same inputs. This fits another function, or another "
            "parameter of it, e.g. its negative slope.",
            _norms(seen, here),
            f"outputs are moved by {here.moved:.2g} on the average",
        )
    elif not bare and not _NORM.search(classes) and before is not None and here.distance < 0.005 and seen.has("gelu"):  # noqa: PLR2004
        yield _gelu(seen, here, f"{before.name} and {here.name} may have a GELU between them, whose outputs were not captured")


def _gelu(seen: Seen, here: At, told: str) -> Diagnosis:
    text = f"This fits GELU that is exact (erf) in one run and approximated with a tanh in the other. {seen.fix('gelu')}"
    return _made(seen, here, "GELU: tanh or erf", text, told)


def _dropout(seen: Seen, here: At, before: At | None) -> Iterator[Diagnosis]:
    del before
    shares = here.zeros()
    named = "drop" in f"{seen.classes(here.layer)} {here.layer}".lower()
    if named and shares and abs(shares[0] - shares[1]) > 0.02:  # noqa: PLR2004
        yield _made(
            seen,
            here,
            "dropout",
            f"This fits dropout that is on in one run only, or has another rate: {here.name} returns another share of zeros. "
            "Set the rates to 0 in both programs while you compare.",
            f"{shares[0]:.1%} of its outputs are 0 in {seen.names[0]}, {shares[1]:.1%} in {seen.names[1]}",
        )


# ---------------------------------------------------------------------- layers with a kernel


def _dense(seen: Seen, here: At, before: At | None) -> Iterator[Diagnosis]:
    del before
    shape = matrix(seen.layer(here.layer))
    if shape is None or _NORM.search(here.layer):
        return
    channels = _channels_before(seen, here)
    if shape[0] == shape[1]:
        yield _made(
            seen,
            here,
            "transposed kernel",
            f"The kernel of {here.name} is square, {shape[0]} x {shape[1]}, so that no shape tells whether it was transposed "
            "when it was loaded. The same values in the other order fit this: equal parameters, other outputs. "
            f"{seen.fix('transposed')}",
            _norms(seen, here),
        )
    elif channels and shape[0] % channels == 0 and shape[0] > channels:
        yield _made(
            seen,
            here,
            "order of flattened inputs",
            f"{here.name} takes {shape[0]} inputs, {shape[0] // channels} places of {channels} channels, in the order in which "
            f"they were flattened: channels first in one program, channels last in the other. {seen.fix('flatten')}",
            _norms(seen, here),
        )
    else:
        yield _made(
            seen,
            here,
            "order of inputs or of a kernel",
            f"{here.name} has equal parameters and equal inputs as far as distributions show it, but another order of either "
            "would not show. Compare the kernel and one batch of its inputs element by element, e.g. with exact captures.",
            _norms(seen, here),
        )


def _channels_before(seen: Seen, here: At) -> int | None:
    """Return the channels of the last convolution before a layer; None if there is none."""
    found = None
    for layer in seen.layers[0]:
        role = role_of(layer, "kernel")
        if layer.path == here.layer:
            break
        if role is not None and role.shape is not None and len(role.shape) > 2:  # noqa: PLR2004
            found = _shape(role)[-1]
        elif matrix(layer):
            found = None
    return found


def _shape(role: object) -> tuple[int, ...]:
    canonical, shape, native = (getattr(role, name) for name in ("canonical", "shape", "native"))
    if canonical:
        return tuple(canonical)
    return (*shape[2:], shape[1], shape[0]) if native.endswith("weight") else tuple(shape)


def _convolution(seen: Seen, here: At, before: At | None) -> Iterator[Diagnosis]:
    role = role_of(seen.layer(here.layer), "kernel")
    if role is None or role.shape is None or len(role.shape) <= 2 or before is None:  # noqa: PLR2004
        return
    *_, inner, outer = _shape(role)
    strided = here.size() * inner < before.size() * outer
    text = (
        f"This fits zeros that are put at other sides: {here.name} goes in strides, and SAME pads behind first. "
        f"{seen.fix('padding')}"
        if strided
        else f"This fits another padding in {here.name}, or a kernel that is flipped or whose height and width are swapped."
    )
    yield _made(seen, here, "padding of a convolution", text, _norms(seen, here))
