"""The gradient that an update is made of: without a loss scale, the mean of accumulated batches, before clipping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import keras

from multiboard import tags
from multiboard_keras._compat import accumulators, batches_seen, built_variables
from multiboard_keras.layers import identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    Tensor = Any

_CLIPS: Final = ("clipnorm", "clipvalue", "global_clipnorm")


def true_gradients(optimizer: Any, variables: Sequence[Any], grads: Sequence[Tensor]) -> tuple[list[Tensor], str]:
    """Return the gradients that an optimizer clips and applies, and words for their stage; None where there is none.

    Args:
        optimizer: before its update, which completes an accumulation if it accumulates.
        variables: what is updated.
        grads: of them, as the optimizer gets them.
    """
    batches = micro_batches(optimizer)
    unscaled = [_unscaled(optimizer, *pair) for pair in zip(variables, grads, strict=True)]
    inner = innermost(optimizer)
    stage = tags.BEFORE_CLIPPING if any(getattr(inner, name, None) is not None for name in _CLIPS) else tags.GIVEN
    if batches == 1:
        return unscaled, stage
    sums = accumulators(inner)
    if sums is None:
        return unscaled, tags.MICRO_BATCH
    by_variable = {identity(variable): total for variable, total in zip(built_variables(inner), sums, strict=True)}
    means = [
        grad
        if grad is None or is_overwritten(variable)
        else (grad + keras.ops.convert_to_tensor(by_variable[identity(variable)])) / batches
        for variable, grad in zip(variables, unscaled, strict=True)
    ]
    return means, tags.gradient_stage(stage, f"mean of {batches} micro-batches")


def micro_batches(optimizer: Any) -> int:
    """Return how many batches the optimizer accumulates into one update."""
    return getattr(innermost(optimizer), "gradient_accumulation_steps", None) or 1


def skips_batches(optimizer: Any) -> bool:
    """Tell whether a loss scale leaves batches out of an accumulation, so that their number does not tell the last one."""
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer) and micro_batches(optimizer) > 1


def updates_made(optimizer: Any) -> Tensor | None:
    """Return how many updates the batches make that an optimizer has taken; None if the number of the batches tells."""
    seen = batches_seen(optimizer) if skips_batches(optimizer) else None
    return None if seen is None else keras.ops.floor_divide(keras.ops.convert_to_tensor(seen), micro_batches(optimizer))


def innermost(optimizer: Any) -> Any:
    """Return the optimizer that a loss scale is wrapped around, or the optimizer itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def is_overwritten(variable: Any) -> bool:
    """Tell whether the 'gradient' of a variable is its new value, as for the scales of float8."""
    return bool(getattr(variable, "overwrite_with_gradient", False))


def _unscaled(optimizer: Any, variable: Any, grad: Tensor) -> Tensor:
    scale = optimizer.loss_scale_factor
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        scale = optimizer.dynamic_scale if optimizer.built else optimizer.initial_scale
    if grad is None or is_overwritten(variable):
        return grad
    dense = keras.ops.convert_to_tensor(grad)
    return dense if scale is None else keras.ops.divide(dense, scale)
