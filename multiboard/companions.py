"""What goes along with a run if it is asked for: system metrics, alerts, console, environment, a mirror.

Each is a part of its own that is imported here only, when it is used; it ends with the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiboard.alerts import Alerts
    from multiboard.protocols import Observer
    from multiboard.run import Run


def accompany(
    run: Run,
    *,
    system: bool | float,
    alerts: bool | Alerts,
    console: bool,
    environment: bool | str,
    mirror: str | Observer | None,
) -> None:
    """Start what a run is to have; see `Run` for the arguments.

    Raises:
        ArgumentError: one of them is not one of the possible ones; the run is closed then.
        MissingFrameworkError: a package is missing; the run is closed then.
    """
    try:
        if environment:
            from multiboard.environment import write

            write(run, environment)
        if alerts:
            from multiboard import alerts as rules

            rules.watch(run, alerts)
        if mirror:
            from multiboard.mirrors import open_mirror

            run.observe(open_mirror(mirror, run) if isinstance(mirror, str) else mirror)
        if system:
            from multiboard import system as metrics

            metrics.watch(run, metrics.EVERY if system is True else system)
        if console:
            from multiboard import console as printed

            printed.capture(run)
    except BaseException:
        run.close(success=False)
        raise
