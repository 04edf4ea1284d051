"""GPUs of AMD, by amdsmi, which comes with ROCm. Written after its documentation; numbers that it lacks it calls 'N/A'."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from multiboard.system.devices import MIB, by_tag, memory, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_VARIABLES: Final = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
"""The second one chooses among what the first one leaves."""
_POWER: Final = ("current_socket_power", "average_socket_power")


def find(_report: Callable[[str, str], None]) -> Amd | None:
    """Return the source of the GPUs that this process may use; None if there are none.

    Raises:
        Exception: the driver fails.
    """
    if find_spec("amdsmi") is None:
        return None
    import amdsmi

    try:
        amdsmi.amdsmi_init(amdsmi.AmdSmiInitFlags.INIT_AMD_GPUS)
        devices = list(amdsmi.amdsmi_get_processor_handles())
    except (amdsmi.AmdSmiLibraryException, OSError):  # the package without a driver
        return None
    for variable in _VARIABLES:
        devices = visible(os.environ.get(variable), devices, amdsmi.amdsmi_get_gpu_device_uuid, _no_device)
    return Amd(amdsmi, devices) if devices else None


def _no_device(uuid: str) -> Any:
    raise LookupError(uuid)


class Amd:
    """The GPUs of a process.

    Args:
        smi: the module, initialised.
        devices: their handles.
    """

    name = "AMD GPUs"

    def __init__(self, smi: Any, devices: list[Any]) -> None:
        self._smi, self._devices = smi, devices

    def read(self) -> Mapping[str, float]:
        """Return what the driver tells now; what a GPU does not support is left out."""
        return by_tag(self._statistics(device) for device in self._devices)

    def _statistics(self, device: Any) -> dict[str, float]:
        smi = self._smi
        found: dict[str, float] = {}
        parts: tuple[Callable[[], dict[str, object]], ...] = (
            lambda: {"utilization_pct": smi.amdsmi_get_gpu_activity(device)["gfx_activity"]},
            lambda: _memory(smi.amdsmi_get_gpu_vram_usage(device)),
            lambda: {"power_w": _first(smi.amdsmi_get_power_info(device), _POWER)},
            lambda: {"temperature_c": self._temperature(device)},
        )
        for part in parts:
            try:
                found |= {name: float(value) for name, value in part().items() if isinstance(value, (int, float))}
            except smi.AmdSmiLibraryException:
                continue
        return found

    def _temperature(self, device: Any) -> Any:
        smi = self._smi
        return smi.amdsmi_get_temp_metric(device, smi.AmdSmiTemperatureType.HOTSPOT, smi.AmdSmiTemperatureMetric.CURRENT)


def _memory(usage: Mapping[str, Any]) -> dict[str, object]:
    used, total = (usage[name] for name in ("vram_used", "vram_total"))
    if not isinstance(used, (int, float)):
        return {}
    return {**memory(used * MIB, total * MIB if isinstance(total, (int, float)) else 0)}


def _first(values: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((values[name] for name in names if isinstance(values.get(name), (int, float))), None)
