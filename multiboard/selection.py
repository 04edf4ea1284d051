"""Which layers are meant: by patterns on their paths, or by a function; the same in every adapter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

from multiboard.errors import ArgumentError, did_you_mean

Pattern: TypeAlias = "str | re.Pattern[str]"
Chosen: TypeAlias = "Pattern | Iterable[Pattern] | Callable[[str, Any], bool]"
"""What a user may pass: patterns like 'encoder.*', compiled regular expressions, or a function of name and layer."""

_LISTED: Final = 8
"""Names that are given as examples: enough to see how they are spelled."""


class Selection:
    """Tells which layers are meant.

    Args:
        name: of the argument.
        chosen: what the user passed. A pattern with `*`, `?` or `[...]` is matched against the whole path, with dots or with
            slashes; a regular expression is searched in it. A function is called with the path, with dots, and the layer.

    Raises:
        ArgumentError: it is none of the possible things.
    """

    def __init__(self, name: str, chosen: Chosen) -> None:
        self._name, self._chosen = name, chosen
        self._function: Callable[[str, Any], bool] | None = None
        self._patterns: list[Pattern] = []
        if isinstance(chosen, (str, re.Pattern)):
            self._patterns = [chosen]
        elif callable(chosen):
            self._function = chosen
        elif isinstance(chosen, Iterable):
            self._patterns = list(chosen)
        if self._function is None and not (self._patterns and all(isinstance(p, (str, re.Pattern)) for p in self._patterns)):
            raise ArgumentError(name, chosen, "pass patterns such as ['encoder.*'], or a function of a layer's name and module")

    def has(self, path: str, layer: Any) -> bool:
        """Tell whether a layer or parameter is meant, by its path with slashes and the layer itself."""
        if self._function is not None:
            return bool(self._function(_dotted(path), layer))
        return any(_matches(pattern, path) for pattern in self._patterns)

    def check_found(self, found: Iterable[object], paths: Iterable[str]) -> None:
        """Raise ArgumentError if nothing was found among the paths."""
        if not any(True for _ in found):
            known = [_dotted(path) for path in paths]
            hints = "".join(_hint(pattern, known) for pattern in self._patterns)
            remedy = f"no layer of the model is meant by it; {_there_are(known)}{hints}"
            raise ArgumentError(self._name, self._chosen, remedy)

    def missing(self, meant: Iterable[str], paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield a cause and a message for each pattern that means nothing.

        Args:
            meant: the paths of the layers that were found to be meant.
            paths: those of all layers that were called.
        """
        meant, known = list(meant), [_dotted(path) for path in paths]
        there = _there_are(known) if known else "no layer was called in the step."
        if self._function is not None and not meant:
            yield f"{self._name} function", f"no layer of the model is meant by the function in {self._name}; {there}"
        for pattern in self._patterns:
            if not any(_matches(pattern, path) for path in meant):
                message = f"no layer of the model is meant by {pattern!r} in {self._name}; {there}{_hint(pattern, known)}"
                yield f"{self._name} {pattern}", message


def _matches(pattern: Pattern, path: str) -> bool:
    spellings = _dotted(path), path
    return any(fnmatchcase(s, pattern) if isinstance(pattern, str) else pattern.search(s) is not None for s in spellings)


def _dotted(path: str) -> str:
    return path.replace("/", ".")


def _there_are(known: list[str]) -> str:
    return f"there are {', '.join(known[:_LISTED])}{', ...' if len(known) > _LISTED else ''}."


def _hint(pattern: Pattern, known: list[str]) -> str:
    return did_you_mean(pattern, known) if isinstance(pattern, str) else ""
