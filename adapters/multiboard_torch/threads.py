"""Keeps the writer thread on one core: more intra-op threads make its small kernels slower and take cores from the training."""

from __future__ import annotations

import threading
from typing import Final

import torch

from multiboard.forks import ForkableLock

_CHANGING: Final = ForkableLock()
_local: Final = threading.local()


def use_one_thread() -> None:
    """Limit PyTorch's CPU kernels in the calling thread to one intra-op thread, for good; no effect in the main thread.

    `torch.set_num_threads` also sets the number for every thread that has run no parallel kernel so far, possibly the main one.
    So a short-lived thread sets the old number again: the limit stays with the caller, the default is what it was.
    """
    if getattr(_local, "limited", False) or threading.current_thread() is threading.main_thread():
        return
    with _CHANGING.current:
        before = torch.get_num_threads()  # also makes this thread take over the default now, and not after the change
        torch.set_num_threads(1)
        restore = threading.Thread(target=torch.set_num_threads, args=(before,), name="multiboard-threads")
        try:
            restore.start()
        except RuntimeError:  # the interpreter is shutting down and starts no more threads
            torch.set_num_threads(before)
        else:
            restore.join()
    _local.limited = True
