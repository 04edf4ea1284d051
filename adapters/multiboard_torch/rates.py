"""The learning rates of an optimizer as scalars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def learning_rates(groups: Sequence[Mapping[str, Any]], before: int = 0) -> dict[str, Any]:
    """Return the learning rates by tag, ready for `Run.log`; a rate on an accelerator stays there.

    Args:
        groups: parameter groups; one without a rate (None, or no such entry) is left out.
        before: number of groups of other optimizers that are written to the same run. If there are any, the plain tag is theirs.

    Returns:
        'train/learning_rate' of the first group, and 'train/learning_rate/<index>' of each if they differ.
    """
    rates = {before + index: _rate(group.get("lr")) for index, group in enumerate(groups)}
    rates = {index: rate for index, rate in rates.items() if rate is not None}
    numbered = {f"{tags.LEARNING_RATE}/{index}": rate for index, rate in rates.items()}
    if before:
        return numbered
    plain = {tags.LEARNING_RATE: rates[0]} if 0 in rates else {}
    return plain | numbered if _differ(list(rates.values())) else plain


def _rate(rate: Any) -> Any:
    on_host = isinstance(rate, torch.Tensor) and rate.device.type == "cpu"
    return rate.item() if on_host else rate


def _differ(rates: list[Any]) -> bool:
    """Tell whether rates differ; tensors on an accelerator only if they are different objects, since comparing them waits."""
    if any(isinstance(rate, torch.Tensor) for rate in rates):
        return len({id(rate) for rate in rates}) > 1
    return len(set(rates)) > 1
