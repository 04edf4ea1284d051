"""Which function of the API has made an equation, read from the traceback that JAX keeps with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from multiboard_jax.tracing.parts import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import CodeType

_API: Final = {
    "jax": ("_src/nn/functions.py", "_src/numpy/", "_src/scipy/", "_src/random", "_src/image/", "_src/ops/"),
    "flax": (
        "linen/activation.py", "linen/attention.py", "linen/pooling.py", "nnx/nn/activations.py", "nnx/nn/attention.py",
    ),
    "optax": ("losses/", "_src/loss.py"),
    "keras": ("src/ops/", "src/activations/", "src/losses/"),
}  # fmt: skip
"""By package, the files with functions that people call by name."""
_OPTIMIZER: Final = {"optax": ("",), "flax": ("nnx/training/optimizer.py", "training/train_state.py")}
_MODULE_CALL: Final = {
    "flax": ("linen/module.py",),
    "multiboard_jax": ("layers.py",),
    "multiboard_keras": ("graph",),
    "keras": ("src/layers/layer.py",),
}
"""Files through which every call of a module goes: what is further out belongs to another module."""
RULE: Final = "<lambda>"
"""In place of the name of a function of the API, if all that is known is that it is the rule by which one is differentiated."""
_OPERATOR: Final = "_operator_"
_REVERSED: Final = frozenset({"radd", "rsub", "rmul", "rtruediv", "rfloordiv", "rmod", "rpow", "rmatmul"})


class Call(NamedTuple):
    """What a traceback says.

    Attributes:
        part: the function of the API that was called, None if it was none.
        optimizer: it was called by an optimizer.
    """

    part: Part | None = None
    optimizer: bool = False


class _File(NamedTuple):
    kind: str
    name: str


class Calls:
    """Reads tracebacks; remembers what it knows of each function."""

    def __init__(self) -> None:
        self._paths = {
            kind: _paths(files) for kind, files in (("module", _MODULE_CALL), ("api", _API), ("optimizer", _OPTIMIZER))
        }
        self._files: dict[CodeType, _File | None] = {}

    def of(self, codes: Sequence[CodeType], positions: Sequence[int]) -> Call:
        """Return what a traceback says.

        The outermost function that has a public name counts, and two calls are one only if they were made at the same place.

        Args:
            codes: of its frames, the innermost first.
            positions: of the instruction in each.
        """
        part, optimizer = None, False
        for i in range(len(codes) - 1, -1, -1):
            known = self._files.get(codes[i], _UNKNOWN)
            if known is _UNKNOWN:
                known = self._files[codes[i]] = self._file_of(codes[i])
            if known is None:
                continue
            if known.kind == "module":
                part, optimizer = None, False
                continue
            optimizer = optimizer or known.kind == "optimizer"
            if part is None and known.name:
                caller = (id(codes[i + 1]), positions[i + 1]) if i + 1 < len(codes) else None
                part = Part("call", known.name, key=caller, again=True)
        return Call(part, optimizer)

    def _file_of(self, code: CodeType) -> _File | None:
        path = code.co_filename.replace("\\", "/")
        kind = next((kind for kind, paths in self._paths.items() if path.startswith(paths)), "")
        return _File(kind, "" if kind == "module" else _public(code.co_qualname)) if kind else None


_UNKNOWN: Final = _File("", "")


def _paths(files: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the beginnings of the full paths of files in packages; there can only be calls of what is imported."""
    found = [(getattr(sys.modules.get(package), "__file__", None), names) for package, names in files.items()]
    return tuple(f"{Path(file).parent.as_posix()}/{name}" for file, names in found if file for name in names)


def _public(name: str) -> str:
    """Return the name of a function as people call it, '' if they do not: what is private, a method or inside another.

    A function without a name at the top of a file is how some of the API's are differentiated: see `RULE`.
    """
    if name.startswith(_OPERATOR):
        name = name.removeprefix(_OPERATOR)
        return name[1:] if name in _REVERSED else name
    return "" if name.startswith("_") or "." in name else name
