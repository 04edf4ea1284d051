"""One line of what the doctor says."""

from __future__ import annotations

import enum
from typing import NamedTuple


class State(enum.Enum):
    """How a finding is meant."""

    GOOD = "good"
    ABSENT = "absent"
    """Not there, and nothing needs it."""
    CARE = "care"
    """It works, but not as well as it could."""
    WRONG = "wrong"
    """It does not work."""


class Finding(NamedTuple):
    """What was found.

    Attributes:
        area: packages, adapters, viewer, machine, remote or log dir.
        subject: what it is about, e.g. a package.
        state: how it is meant.
        text: what was found.
        remedy: what to do, '' if nothing.
    """

    area: str
    subject: str
    state: State
    text: str
    remedy: str = ""
