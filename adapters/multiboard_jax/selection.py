"""Which layers are meant: by patterns on their paths, or by a function."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from multiboard.errors import ArgumentError, did_you_mean

Pattern: TypeAlias = "str | re.Pattern[str]"
Chosen: TypeAlias = "Pattern | Iterable[Pattern] | Callable[[str, Any], bool]"
"""What a user may pass: patterns like 'encoder.*', compiled regular expressions, or a function of name and layer."""


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
        self._name = name
        self._function: Callable[[str, Any], bool] | None = None
        self._patterns: Sequence[Pattern] = ()
        if isinstance(chosen, (str, re.Pattern)):
            self._patterns = [chosen]
        elif callable(chosen):
            self._function = chosen
        elif isinstance(chosen, Iterable):
            self._patterns = list(chosen)
        if self._function is None and not (self._patterns and all(isinstance(p, (str, re.Pattern)) for p in self._patterns)):
            raise ArgumentError(name, chosen, "pass patterns such as ['encoder.*'], or a function of a layer's name and module")

    def has(self, path: str, layer: Any) -> bool:
        """Tell whether a layer is meant, by its path with slashes and the object itself."""
        if self._function is not None:
            return bool(self._function(path.replace("/", "."), layer))
        return any(_matches(pattern, path) for pattern in self._patterns)

    def missing(self, meant: Iterable[str], known: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield a cause and a message for each pattern that means nothing.

        Args:
            meant: the paths of the layers that were found to be meant.
            known: the paths of all layers that were called.
        """
        meant, known = list(meant), [path.replace("/", ".") for path in known]
        listed = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")  # noqa: PLR2004  # enough to see how they are spelled
        there = f"there are {listed}." if known else "no layer of Flax was called in the step."
        if self._function is not None and not meant:
            yield f"{self._name} function", f"no layer of the model is meant by the function in {self._name}; {there}"
        for pattern in self._patterns:
            if not any(_matches(pattern, path) for path in meant):
                hint = did_you_mean(pattern, known) if isinstance(pattern, str) else ""
                yield f"{self._name} {pattern}", f"no layer of the model is meant by {pattern!r} in {self._name}; {there}{hint}"


def _matches(pattern: Pattern, path: str) -> bool:
    return any(
        fnmatchcase(spelling, pattern) if isinstance(pattern, str) else pattern.search(spelling) is not None
        for spelling in (path.replace("/", "."), path)
    )
