"""How operations are called in tables: `<layer>/<operation>:<operation>`, with the layer paths of tags, in every framework.

XProf takes what stands behind the colon for the type of an operation. Those of the backward pass stand below `backward/`, those
of the optimizer below `optimizer/`, and those of the outermost module and of no module at all have no layer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BACKWARD: Final = "backward"
OPTIMIZER: Final = "optimizer"
MULTIBOARD: Final = "multiboard"
"""What is computed only to be measured, e.g. copies of layers."""

_CAMEL: Final = re.compile(r"[A-Z_]\w*", re.ASCII)
_NO_WORD: Final = re.compile(r"[^a-z0-9]+")
_NUMBER: Final = re.compile(r"_\d+$")
_KERAS: Final = frozenset({
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lamb", "lion", "loss_scale_optimizer", "muon",
    "nadam", "rmsprop", "sgd", "SGD",
})  # fmt: skip
"""Scopes of optimizers, for profiles that nobody describes."""


def op_type(name: str) -> str:
    """Return the name of an operation as XProf accepts it for a type.

    >>> op_type("scatter-add"), op_type("aten::conv2d"), op_type("ReluGrad"), op_type("1d")
    ('scatter_add', 'aten_conv2d', 'ReluGrad', 'op_1d')
    """
    if _CAMEL.fullmatch(name):
        return name
    word = _NO_WORD.sub("_", name.lower()).strip("_") or "op"
    return word if word[0].isalpha() else f"op_{word}"


def full_name(layer: str, operation: str, *, backward: bool = False) -> str:
    """Return what an operation is called.

    Args:
        layer: its canonical path, or another scope; '' for none.
        operation: its type in the framework.
        backward: it belongs to the backward pass.

    >>> full_name("blocks/0/attn", "dot_general", backward=True)
    'backward/blocks/0/attn/dot_general:dot_general'
    """
    kind = op_type(operation)
    return "/".join(part for part in (BACKWARD if backward else "", layer, f"{kind}:{kind}") if part)


def split_name(name: str) -> tuple[str, str]:
    """Return the layer, with 'backward/' before it, and the operation of a name in a table.

    >>> split_name("backward/fc1/mm:mm"), split_name("add:add"), split_name("StatefulPartitionedCall/x:AddV2")
    (('backward/fc1', 'mm'), ('', 'add'), ('StatefulPartitionedCall', 'AddV2'))
    """
    path, _, kind = name.rpartition(":")
    layer, _, last = (path or name).rpartition("/")
    return layer, kind or last


class LayerPaths:
    """Where the scopes of a framework are in a model.

    Args:
        facts: `layers` are canonical paths, or canonical paths by native scope ('' is the model itself, 'optimizer' an
            optimizer); `roots` are scopes that no path begins with; `optimizers` are scopes of optimizers.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        layers = facts.get("layers") or ()
        self._layers = dict(layers) if isinstance(layers, Mapping) else dict(_with_outer(layers))
        self._roots = frozenset(facts.get("roots") or ())
        self._optimizers = frozenset(facts.get("optimizers") or ())
        self._first = {path.split("/")[0] for path in self._layers}

    def locate(self, parts: Sequence[str]) -> str | None:
        """Return the canonical path of the deepest layer that scopes lie in, wherever it begins; None if they are in none."""
        best: tuple[int, str] | None = None
        for begin in range(len(parts)):
            for end in range(len(parts), begin, -1):
                native = "/".join(parts[begin:end])
                if native in self._layers:
                    if best is None or end - begin >= best[0]:
                        best = end - begin, self._layers[native]
                    break
        return None if best is None else best[1]

    def is_root(self, part: str) -> bool:
        """Return whether a scope is that of an outermost module, by what is known, or by how classes are spelled."""
        if part in self._first:
            return False
        if self._roots:
            return part in self._roots
        return not self._layers and part[:1].isupper() and not _NUMBER.search(part)

    def is_optimizer(self, part: str) -> bool:
        """Return whether a scope is that of an optimizer."""
        return part in self._optimizers or (not self._optimizers and _NUMBER.sub("", part) in _KERAS and part not in self._first)


def _with_outer(layers: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield layers, and the containers that they are in, by their own paths."""
    for path in layers:
        parts = path.split("/")
        yield from (("/".join(parts[:depth]),) * 2 for depth in range(1, len(parts) + 1))
