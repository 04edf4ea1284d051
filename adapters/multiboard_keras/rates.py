"""The optimizers of a model, and the tags of their learning rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Mapping


def rates_by_tag(model: Any, optimizers: Mapping[str, Any], rates: Mapping[str, Any]) -> dict[str, Any]:
    """Return learning rates by tag.

    Args:
        model: a compiled model.
        optimizers: all of the model, by name.
        rates: of some of them, by name.
    """
    others = [optimizer for optimizer in optimizers.values() if optimizer is not model.optimizer]
    if len(others) > 1 or len(rates) > 1:  # Keras makes an optimizer for the model even if it uses its own
        return {f"{tags.LEARNING_RATE}/{name}": rate for name, rate in rates.items()}
    return dict(zip([tags.LEARNING_RATE], rates.values(), strict=False))


def find_optimizers(model: Any) -> dict[str, Any]:
    """Return the optimizers among the attributes of a model, by attribute; those in lists and dicts as 'attribute/key'."""
    attributes = {"optimizer": model.optimizer, **vars(model)}
    found: dict[int, tuple[str, Any]] = {}
    for name, value in attributes.items():
        if isinstance(value, keras.optimizers.Optimizer):
            found.setdefault(id(value), (name, value))
    for name, value in attributes.items():
        if isinstance(value, (dict, list, tuple)) and name[:1] != "_":
            for key, one in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(one, keras.optimizers.Optimizer):
                    found.setdefault(id(one), (f"{name}/{key}", one))
    return dict(found.values())
