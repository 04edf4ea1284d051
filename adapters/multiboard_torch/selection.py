"""Which layers and parameters are meant: by patterns on their names, or by a function."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

from multiboard import tags
from multiboard.errors import ArgumentError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

    from multiboard_torch.layers import Named

Pattern: TypeAlias = "str | re.Pattern[str]"
Chosen: TypeAlias = "Pattern | Iterable[Pattern] | Callable[[str, nn.Module], bool]"
"""What a user may pass: patterns like 'encoder.*', compiled regular expressions, or a function of name and layer."""


class Selection:
    """Tells which names are meant.

    Args:
        name: of the argument.
        chosen: what the user passed. A pattern with `*`, `?` or `[...]` is matched against the whole name, with dots or with
            slashes; a regular expression is searched in it.

    Raises:
        ArgumentError: it is none of the possible things.
    """

    def __init__(self, name: str, chosen: Chosen) -> None:
        self._name, self._chosen = name, chosen
        self._function: Callable[[str, nn.Module], bool] | None = None
        self._patterns: list[Pattern] = []
        if isinstance(chosen, (str, re.Pattern)):
            self._patterns = [chosen]
        elif callable(chosen):
            self._function = chosen
        elif isinstance(chosen, Iterable):
            self._patterns = list(chosen)
        if self._function is None and not (self._patterns and all(isinstance(p, (str, re.Pattern)) for p in self._patterns)):
            raise ArgumentError(name, chosen, "pass patterns such as ['encoder.*'], or a function of a layer's name and module")

    def has(self, name: str, module: nn.Module) -> bool:
        """Tell whether a layer or parameter is meant.

        Args:
            name: native, possibly with the prefixes of wrappers.
            module: the layer, or that of the parameter.
        """
        path = tags.layer_path(name)
        dotted = path.replace("/", ".")
        if self._function is not None:
            return bool(self._function(dotted, module))
        return any(_matches(pattern, spelling) for pattern in self._patterns for spelling in (dotted, path))

    def among(self, named: Sequence[Named], model: nn.Module) -> list[Named]:
        """Return the parameters that are meant by their own names or by that of their layer."""
        modules = dict(model.named_modules(remove_duplicate=False))
        found = []
        for one in named:
            layer = one.native.rpartition(".")[0]
            if any(self.has(name, modules[layer]) for name in (one.native, one.path, layer) if name):
                found.append(one)
        self.check_found(found, [one.native for one in named])
        return found

    def check_found(self, found: Iterable[object], names: Iterable[str]) -> None:
        """Raise ArgumentError if nothing was found among the names."""
        if not any(True for _ in found):
            known = [tags.layer_path(name).replace("/", ".") for name in names]
            hints = "".join(did_you_mean(pattern, known) for pattern in self._patterns if isinstance(pattern, str))
            listed = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")  # noqa: PLR2004  # enough to see how they are spelled
            raise ArgumentError(self._name, self._chosen, f"no layer of the model is meant by it; there are {listed}.{hints}")


def _matches(pattern: Pattern, name: str) -> bool:
    return fnmatchcase(name, pattern) if isinstance(pattern, str) else pattern.search(name) is not None
