"""Which global step Lightning means.

`Trainer.global_step` is the number of updates of all optimizers together. What loggers get is another number: of the training
batches that ended an accumulation. During training it is the step of the update, but behind a fit and between two batches of one
update it is one too large, and where `training_step` calls an optimizer itself it also counts batches that updated nothing. With
one optimizer the updates are counted here; with several, which take turns in a batch, Lightning's batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard_lightning._compat import batches

if TYPE_CHECKING:
    from multiboard_lightning._compat import Trainer


def updates(trainer: Trainer) -> int:
    """Return the number of updates so far, which is the step of the next one."""
    return trainer.global_step if len(trainer.optimizers) <= 1 else batches(trainer)


def last_update(trainer: Trainer) -> int:
    """Return the step of the last update, 0 if there was none."""
    in_batch = (
        len(trainer.optimizers) > 1 and trainer.state.fn == "fit" and trainer.validating
    )  # the batch counts when that is over
    return updates(trainer) if in_batch else max(updates(trainer) - 1, 0)


def step_in_training(trainer: Trainer, step: int | None, *, automatic: bool) -> int:
    """Return the step of a value that is logged while a model is trained.

    Args:
        trainer: of the model.
        step: what the logger was passed; None is the update that is being made.
        automatic: the Trainer itself logs, behind the update; otherwise a callback or a module does, with a step of its choice.
    """
    if step is None:
        return updates(trainer)
    if len(trainer.optimizers) > 1:
        return max(step, 0)
    if automatic:
        return last_update(trainer)
    return min(step, trainer.global_step) if step == batches(trainer) else step
