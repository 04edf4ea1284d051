"""Lightning under the name that the program uses, and the one private number that is read of it."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lightning.fabric.loggers.logger import rank_zero_experiment
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.loggers import Logger as LightningLogger
    from lightning_utilities.core.rank_zero import rank_zero_only

_NAMES: Final = ("lightning.pytorch", "pytorch_lightning")
"""Two copies of the same classes: a Trainer of one asks whether a callback is an instance of its own."""


def _package() -> str:
    loaded = [name for name in _NAMES if name in sys.modules]
    return (loaded or [name for name in _NAMES if find_spec(name.partition(".")[0])])[0]


if not TYPE_CHECKING:
    _lightning = import_module(_package())
    Callback, LightningModule, Trainer = _lightning.Callback, _lightning.LightningModule, _lightning.Trainer
    LightningLogger = _lightning.loggers.Logger
    rank_zero_experiment = _lightning.loggers.logger.rank_zero_experiment
    rank_zero_only = _lightning.utilities.rank_zero.rank_zero_only


def batches(trainer: Trainer) -> int:
    """Return the number that Lightning passes to loggers as the step: of the batches that ended an accumulation."""
    number = getattr(trainer.fit_loop.epoch_loop, "_batches_that_stepped", None)
    return number if isinstance(number, int) else trainer.global_step


def rank() -> int:
    """Return the number of this process among those of a distributed training."""
    return getattr(rank_zero_only, "rank", None) or 0


__all__ = [
    "Callback",
    "LightningLogger",
    "LightningModule",
    "Trainer",
    "batches",
    "rank",
    "rank_zero_experiment",
    "rank_zero_only",
]
