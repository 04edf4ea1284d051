"""What each adapter and bridge needs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from multiboard.doctor.findings import Finding, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.doctor.installed import Installed

_AREA: Final = "adapters"
_EXTRAS: Final = {
    "torch": "multiboard.torch",
    "jax": "multiboard.jax",
    "keras": "multiboard.keras",
    "lightning": "multiboard.lightning",
    "transformers": "multiboard.transformers",
    "accelerate": "multiboard.accelerate",
    "optuna": "multiboard.optuna",
    "stable-baselines3": "multiboard.stable_baselines3",
    "wandb": "mirror to W&B",
    "system": "system metrics",
    "media": "videos, audio",
    "pandas": "pandas",
    "polars": "Polars",
    "onnx": "graphs of ONNX",
    "cli": "command line",
}
"""What an extra is for."""
_BACKENDS: Final = {"tensorflow": ("tensorflow", "tf-nightly"), "torch": ("torch",), "jax": ("jax",)}
"""Distributions of a backend of Keras."""


def examine(installed: Installed) -> Iterator[Finding]:
    """Yield what is found."""
    own = dict(installed.requirements("multiboard"))
    for extra, purpose in _EXTRAS.items():
        needed = {name: versions for name, versions in installed.requirements("multiboard", extra) if name not in own}
        if needed:
            yield _extra(installed, extra, purpose, needed)
    if installed.version("keras"):
        yield from _keras_backend(installed)
    for name, distribution in installed.entry_points("multiboard.adapters").items():
        yield Finding(_AREA, name, State.GOOD, f"an adapter of {distribution} {installed.version(distribution)}")


def _extra(installed: Installed, extra: str, purpose: str, needed: dict[str, object]) -> Finding:
    remedy = f"pip install 'multiboard[{extra}]'"
    missing = [name for name in needed if not installed.version(name)]
    old = [name for name, versions in needed.items() if name not in missing and not installed.fits(name, versions)]
    there = ", ".join(f"{name} {installed.version(name)}" for name in needed if name not in missing)
    if old:
        wanted = ", ".join(f"{name}{needed[name]}" for name in old)
        return Finding(_AREA, purpose, State.WRONG, f"{there}; needs {wanted}", remedy)
    if missing:
        text = f"{there}; {', '.join(missing)} not installed" if there else f"{', '.join(missing)} not installed"
        return Finding(_AREA, purpose, State.ABSENT, text, remedy)
    return Finding(_AREA, purpose, State.GOOD, there)


def _keras_backend(installed: Installed) -> Iterator[Finding]:
    backend, source = os.environ.get("KERAS_BACKEND", ""), "KERAS_BACKEND"
    if not backend:
        config = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
        try:
            backend, source = str(json.loads(config.read_text(encoding="utf-8"))["backend"]), str(config)
        except (OSError, ValueError, KeyError, TypeError):
            backend, source = "tensorflow", "the default"
    if installed.first(*_BACKENDS.get(backend, (backend,))):
        yield Finding(_AREA, "backend of Keras", State.GOOD, f"{backend} ({source})")
        return
    others = [name for name, distributions in _BACKENDS.items() if installed.first(*distributions)]
    remedy = f"export KERAS_BACKEND={others[0]}" if others else f"pip install {backend}"
    yield Finding(_AREA, "backend of Keras", State.WRONG, f"{backend} ({source}) is not installed", remedy)
