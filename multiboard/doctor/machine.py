"""Accelerators and ranks that this process can see."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from multiboard import ranks
from multiboard.doctor.findings import Finding, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.doctor.installed import Installed

_AREA: Final = "machine"
_NVIDIA: Final = "/proc/driver/nvidia/gpus"
_DEVICES: Final = {"an AMD GPU": "/dev/kfd", "a TPU": "/dev/accel0"}


def examine(installed: Installed) -> Iterator[Finding]:
    """Yield what is found."""
    gpus = [_model(path) for path in sorted(Path(_NVIDIA).glob("*/information"))]
    seen = [name for name, device in _DEVICES.items() if Path(device).exists()]
    if gpus:
        limited = os.environ.get("CUDA_VISIBLE_DEVICES")
        only = "" if limited is None else f"; CUDA_VISIBLE_DEVICES={limited!r}"
        yield Finding(_AREA, "accelerators", State.GOOD, f"{len(gpus)} x {gpus[0]}{only}")
        if installed.version("torch").endswith("+cpu"):
            text = f"torch {installed.version('torch')} is built for the CPU, and there is a GPU"
            yield Finding(_AREA, "PyTorch", State.CARE, text, "install a build for CUDA, see pytorch.org")
        if installed.version("jax") and not installed.first("jax-cuda12-plugin", "jax-cuda13-plugin"):
            text = "jax has no plugin for CUDA, and there is a GPU"
            yield Finding(_AREA, "JAX", State.CARE, text, "pip install 'jax[cuda12]'")
    else:
        yield Finding(_AREA, "accelerators", State.GOOD, " and ".join(seen) or "none: the CPU")
    rank = ranks.detect()
    text = f"rank {rank.index} of {rank.size}, said by {rank.source}" if rank.source else "a process alone"
    yield Finding(_AREA, "ranks", State.GOOD, text)


def _model(path: Path) -> str:
    """Return the name of a GPU of NVIDIA."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return "NVIDIA GPU"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Model:")), "NVIDIA GPU")
