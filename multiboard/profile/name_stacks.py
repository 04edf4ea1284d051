"""The names that JAX gives to operations of XLA, such as `jit(step)/transpose(jvp(CNN))/fc1/dot_general`.

Each part is a scope (a module of linen, a `jax.named_scope`) or a transformation around what follows it. The last one is the
primitive.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRAPPER: Final = re.compile(r"([A-Za-z_]\w*)\(")
_SCOPE: Final = re.compile(r"[\w.#-]+")
_FUNCTIONS: Final = frozenset({"jit", "pjit", "xla_call"})
"""Transformations that hold the name of a function."""
_CONSTRUCTS: Final = re.compile(
    r"while|cond|shard_map|checkpoint|remat2?|rematted_computation|closed_call|core_call|custom_jvp_call|"
    r"custom_vjp_call(_jaxpr)?|branch_\d+_fun|pjit"
)


class NameStack(NamedTuple):
    """A name of an operation, taken apart.

    Attributes:
        scopes: around it, without transformations, names of functions and constructs such as loops.
        primitive: its last part; '' if that is a function.
        backward: it is in the backward pass.
    """

    scopes: tuple[str, ...]
    primitive: str
    backward: bool


def parse(op_name: str) -> NameStack:
    """Take the name of an operation apart.

    >>> parse("jit(step)/transpose(jvp(CNN))/fc1/jit(relu)/dot_general")
    NameStack(scopes=('CNN', 'fc1'), primitive='dot_general', backward=True)
    >>> parse("jit(step)/jvp(blocks/0)/attn/...qhd,...khd->...hqk/while/body/closed_call/add").scopes
    ('blocks', '0', 'attn')
    """
    parts, open_wrappers, backward = [], list[str](), False
    position, start, silent = 0, 0, 0
    name = op_name.partition(";")[0]
    while position <= len(name):
        sign = name[position : position + 1]
        wrapper = _WRAPPER.match(name, position) if position == start else None
        if wrapper:
            open_wrappers.append(wrapper[1])
            silent += wrapper[1] in _FUNCTIONS
            backward = backward or wrapper[1] == "transpose"
            position = start = wrapper.end()
            continue
        if sign in {"", "/", ")"}:
            if not silent:
                parts.append(name[start:position])
            if sign == ")" and open_wrappers:
                silent -= open_wrappers.pop() in _FUNCTIONS
            start = position + 1
        position += 1
    plain = bool(name) and not name.endswith((")", "/"))
    primitive = parts.pop() if plain and parts else ""
    return NameStack(tuple(_scopes(parts)), primitive, backward)


def _scopes(parts: list[str]) -> Iterator[str]:
    before = ""
    for part in parts:
        is_body = before == "while" and part in {"body", "cond"}
        if _SCOPE.fullmatch(part) and not _CONSTRUCTS.fullmatch(part) and not is_body:
            yield part
        before = part or before  # nothing is between the brackets of `transpose(jvp(while))/body`
