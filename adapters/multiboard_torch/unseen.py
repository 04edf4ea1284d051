"""Work of this package that no graph of a model shows, such as the captures of a watch."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType


class _Unseen(threading.local):
    """A block of this thread, also inside of itself.

    Attributes:
        depth: how many blocks are around what runs now.
    """

    depth = 0

    def __enter__(self) -> Self:
        self.depth += 1
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.depth -= 1


UNSEEN: Final = _Unseen()
