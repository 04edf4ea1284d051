"""Which alerts a run gives, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from multiboard.alerts.alert import Alert

RULES: Final = ("nonfinite", "loss_spike", "stalled_input", "exploding_gradients", "dead_units")


@dataclass(frozen=True, slots=True)
class Alerts:
    """Which rules look at a run: `mb.Run(..., alerts=True)` is all of them, `alerts=mb.Alerts(...)` chooses.

    Every alert is a text `alerts/<rule>` at its step (at the next one, if the rule has a text there), one warning per rule and
    tag, and a call of `on_alert`. Child runs are not looked at.

    Args:
        nonfinite: a loss or a metric becomes NaN or infinite, or parameters, gradients or activations do.
        loss_spike: a loss jumps far above what it was and how it scattered.
        stalled_input: the loop begins to wait for data for more than half of its time, or no new step comes.
        exploding_gradients: the norm of the gradients rises by orders of magnitude.
        dead_units: what a layer returns is nearly always 0, or its gradient is exactly 0 while others are not.
        losses: patterns of the tags that are losses, as in a shell: '*' stands for anything, also for '/'.
        on_alert: called with each `Alert` in the writer thread, or with `durable=True` in the thread that logs; what it raises
            is reported and stops nothing. It may log into the run. To end a training, let it set a flag that the loop looks at.
        cooldown: steps for which a rule is silent after an alert.

    Raises:
        ArgumentError: an argument is not one of the possible ones.

    Example:
        >>> found = []
        >>> import tempfile, warnings, multiboard as mb
        >>> with warnings.catch_warnings(action="ignore"), mb.Run(
        ...     tempfile.mkdtemp(), alerts=Alerts(on_alert=found.append)
        ... ) as run:
        ...     for step, loss in enumerate([1.0, 0.5, float("nan")]):
        ...         run.log({"train/loss": loss}, step)
        >>> found[0].rule, found[0].step, found[0].tag
        ('nonfinite', 2, 'train/loss')
    """

    nonfinite: bool = True
    loss_spike: bool = True
    stalled_input: bool = True
    exploding_gradients: bool = True
    dead_units: bool = True
    losses: Sequence[str] = ("*loss*",)
    on_alert: Callable[[Alert], object] | None = None
    cooldown: int = 100

    def __post_init__(self) -> None:
        for name in RULES:
            if not isinstance(getattr(self, name), bool):
                raise ArgumentError(name, getattr(self, name), "pass True or False")
        patterns = (self.losses,) if isinstance(self.losses, str) else self.losses
        if not isinstance(patterns, (tuple, list)) or not all(isinstance(pattern, str) for pattern in patterns):
            raise ArgumentError("losses", self.losses, "pass patterns of tags, e.g. ('*loss*', 'train/nll')")
        object.__setattr__(self, "losses", tuple(patterns))
        if self.on_alert is not None and not callable(self.on_alert):
            raise ArgumentError("on_alert", self.on_alert, "pass a function that takes an Alert, or None")
        if isinstance(self.cooldown, bool) or not isinstance(self.cooldown, int) or self.cooldown < 0:
            raise ArgumentError("cooldown", self.cooldown, "pass a number of steps, an integer of at least 0")


def check_alerts(alerts: object) -> Alerts:
    """Return the argument `alerts` of a run, which is not False, as options.

    Raises:
        ArgumentError: it is something else.
    """
    if alerts is True:
        return Alerts()
    if not isinstance(alerts, Alerts):
        raise ArgumentError("alerts", alerts, "pass True, False, or mb.Alerts(...)")
    return alerts
