"""What the writer does with a sink, so that no value and no disk can stop it: errors are reported, and drops are written down."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from multiboard import tags
from multiboard.values import Scalars

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from multiboard.protocols import Logged, Sink
    from multiboard.reports import Reports
    from multiboard.values import Value


def deliver(sink: Sink, value: Value, reports: Reports) -> None:
    """Hand a value to a sink; what it causes is reported."""
    try:
        sink.accept(value)
    except Exception as error:  # noqa: BLE001  # the writer outlives every value
        name = getattr(value, "tag", None) or type(value).__name__
        reports.add(f"{name} unwritable", f"{name!r} could not be written: {type(error).__name__}: {error}")


def deliver_scalars(sink: Sink, logged: Sequence[Logged], reports: Reports) -> None:
    """Hand scalars to a sink; what they cause is reported."""
    guarded(lambda: sink.accept_scalars(logged), reports)


def deliver_drops(sink: Sink, reports: Reports) -> None:
    """Hand the number of dropped values to a sink, by kind, if it has changed."""
    for kind, drops in reports.new_drops().items():
        deliver(sink, Scalars((tags.dropped(kind),), (float(drops.total),), drops.step, time()), reports)


def guarded(action: Callable[[], object], reports: Reports) -> bool:
    """Do something; tell whether it neither failed nor returned False."""
    try:
        return action() is not False
    except Exception as error:  # noqa: BLE001
        reports.add("writer error", f"the writer failed: {type(error).__name__}: {error}")
        return False
