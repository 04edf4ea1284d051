"""Locks in the face of a fork: whatever another thread of the parent holds at that moment stays locked in the child for ever.

So our own locks are free in a child. What takes locks of the interpreter for a moment (a stream, a module that is being imported)
lets forks wait until it is over. A child that needs such locks itself waits for them in a thread of its own, and not for long:
other threads of the program may have held them.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE: Final = 1.0
"""Seconds that a fork waits for other threads, and a child for locks that may never be free."""
_IMPORTED_BY: Final = os.getpid()
_locks: Final[weakref.WeakSet[ForkableLock]] = weakref.WeakSet()
_stuck: Final[list[threading.Thread]] = []


class ForkableLock:
    """A lock that is free in a forked child, whoever held it in the parent.

    Attributes:
        current: the lock of this process; a thread may take it several times.
    """

    def __init__(self) -> None:
        self.renew()
        _locks.add(self)

    def renew(self) -> None:
        """Begin again with a free lock."""
        self.current = threading.RLock()


_unforked: Final = ForkableLock()


@contextlib.contextmanager
def unforked() -> Iterator[None]:
    """Let other threads neither fork nor enter such a block before this one is over, for `PATIENCE` seconds at most."""
    lock = _unforked.current
    held = lock.acquire(timeout=PATIENCE)
    try:
        yield
    finally:
        if held:
            lock.release()


def without_hanging(action: Callable[[], None]) -> None:
    """Do what may wait for a lock of the interpreter; a forked child stops waiting for it after `PATIENCE` seconds.

    Once it has done so in vain, nothing more is done for as long as that lasts.
    """
    if os.getpid() == _IMPORTED_BY:
        action()
    elif not any(thread.is_alive() for thread in _stuck):
        thread = threading.Thread(target=action, name="multiboard-forked", daemon=True)
        with contextlib.suppress(RuntimeError):  # at the end of the interpreter no thread can be started
            thread.start()
            thread.join(PATIENCE)
        if thread.is_alive():
            _stuck.append(thread)


def _wait_for_others() -> None:
    _unforked.current.acquire(timeout=PATIENCE)


def _go_on() -> None:
    with contextlib.suppress(RuntimeError):  # another thread has kept the lock all the time
        _unforked.current.release()


def _begin_child() -> None:
    for lock in tuple(_locks):
        lock.renew()


os.register_at_fork(before=_wait_for_others, after_in_parent=_go_on, after_in_child=_begin_child)
