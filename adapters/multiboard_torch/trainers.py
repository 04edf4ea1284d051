"""What the adapters of trainers share: they hand arguments on to `watch`."""

from __future__ import annotations

import inspect
from typing import Any

from multiboard.errors import ArgumentError, did_you_mean
from multiboard_torch.attach import watch


def check_watch_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the further arguments of `watch`, or raise ArgumentError if it has no such argument."""
    known = [name for name in inspect.signature(watch).parameters if name not in {"model", "optimizer", "run", "start_step"}]
    for name, value in options.items():
        if name not in known:
            hint = did_you_mean(name, known)
            raise ArgumentError(name, value, f"multiboard.torch.watch takes {', '.join(known)}.{hint}".removesuffix("."))
    return options
