"""What a diagnosis is, and what the rules look at that make one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from multiboard.compare.diagnosis_fixes import FIXES
from multiboard.compare.distances import octave_distances
from multiboard.compare.layer_table import framework_of
from multiboard.compare.origin import sharp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from multiboard.compare.align import Alignment
    from multiboard.compare.divergence import Divergence
    from multiboard.compare.findings import Finding
    from multiboard.compare.layer_table import Layer, Role
    from multiboard.reader import RunData

UNIFORM: Final = 0.02
"""Relative difference up to which ratios are one ratio."""


class Diagnosis(NamedTuple):
    """A mistake that would explain where a run parts.

    Attributes:
        run: the other run.
        title: the mistake in a few words.
        text: what it would be, how to check it, and how to mend it.
        evidence: what was observed, a sentence each.
        layer: where, as the baseline calls it; '' for the whole training.
        step: since when; None if it does not depend on steps.
    """

    run: str
    title: str
    text: str
    evidence: tuple[str, ...]
    layer: str
    step: int | None


class At(NamedTuple):
    """One tensor at one step.

    Attributes:
        finding: the whole series.
        place: of the step in it.
    """

    finding: Finding
    place: int

    @property
    def name(self) -> str:
        """Of the tensor in the baseline."""
        return self.finding.name

    @property
    def layer(self) -> str:
        """Of the tensor in the baseline."""
        return self.finding.layer

    @property
    def role(self) -> str:
        """What it is in its layer: kernel, bias, scale and so on."""
        return self.finding.name.rpartition("/")[2]

    @property
    def norms(self) -> tuple[float, float]:
        """Of both runs; NaN if one is not known."""
        return float(self.finding.a[self.place]), float(self.finding.b[self.place])

    @property
    def ratio(self) -> float:
        """Norm in the other run over that in the baseline; NaN if one is not known or zero, or so is what comes out."""
        a, b = self.norms
        ratio = b / a if a and np.isfinite(a) else 0.0
        return ratio if ratio and np.isfinite(ratio) else float("nan")

    @property
    def distance(self) -> float:
        """Relative difference."""
        return float(self.finding.distance[self.place])

    @property
    def parts(self) -> bool:
        """Whether it is beyond its limit."""
        return self.distance > float(self.finding.limit[self.place])

    @property
    def same(self) -> bool:
        """Whether rounding explains the difference."""
        return self.distance <= sharp(self.finding, self.place)

    @property
    def moved(self) -> float:
        """How far values would have to be moved on the average, in their own unit; NaN without histograms."""
        return float(self.finding.measures.emd[self.place]) if self.finding.measures else float("nan")

    def rows(self) -> tuple[npt.NDArray[np.float64], ...] | None:
        """Return both histograms; None if one is missing."""
        found = self.finding.measures
        if found is None:
            return None
        at = np.flatnonzero(found.captured == self.finding.step[self.place])
        return None if not len(at) else tuple(side[int(at[0])] for side in found.captures)

    def size(self) -> float:
        """Return the number of values; NaN without histograms."""
        rows = self.rows()
        return float(np.asarray(rows[0])[:, 2].sum()) if rows and len(rows[0]) else float("nan")

    def zeros(self) -> tuple[float, ...]:
        """Return the shares of zeros in both histograms; () if one is missing."""
        found = [np.asarray(rows, np.float64).reshape(-1, 3) for rows in self.rows() or ()]
        return tuple(float(rows[(rows[:, :2] == 0).all(axis=1), 2].sum() / max(rows[:, 2].sum(), 1)) for rows in found)

    def only_scaled(self) -> bool:
        """Tell whether one is the other times a number, as far as the histograms show it."""
        if not np.isfinite(self.ratio):
            return False
        rows, found = self.rows(), self.finding.measures
        if rows is None or found is None:
            return True
        expected = abs(float(np.log2(self.ratio))) * (1 - min(self.zeros()))
        octaves = float(octave_distances(*([one] for one in rows))[0])
        moved = self.moved / max(float(found.scale[self.place]), 1e-300)
        return abs(octaves - expected) <= 0.1 * expected + 0.02 and moved <= 1.1 * abs(self.ratio - 1) + 0.02


class Seen(NamedTuple):
    """What is known of a run and the baseline.

    Attributes:
        names: of the baseline and of the other run.
        runs: both.
        layers: of both.
        alignment: of the layers.
        findings: everything that was compared, a series each.
        parted: where they part, the cause first; of runs within tolerance, what rounding does not explain at the first step.
        first: the first step if the weights are equal there; None otherwise.
    """

    names: tuple[str, str]
    runs: tuple[RunData, RunData]
    layers: tuple[Sequence[Layer], Sequence[Layer]]
    alignment: Alignment
    findings: Sequence[Finding]
    parted: Sequence[Divergence]
    first: int | None

    def at(self, kind: str, step: int | None) -> list[At]:
        """Return all tensors of layers of one kind at a step, in the order of calls."""
        if step is None:
            return []
        found = [one for one in self.findings if one.kind == kind and one.measures is not None]
        places = [(one, np.flatnonzero(one.step == step)) for one in found]
        return sorted((At(one, int(at[0])) for one, at in places if len(at)), key=lambda one: one.finding.order)

    def scalars(self, kind: str) -> list[Finding]:
        """Return the series of one kind that are of no tensor; of tensors only those of single ones are left out."""
        return [one for one in self.findings if one.kind == kind and one.measures is None]

    def layer(self, path: str, side: int = 0) -> Layer | None:
        """Return a layer of the baseline, or of the other run, by its path there."""
        return next((layer for layer in self.layers[side] if layer.path == path), None)

    def partner(self, path: str) -> str:
        """Return the path in the other run of a layer of the baseline; '' if it has none."""
        return next((pair.b for pair in self.alignment.pairs if pair.a == path), "")

    def classes(self, path: str) -> str:
        """Return the classes of a layer in both runs, as a text to be searched."""
        found = [self.layer(path), self.layer(self.partner(path), 1)]
        return " ".join(layer.cls for layer in found if layer)

    def has(self, word: str) -> bool:
        """Tell whether a layer of either run has a word in its class or path, in small letters."""
        return any(word in f"{layer.cls} {layer.path}".lower() for side in self.layers for layer in side)

    def framework(self, side: int = 1) -> str:
        """Return 'torch', 'jax', 'keras' or ''."""
        told = framework_of(self.runs[side]).lower()
        return next((name for name in ("keras", "torch", "jax") if name in told), "")

    def fix(self, topic: str) -> str:
        """Return what to do in the framework of the other run, '' if nothing is known; the topics are those of `FIXES`."""
        return FIXES[topic].get(self.framework(), FIXES[topic].get("", ""))


def role_of(layer: Layer | None, name: str) -> Role | None:
    """Return a parameter of a layer by its role."""
    return next((role for role in layer.roles if role.name == name), None) if layer else None


def matrix(layer: Layer | None) -> tuple[int, int] | None:
    """Return inputs and outputs of a dense kernel; None for other layers."""
    role = role_of(layer, "kernel")
    if role is None or layer is None:
        return None
    shape = role.canonical
    if shape is None and role.shape is not None:
        turned = role.native.endswith("weight") and layer.cls != "Conv1D"
        shape = tuple(reversed(role.shape)) if turned else role.shape
    return (shape[0], shape[1]) if shape and len(shape) == 2 else None  # noqa: PLR2004


def common(values: Iterable[float], within: float) -> float | None:
    """Return the median of numbers that are all within a relative distance of it, None otherwise.

    >>> common([1.0, 2.0], 0.01), common([2.0, 2.001], 0.01)
    (None, 2.0005)
    """
    found = np.array([value for value in values if np.isfinite(value)])
    if not len(found):
        return None
    middle = float(np.median(found))
    return middle if (np.abs(found - middle) <= within * abs(middle)).all() else None
