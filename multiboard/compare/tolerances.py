"""How far runs may be apart, by what is compared, and how the tags of a run tell it."""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

from multiboard import tags
from multiboard.errors import ArgumentError

Tolerance: TypeAlias = Mapping[str, float] | float | str | os.PathLike[str] | None

DEFAULTS: Final = {
    "schedule": 1e-5,
    "activations": 0.005,
    "loss": 0.002,
    "metrics": 0.02,
    "grads": 0.005,
    "updates": 0.005,
    "params": 0.002,
    "optimizer_state": 0.005,
    "buffers": 0.005,
    "histograms": 0.01,
}
"""Relative differences, in the order of cause within one step.

'schedule' are learning rates and epochs, 'metrics' all scalars that are neither loss nor schedule, 'histograms' those of no known
group.
"""
KINDS: Final = tuple(DEFAULTS)
TENSORS: Final = (*tags.GROUPS, tags.ACTIVATIONS)
"""Kinds that are compared layer by layer."""

_LOSS: Final = re.compile(r"loss|nll|perplexity|(^|_)ppl|entropy|elbo")
_SCHEDULE: Final = re.compile(r"^(epoch|lr)$|learning_rate|^lr[-_]|_lr$")
_NOT_COMPARED: Final = ("perf", "profile", "system", "multiboard", "nonfinite", "hparams")


def scalar_kind(tag: str) -> str | None:
    """Return what a scalar is compared as; None for times, counts, and what is compared layer by layer.

    >>> [scalar_kind(tag) for tag in ("val/loss", "train/accuracy", "train/learning_rate", "norm/grads", "perf/step_ms")]
    ['loss', 'metrics', 'schedule', 'grads', None]
    """
    head, *rest = tag.lower().split("/")
    name = rest[-1] if rest else head
    if head in _NOT_COMPARED:
        return None
    if head == "norm" and rest and rest[0] in TENSORS:
        return rest[0] if len(rest) == 1 else None
    if head == tags.UPDATE_RATIO:
        return tags.UPDATES if not rest else None
    if name.startswith("grad_norm"):
        return tags.GRADS
    if _SCHEDULE.search(name):
        return "schedule"
    return "loss" if _LOSS.search(name) else "metrics"


def histogram_kind(tag: str) -> str:
    """Return what a histogram is compared as.

    >>> histogram_kind("grads/dense/kernel"), histogram_kind("fc1.weight")
    ('grads', 'histograms')
    """
    head, _, path = tag.partition("/")
    return head if head in TENSORS and path else "histograms"


def tolerances(given: Tolerance) -> dict[str, float]:
    """Return the tolerance of every kind.

    Args:
        given: by kind; or one number for all; or a TOML file of lines such as 'grads = 0.05'; None for the defaults, which also
            stand for kinds that are not named.

    Raises:
        ArgumentError: no such kind, no such file, or not a number from 0.
    """
    if given is None:
        return dict(DEFAULTS)
    if isinstance(given, str | os.PathLike):
        given = _from_file(Path(given))
    if not isinstance(given, Mapping):
        return dict.fromkeys(KINDS, _number("tolerance", given))
    return DEFAULTS | {check_kind(name): _number(f"tolerance[{name!r}]", value) for name, value in given.items()}


def check_kind(name: object) -> str:
    """Return the name of a kind if there is such a kind.

    Raises:
        ArgumentError: otherwise.
    """
    if isinstance(name, str) and name in DEFAULTS:
        return name
    near = difflib.get_close_matches(str(name), KINDS, 1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    raise ArgumentError("tolerance", name, f"the kinds are {', '.join(KINDS)}{guess}")


def _from_file(path: Path) -> Mapping[str, float]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError("tolerance", os.fspath(path), f"the file cannot be read ({error}); pass a TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise ArgumentError("tolerance", os.fspath(path), f"it is no TOML ({error}); write lines such as grads = 0.05") from error


def _number(name: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    raise ArgumentError(name, value, "pass a relative difference from 0, e.g. 0.01")
