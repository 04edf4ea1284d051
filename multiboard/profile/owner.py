"""One window at a time in a process: frameworks have one profiler each, and a second one would end the first or see nothing."""

from __future__ import annotations

import os
from typing import NamedTuple

from multiboard.forks import ForkableLock


class _Claim(NamedTuple):
    process: int
    owner: object
    name: str


_lock = ForkableLock()
_claims: list[_Claim] = []


def claim(owner: object, name: str) -> str | None:
    """Become the one that profiles this process.

    Args:
        owner: whoever asks; a forked child owns nothing.
        name: what others are told.

    Returns:
        None, or the name of the one that profiles already.
    """
    with _lock.current:
        for held in _claims:
            if held.process == os.getpid() and held.owner is not owner:
                return held.name
        _claims[:] = [_Claim(os.getpid(), owner, name)]
        return None


def release(owner: object) -> None:
    """Let others profile; nothing if `owner` does not."""
    with _lock.current:
        _claims[:] = [held for held in _claims if held.owner is not owner]
