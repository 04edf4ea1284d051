"""TPUs, by the monitoring library in libtpu. Written after its documentation: a metric is a list of texts, one per chip."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from multiboard.system.devices import by_tag, memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BUSY: Final = "duty_cycle_pct"
_USED: Final = "hbm_capacity_usage"
_TOTAL: Final = "hbm_capacity_total"


def find(_report: Callable[[str, str], None]) -> Tpu | None:
    """Return the source of the chips of this machine; None if the program has not loaded the library of TPUs."""
    if "libtpu" not in sys.modules:
        return None
    try:
        monitoring: Any = import_module("libtpu.sdk.tpumonitoring")
    except ImportError:
        try:
            monitoring = import_module("libtpu.sdk").tpumonitoring
        except (ImportError, AttributeError):  # an older one
            return None
    return Tpu(monitoring)


class Tpu:
    """The chips of a machine.

    Args:
        monitoring: the module.
    """

    name = "TPUs"

    def __init__(self, monitoring: Any) -> None:
        self._monitoring = monitoring

    def read(self) -> Mapping[str, float]:
        """Return what the runtime tells now; nothing before a program has begun to use the chips."""
        busy, used, total = (self._metric(name) for name in (_BUSY, _USED, _TOTAL))
        chips: list[dict[str, float]] = [{} for _ in range(max(len(busy), len(used)))]
        for chip, share in zip(chips, busy, strict=False):
            chip["utilization_pct"] = share
        if len(used) == len(total):
            for chip, taken, whole in zip(chips, used, total, strict=False):
                chip.update(memory(taken, whole))
        return by_tag(chips)

    def _metric(self, name: str) -> list[float]:
        return [float(text) for text in self._monitoring.get_metric(name).data()]
