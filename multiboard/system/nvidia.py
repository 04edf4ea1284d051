"""GPUs of NVIDIA, by NVML (nvidia-ml-py, which is imported as pynvml)."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from multiboard.system.devices import by_tag, memory, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NODE: Final = Path("/dev/nvidiactl")


def find(report: Callable[[str, str], None]) -> Nvidia | None:
    """Return the source of the GPUs that this process may use; None if there are none.

    Args:
        report: called with cause and message if there are some, but no library.

    Raises:
        Exception: the driver fails.
    """
    if find_spec("pynvml") is None:
        if _NODE.exists():
            report("system nvidia", "system metrics of GPUs need nvidia-ml-py: pip install 'multiboard[system]'")
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if error.value in {pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED}:
            return None
        raise
    devices = _visible(pynvml)
    return Nvidia(pynvml, devices) if devices else None


def _visible(nvml: Any) -> list[Any]:
    """Return the handles in the order of CUDA, which is that of NVML where all GPUs are of one kind, or are told to be in it."""
    handles = [handle for index in range(nvml.nvmlDeviceGetCount()) for handle in _handles(nvml, index)]
    return visible(
        os.environ.get("CUDA_VISIBLE_DEVICES"),
        handles,
        lambda handle: _text(nvml.nvmlDeviceGetUUID(handle)),
        lambda uuid: nvml.nvmlDeviceGetHandleByUUID(uuid.encode()),
    )


def _handles(nvml: Any, index: int) -> list[Any]:
    """Return the handle of a GPU; none of one that a scheduler has given to others, which CUDA does not count either."""
    try:
        return [nvml.nvmlDeviceGetHandleByIndex(index)]
    except nvml.NVMLError as error:
        if error.value != nvml.NVML_ERROR_NO_PERMISSION:
            raise
        return []


class Nvidia:
    """The GPUs of a process.

    Args:
        nvml: the module, initialised.
        devices: their handles.
    """

    name = "NVIDIA GPUs"

    def __init__(self, nvml: Any, devices: list[Any]) -> None:
        self._nvml, self._devices = nvml, devices

    def read(self) -> Mapping[str, float]:
        """Return what the driver tells now; what a GPU does not support is left out."""
        return by_tag(self._statistics(device) for device in self._devices)

    def _statistics(self, device: Any) -> dict[str, float]:
        nvml = self._nvml
        found: dict[str, float] = {}
        parts: tuple[Callable[[], dict[str, float]], ...] = (
            lambda: {"utilization_pct": float(nvml.nvmlDeviceGetUtilizationRates(device).gpu)},
            lambda: _memory(nvml.nvmlDeviceGetMemoryInfo(device)),
            lambda: {"power_w": nvml.nvmlDeviceGetPowerUsage(device) / 1000},
            lambda: {"temperature_c": float(nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU))},
        )
        for part in parts:
            try:
                found |= part()
            except nvml.NVMLError as error:
                if error.value not in {nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_NO_PERMISSION}:
                    raise
        return found


def _memory(info: Any) -> dict[str, float]:
    return memory(info.used, info.total)


def _text(uuid: bytes | str) -> str:
    return uuid if isinstance(uuid, str) else uuid.decode()
