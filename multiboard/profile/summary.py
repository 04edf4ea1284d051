"""The numbers of a profile, the same from every framework: what a step takes, what it waits for, and where its time goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.table import Table

    from multiboard.profile.messages import XSpace


class StepRow(NamedTuple):
    """A step.

    Attributes:
        number: global.
        ms: of the host, from the end of the step before to its own end, waits for input included.
        input_ms: waits for input.
        device_ms: in which at least one stream of a device works; None without devices.
        device_step_ms: from the beginning to the end of all that devices did of what was launched in the step; None if the
            profile does not tell what launched it.
    """

    number: int
    ms: float
    input_ms: float
    device_ms: float | None
    device_step_ms: float | None


class OpRow(NamedTuple):
    """The calls of one operation in one layer, in the whole capture.

    Attributes:
        place: 'host' or 'device'.
        layer: canonical path, with 'backward/' before it in the backward pass; '' for none.
        op: the type in the framework.
        calls: how often it was called.
        self_us: without the operations that they call, microseconds, all threads or streams together.
        share: of that in the sum over all operations of the place, 0 to 1.
    """

    place: str
    layer: str
    op: str
    calls: int
    self_us: float
    share: float


class MemoryRow(NamedTuple):
    """An allocator.

    Attributes:
        allocator: its name.
        peak_bytes: the most that was allocated in the capture.
        reserved_bytes: the most that it held; 0 if that is not known.
        allocations: in the capture.
        deallocations: in the capture.
    """

    allocator: str
    peak_bytes: int
    reserved_bytes: int
    allocations: int
    deallocations: int


class LiveRow(NamedTuple):
    """Buffers that are alive at the end of the capture.

    Attributes:
        site: where they were made, e.g. 'train.py:12 in step'.
        device: e.g. 'cpu:0'.
        buffers: how many.
        bytes: of all.
    """

    site: str
    device: str
    buffers: int
    bytes: int


class Summary(NamedTuple):
    """The numbers of a profile. Percentages are of the time of the steps in `steps`, 0 to 100.

    Attributes:
        steps: of the host, without the first one if there are others.
        captured: number of steps in the profile.
        step_ms: median over the steps; None without steps, like all percentages.
        device_step_ms: the same of what steps take on the devices, which XProf calls the step time where there are devices. A
            host that does not wait for them runs ahead in the window, and only this is the time of a step then; also where XLA
            computes in threads of the host.
        input_pct: waits for input.
        device_busy_pct: at least one stream of a device works; None without a device.
        comm_pct: devices communicate; None without a device.
        host_only_pct: neither input nor device.
        mem_peak_bytes: the most that an allocator had allocated; None if nothing tells it.
        ops: those that take longest first.
        memory: by allocator.
        live: the largest first; empty if nothing tells it.
        notes: what the profile lacks.
    """

    steps: tuple[StepRow, ...]
    captured: int
    step_ms: float | None
    device_step_ms: float | None
    input_pct: float | None
    device_busy_pct: float | None
    comm_pct: float | None
    host_only_pct: float | None
    mem_peak_bytes: int | None
    ops: tuple[OpRow, ...]
    memory: tuple[MemoryRow, ...]
    live: tuple[LiveRow, ...]
    notes: tuple[str, ...]

    def scalars(self) -> dict[str, float]:
        """Return the numbers by tag, e.g. 'profile/step_ms'; what is not known is left out."""
        numbers = {
            "step_ms": self.step_ms,
            "device_step_ms": self.device_step_ms,
            "input_pct": self.input_pct,
            "device_busy_pct": self.device_busy_pct,
            "comm_pct": self.comm_pct,
            "host_only_pct": self.host_only_pct,
            "mem_peak_bytes": self.mem_peak_bytes,
            "live_bytes": sum(row.bytes for row in self.live) if self.live else None,
        }
        return {f"profile/{name}": float(value) for name, value in numbers.items() if value is not None}

    def texts(self, session: str = "") -> dict[str, str]:
        """Return the tables by tag, as markdown: 'profile/top_ops', and 'profile/memory' and 'profile/live_buffers' if known.

        Args:
            session: run and session as XProf lists them, e.g. 'torch/step_000500', for a link to it.
        """
        from multiboard.profile.summary_text import texts

        return texts(self, session)

    def table(self, *, most: int = 30) -> Table:
        """Return the operations that take longest as a table for `rich.print`, with the other numbers below it.

        Args:
            most: rows.

        Raises:
            MissingFrameworkError: rich is not installed.
        """
        from multiboard.profile.summary_text import table

        return table(self, most)

    def to_json(self) -> str:
        """Return everything as JSON."""
        from multiboard.profile.summary_json import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Summary:
        """Return the summary that `to_json` made the text of.

        Raises:
            ValueError: the text is none.
        """
        from multiboard.profile.summary_json import from_json

        return from_json(text)


def summarize(space: XSpace, *, live_buffers: bytes | None = None) -> Summary:
    """Return the numbers of a profile.

    Args:
        space: any profile; what is damaged or missing is left out, and `notes` say so.
        live_buffers: what `jax.profiler.save_device_memory_profile` wrote.
    """
    from multiboard.profile.summary_values import summary_of

    return summary_of(space, live_buffers)
