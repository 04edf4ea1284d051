"""Where the numbers come from: one protocol, and the sources that there are on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Source(Protocol):
    """Reads some numbers of the machine.

    Attributes:
        name: what a person is told when it fails.
    """

    name: str

    def read(self) -> Mapping[str, float]:
        """Return numbers by tag, now or since the last time; what cannot be told is left out. Anything may be raised."""
        ...


def find_sources(log_dir: str, report: Callable[[str, str], None]) -> list[Source]:
    """Return the sources of this machine, each of which has begun to count.

    Args:
        log_dir: whose file system is watched.
        report: called with cause and message of a source that cannot begin.

    Raises:
        ImportError: psutil is missing.
    """
    from multiboard.system import machine

    return [source for find in (machine.sources, _accelerators) for source in find(log_dir, report)]


def _accelerators(_log_dir: str, report: Callable[[str, str], None]) -> Iterator[Source]:
    from multiboard.system import amd, nvidia, tpu

    for vendor in (nvidia, amd, tpu):
        try:
            source = vendor.find(report)
        except Exception as error:  # noqa: BLE001  # a driver fails in its own ways
            report(f"system {vendor.__name__}", left_out(vendor.__name__.rpartition(".")[2], error))
            continue
        if source is not None:
            yield source


def left_out(name: str, error: Exception) -> str:
    """Return what is said of a source that fails."""
    return f"system metrics of {name} are left out: {type(error).__name__}: {error}"
