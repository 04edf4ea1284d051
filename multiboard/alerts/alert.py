"""What an alert says, to a program and to a person."""

from __future__ import annotations

from typing import NamedTuple


class Alert(NamedTuple):
    """One thing that is wrong with a training.

    Attributes:
        rule: that found it: 'nonfinite', 'loss_spike', 'stalled_input', 'exploding_gradients' or 'dead_units'.
        step: of the value that shows it.
        tag: of the value; '' if there is none, because it is a silence.
        value: NaN and infinities among them.
        message: what is wrong, in one sentence.
    """

    rule: str
    step: int
    tag: str
    value: float
    message: str


class Advice(NamedTuple):
    """What a rule says with each of its alerts.

    Attributes:
        title: what is wrong, in two or three words.
        reasons: the usual ones, the most frequent first.
        look_at: what tells them apart.
    """

    title: str
    reasons: tuple[str, ...]
    look_at: tuple[str, ...]


def markdown(alert: Alert, advice: Advice) -> str:
    """Return the text of an alert for a dashboard."""
    where = f"- tag `{alert.tag}`: {alert.value:.6g}\n" if alert.tag else ""
    parts = [
        f"### {advice.title} at step {alert.step}",
        alert.message,
        f"{where}- step {alert.step}\n- rule `{alert.rule}`",
        "**Usual reasons**",
        _list(advice.reasons),
        "**Look at**",
        _list(advice.look_at),
    ]
    return "\n\n".join(parts)


def _list(lines: tuple[str, ...]) -> str:
    return "\n".join(f"- {line}" for line in lines)
