"""Which devices the loaded frameworks use; none is initialised in order to know it."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Final

from multiboard.facts.frameworks import jax_started, loaded, tensorflow_started

_CPU: Final = ["cpu"]
_GPU_NODES: Final = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Of NVIDIA, AMD and Windows: a machine without them has no GPU that PyTorch could start later."""


def names() -> dict[str, str]:
    """Return the devices in one line, e.g. 'cpu' or 'cuda: 8 x NVIDIA H100'; accelerators hide the CPU."""
    found = Counter[str]()
    for of_framework in (_torch, _jax, _tensorflow):
        found |= Counter(of_framework())  # the larger count: two frameworks on one device see the same one
    several = [_line(device, count) for device, count in found.items() if device != "cpu"]
    return {"device": ", ".join(several or _CPU)} if found else {}


def _line(device: str, count: int) -> str:
    platform, _, kind = device.partition(": ")
    return f"{platform}: {count} x {kind}" if kind and count > 1 else device


def _torch() -> list[str]:
    torch = loaded("torch")
    if not torch:
        return []
    if torch.cuda.is_initialized():
        return [f"cuda: {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    only_cpu = sys.platform == "linux" and not any(Path(node).exists() for node in _GPU_NODES)
    return _CPU if only_cpu or not torch.backends.cuda.is_built() else []


def _jax() -> list[str]:
    return [_jax_name(device) for device in loaded("jax").local_devices()] if jax_started() else []


def _jax_name(device: object) -> str:
    platform, kind = device.platform, device.device_kind  # type: ignore[attr-defined]
    if platform == "gpu":
        platform = "rocm" if "rocm" in device.client.platform_version else "cuda"  # type: ignore[attr-defined]
    return "cpu" if platform == "cpu" else f"{platform}: {kind}"


def _tensorflow() -> list[str]:
    if not tensorflow_started():
        return []
    config = loaded("tensorflow").config
    gpus = config.list_physical_devices("GPU")
    return [f"cuda: {config.experimental.get_device_details(gpu)['device_name']}" for gpu in gpus] or _CPU
