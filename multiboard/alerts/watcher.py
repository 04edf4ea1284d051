"""Shows what a run writes to the rules, and tells what they find."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

from multiboard.alerts.alert import markdown
from multiboard.alerts.dead_units import DeadUnits
from multiboard.alerts.exploding_gradients import ExplodingGradients
from multiboard.alerts.loss_spike import LossSpike
from multiboard.alerts.nonfinite import Nonfinite
from multiboard.alerts.options import check_alerts
from multiboard.alerts.stalled_input import StalledInput
from multiboard.errors import cause_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from multiboard.alerts.alert import Alert
    from multiboard.alerts.options import Alerts
    from multiboard.alerts.rule import Rule
    from multiboard.buckets import Statistics
    from multiboard.run import Run

_PATIENCE: Final = 10.0
"""Seconds that the end of a run waits for its last values, to look at them while it still takes alerts."""
_TAG_SETS: Final = 1000
"""Sets of tags of which it is known which rules look at them."""


def watch(run: Run, alerts: bool | Alerts = True) -> None:
    """Look for what is wrong in a run from now on, until it is closed.

    Args:
        run: an open one; its child runs are not looked at.
        alerts: True is all rules, see `Alerts`.

    Raises:
        ArgumentError: `alerts` is something else.
        ClosedRunError: the run is closed.
    """
    watcher = Watcher(run, check_alerts(alerts))
    run.observe(watcher)
    run.before_close(watcher.finish)


class Watcher:
    """An observer of one run.

    Args:
        run: to look at.
        options: which rules.
    """

    def __init__(self, run: Run, options: Alerts) -> None:
        self._run = weakref.ref(run)  # the writer thread holds this, and a run that is forgotten must be let go
        self._on_alert = options.on_alert
        self._stalled = StalledInput(options.cooldown) if options.stalled_input else None
        rules: dict[str, Rule | None] = {
            "nonfinite": Nonfinite(options.losses, options.cooldown, self._layer_order) if options.nonfinite else None,
            "loss_spike": LossSpike(options.losses, options.cooldown) if options.loss_spike else None,
            "stalled_input": self._stalled,
            "exploding_gradients": ExplodingGradients(options.cooldown) if options.exploding_gradients else None,
            "dead_units": DeadUnits(options.cooldown) if options.dead_units else None,
        }
        self._rules = [rule for rule in rules.values() if rule is not None]
        self._routes: dict[tuple[str, ...], list[tuple[Rule, tuple[str, ...]]]] = {}
        self._noted: dict[str, int] = {}

    def saw_scalars(self, numbers: Mapping[str, float], step: int, wall_time: float) -> None:  # noqa: ARG002  # of the protocol
        """Show the numbers of one call to the rules that want them."""
        key = tuple(numbers)
        routes = self._routes.get(key)
        for rule, tags in self._find_routes(key) if routes is None else routes:
            self._tell(rule, rule.saw_scalars(numbers, tags, step))
        if self._stalled is not None:
            self._stalled.pace.saw(step)

    def saw_histogram(self, tag: str, statistics: Statistics, step: int, wall_time: float) -> None:  # noqa: ARG002  # of the protocol
        """Show a distribution to the rules."""
        for rule in self._rules:
            self._tell(rule, rule.saw_histogram(tag, statistics, step))

    def tick(self) -> None:
        """Look at the clock."""
        if self._stalled is not None:
            self._tell(self._stalled, self._stalled.tick())

    def close(self) -> None:
        """Do nothing: what is found in the last values was told by `finish`."""

    def finish(self) -> None:
        """Look at all that was logged, while the run still takes the alerts."""
        run = self._run()
        if run is not None:
            run.flush(_PATIENCE)

    def _find_routes(self, tags: tuple[str, ...]) -> list[tuple[Rule, tuple[str, ...]]]:
        if len(self._routes) >= _TAG_SETS:
            self._routes.clear()
        wanted = [(rule, tuple(filter(rule.wants, tags))) for rule in self._rules]
        self._routes[tags] = [(rule, wants) for rule, wants in wanted if wants]
        return self._routes[tags]

    def _layer_order(self) -> Mapping[str, int]:
        run = self._run()
        table = None if run is None else run.layers
        layers = () if table is None else table.layers
        return {layer.path: layer.order for layer in layers if layer.order is not None}

    def _tell(self, rule: Rule, found: Iterable[Alert]) -> None:
        for alert in found:
            run = self._run()
            if run is not None:
                if not run.closed:
                    run.note(f"alerts/{rule.name}", markdown(alert, rule.advice), self._free_step(alert))
                run.report(f"alert {rule.name} {alert.tag}".strip(), f"{rule.advice.title}: {alert.message}")
            self._call(alert)

    def _free_step(self, alert: Alert) -> int:
        """Return the step of an alert's text, behind the last one of the rule: the data server keeps one text of a step."""
        step = max(alert.step, self._noted.get(alert.rule, alert.step - 1) + 1)
        self._noted[alert.rule] = step
        return step

    def _call(self, alert: Alert) -> None:
        try:
            if self._on_alert is not None:
                self._on_alert(alert)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # it is the user's, and would end the writer thread
            run = self._run()
            if run is not None:
                run.report(cause_of(error, "on_alert"), f"on_alert raised {type(error).__name__}: {error}")
