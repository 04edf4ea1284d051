"""The uniform tags of what a Trainer logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multiboard import tags

if TYPE_CHECKING:
    from multiboard_lightning._compat import Trainer

_SPLITS: Final = {"train_": "train", "training_": "train", "val_": "val", "valid_": "val", "validation_": "val", "test_": "test"}


def tag_of(name: str, split: str) -> str:
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


def split_of(trainer: Trainer | None) -> str:
    """Return the split that is running, 'train' if that is not known."""
    if trainer is None or not (trainer.validating or trainer.testing):
        return "train"
    return "val" if trainer.validating else "test"
