"""Names of their own for what has the same tag."""

from __future__ import annotations


class FreeNames:
    """Names in use: one that comes again gets '#1', '#2' behind it."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return a name that was not returned before: this one, or with a number behind it."""
        again = self._next.get(name, 0)
        while (free := f"{name}#{again}" if again else name) in self._next:
            again += 1
        self._next[free] = 1
        self._next[name] = again + 1
        return free
