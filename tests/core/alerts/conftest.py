"""Runs that remember their alerts."""

import warnings

import pytest

import multiboard as mb
from multiboard.alerts import Alerts
from multiboard.errors import MultiboardWarning


@pytest.fixture
def alerts_of(log_dir):
    """A function that does `actions(run)` in a run with alerts and returns those that it gave."""

    def collect(actions, *, durable=False, **options):
        found = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MultiboardWarning)
            with mb.Run(log_dir, durable=durable, alerts=Alerts(on_alert=found.append, **options)) as run:
                actions(run)
        return found

    return collect
