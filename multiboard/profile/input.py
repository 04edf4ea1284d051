"""The batches of a loader, with the waits for them marked while a window is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from multiboard.profile.profiler import Profiler


class Input:
    """A loader as it is, but for the marks; can be iterated as often as it.

    Args:
        loader: any iterable; its length and its attributes are those of this object.
        profiler: that has the windows.

    Raises:
        ArgumentError: it cannot be iterated.
    """

    def __init__(self, loader: Iterable[Any], profiler: Profiler) -> None:
        if not hasattr(loader, "__iter__") and not hasattr(loader, "__getitem__"):
            raise ArgumentError("loader", loader, "pass an iterable of batches, e.g. a data loader")
        self._loader, self._profiler = loader, profiler

    def __iter__(self) -> Iterator[Any]:
        return _batches(self._loader, self._profiler)

    def __len__(self) -> int:
        loader: Any = self._loader
        return len(loader)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_loader" not in vars(self):  # being copied or unpickled
            raise AttributeError(name)
        return getattr(self._loader, name)


def _batches(loader: Iterable[Any], profiler: Profiler) -> Iterator[Any]:
    with profiler.waiting():
        batches = iter(loader)
    while True:
        try:
            with profiler.waiting():
                batch = next(batches)
        except StopIteration:
            profiler.ran_out()
            return
        yield batch
