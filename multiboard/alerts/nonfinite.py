"""A loss or a metric that becomes NaN or infinite, or parameters, gradients or activations that do.

Only the onset is told, once for everything that follows from it, and again after it was finite for a while. Metrics that are not
finite from their first value on are as they are; losses are told.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from multiboard import tags as names
from multiboard.alerts.alert import Advice, Alert
from multiboard.alerts.loss_spike import is_loss
from multiboard.alerts.rule import OWN, Cooldown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from multiboard.buckets import Statistics

_COUNTS: Final = names.nonfinite("")
_GROUPS: Final = (names.ACTIVATIONS, names.PARAMS, names.UPDATES, names.GRADS)
"""Groups of a capture in the order in which values get bad: what a layer returns is so before its gradient."""


class Nonfinite:
    """Finds the first value that is not finite, and the layer where it comes from.

    Args:
        losses: patterns of tags.
        cooldown: steps for which everything must be finite before it can become bad once more.
        order: returns the number of the first call by layer, as far as it is known.
    """

    name = "nonfinite"
    advice = Advice(
        "NaN or infinite values",
        (
            "a learning rate that is too high: look whether the loss or `norm/grads` rose before",
            "a logarithm, a root or a division of 0, also in the backward pass (the gradient of a root at 0 is infinite)",
            "float16 that overflows, without a loss scale or with one that is too large",
            "an example that holds NaN, or a batch without a valid label (the mean of nothing is NaN)",
        ),
        (
            "the first layer that is named here, and what goes into it",
            "`nonfinite/activations/...`, `nonfinite/grads/...` and `nonfinite/params/...` at this step and the one before",
            "the batch of this step",
        ),
    )

    def __init__(self, losses: Sequence[str], cooldown: int, order: Callable[[], Mapping[str, int]]) -> None:
        self._patterns, self._order = losses, order
        self._cooldown = Cooldown(cooldown)
        self._bad: dict[str, bool] = {}
        self._finite: set[str] = set()
        self._layer_told = True

    def wants(self, tag: str) -> bool:
        """Tell whether a tag is a metric, or counts values of a capture that are not finite."""
        return _group(tag) is not None or not tag.startswith(OWN)

    def saw_scalars(self, numbers: Mapping[str, float], tags: Sequence[str], step: int) -> Iterator[Alert]:
        """Look at metrics and at the counts of captures."""
        bad = [tag for tag in tags if _is_bad(tag, numbers[tag])]
        if not bad:
            if self._bad:
                self._recover(tags)
            self._finite.update(tags)
            return
        new = [tag for tag in bad if tag not in self._bad and self._tells(tag)]
        covered = any(self._bad.values()) or not self._cooldown.over(step)
        self._recover(set(tags).difference(bad))
        self._bad.update({tag: self._is_main(tag) for tag in bad})
        if new or any(map(self._is_main, bad)):
            self._cooldown.start(step)
        if new and not covered:
            yield self._onset(_first(new), numbers, step)
        elif not self._layer_told and (place := _place(numbers, self._order())) is not None:
            self._layer_told = True
            yield Alert(self.name, step, place.tag, numbers[place.tag], f"{place.text} at step {step}.")

    def saw_histogram(self, tag: str, statistics: Statistics, step: int) -> tuple[Alert, ...]:  # noqa: ARG002  # norms come along
        """Find nothing: the counts of a capture come as scalars."""
        return ()

    def _recover(self, tags: Sequence[str] | set[str]) -> None:
        for tag in tags:
            self._finite.add(tag)
            self._bad.pop(tag, None)

    def _is_main(self, tag: str) -> bool:
        return _group(tag) is not None or is_loss(tag, self._patterns)

    def _tells(self, tag: str) -> bool:
        return self._is_main(tag) or tag in self._finite

    def _onset(self, tag: str, numbers: Mapping[str, float], step: int) -> Alert:
        place = _place(numbers, self._order())
        self._layer_told = place is not None
        value = numbers[tag]
        what = f"{tag!r} became {value}" if _group(tag) is None else f"{_group(tag)} became NaN or infinite, {value:.0f} values,"
        return Alert(self.name, step, tag, value, f"{what} at step {step}{'' if place is None else f'; {place.text}'}.")


def _group(tag: str) -> str | None:
    """Return the group of a capture whose values a tag counts, None if it is another tag."""
    counted = tag.removeprefix(_COUNTS)
    return counted if counted in _GROUPS and counted != tag else None


def _is_bad(tag: str, value: float) -> bool:
    return value > 0 if _group(tag) is not None else not math.isfinite(value)


def _first(bad: Sequence[str]) -> str:
    """Return the tag that is nearest to the cause."""
    by_group = {_group(tag): tag for tag in bad}
    return next((by_group[group] for group in _GROUPS if group in by_group), bad[0])


class _Place:
    """Where values are not finite.

    Attributes:
        tag: that counts those of one tensor.
        text: the same for people.
    """

    def __init__(self, tag: str, text: str) -> None:
        self.tag, self.text = tag, text


def _place(numbers: Mapping[str, float], order: Mapping[str, int]) -> _Place | None:
    """Return where the first values of a capture are that are not finite; None if these numbers do not tell."""
    for group in _GROUPS:
        prefix = names.nonfinite(f"{group}/")
        bad = [tag for tag in numbers if tag.startswith(prefix)]
        if not bad:
            continue
        in_order = sorted(bad, key=lambda tag: _number(tag.removeprefix(prefix), order))
        backwards = group == names.GRADS  # a gradient gets bad in one layer and so in all that were called before it
        tag = in_order[-1] if backwards else in_order[0]
        layer = tag.removeprefix(prefix)
        all_of_them = sum(other.startswith(names.norm(f"{group}/")) for other in numbers)
        share = f" ({len(bad)} of {all_of_them} tensors)" if all_of_them else ""
        if backwards and len(bad) == all_of_them:
            return _Place(tag, f"the gradients of all {len(bad)} tensors are bad, so that the loss itself was")
        text = f"the {'last' if backwards else 'first'} layer in the order of the calls with bad {group} is {layer!r}{share}"
        return _Place(tag, text)
    return None


def _number(path: str, order: Mapping[str, int]) -> int:
    """Return the number of the layer that a tensor belongs to; those of unknown layers come last, in the order of the tags."""
    while path:
        if path in order:
            return order[path]
        path = path.rpartition("/")[0]
    return len(order)
