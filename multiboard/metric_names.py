"""The uniform tags of metrics that other libraries name in their own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPLITS: Final = {
    "train_": "train",
    "training_": "train",
    "val_": "val",
    "valid_": "val",
    "validation_": "val",
    "eval_": "val",
    "test_": "test",
}


def tag_of(name: str, split: str = "train") -> str:
    """Return the uniform tag of a metric.

    Args:
        name: as it was logged.
        split: for names that state none.

    >>> [tag_of(name, "val") for name in ("train_loss", "acc", "norm/x", "epoch")]
    ['train/loss', 'val/acc', 'norm/x', 'train/epoch']
    """
    if name == "epoch":
        return tags.EPOCH
    for prefix, stated in _SPLITS.items():
        if name.startswith(prefix) and name != prefix and "/" not in name:
            return f"{stated}/{name.removeprefix(prefix)}"
    return name if "/" in name else f"{split}/{name}"


def by_tag(metrics: Mapping[str, Any], split: str = "train") -> dict[str, Any]:
    """Return metrics that are logged together by their uniform tags; of two with one tag the second keeps its name.

    Args:
        metrics: by name.
        split: for names that state none.

    >>> by_tag({"loss": 1, "train_loss": 2})
    {'train/loss': 1, 'train/train_loss': 2}
    """
    found: dict[str, Any] = {}
    for name, value in metrics.items():
        tag = tag_of(name, split)
        found[f"{split}/{name}" if tag in found else tag] = value
    return found
