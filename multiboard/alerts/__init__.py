"""Alerts: a run says while it trains that something is wrong with it, where, and what the usual reasons are.

Each rule is a file of its own; all look at what the run writes anyway, in the writer thread.
"""

from multiboard.alerts.alert import Alert
from multiboard.alerts.options import Alerts
from multiboard.alerts.watcher import watch

__all__ = ["Alert", "Alerts", "watch"]
