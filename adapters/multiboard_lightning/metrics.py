"""Which part of a fit a Trainer is in, which names the metrics that state none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiboard_lightning._compat import Trainer


def split_of(trainer: Trainer | None) -> str:
    """Return the split that is running, 'train' if that is not known."""
    if trainer is None or not (trainer.validating or trainer.testing):
        return "train"
    return "val" if trainer.validating else "test"
