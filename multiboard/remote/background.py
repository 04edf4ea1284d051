"""Work for several threads that nobody has to wait for at the end of the process."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_Given = TypeVar("_Given")
_Found = TypeVar("_Found")


def in_threads(call: Callable[[_Given], _Found], given: Iterable[_Given], number: int) -> list[Future[_Found]]:
    """Call a function with each of some values, a few at the same time and in their order; return the futures in that order.

    The threads of `concurrent.futures` are waited for when the process ends, and one of these may wait for a server that is gone.

    Args:
        call: in one of the threads.
        given: its arguments.
        number: of threads, at most.
    """
    waiting: SimpleQueue[tuple[Future[_Found], _Given]] = SimpleQueue()
    futures = []
    for one in given:
        futures.append(Future[_Found]())
        waiting.put((futures[-1], one))

    def work() -> None:
        while True:
            try:
                future, one = waiting.get_nowait()
            except Empty:
                return
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call(one))
                except BaseException as error:  # noqa: BLE001  # for who asks for the result
                    future.set_exception(error)

    for _ in range(min(number, len(futures))):
        threading.Thread(target=work, name="multiboard-transfer", daemon=True).start()
    return futures
