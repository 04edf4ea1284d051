"""Frames of a graph: one for each part of the way to an equation, the same one for all equations of one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from multiboard.graph.ir import BACKWARD

if TYPE_CHECKING:
    from collections.abc import Hashable

    from multiboard.graph.ir import Frame, Scope
    from multiboard.graph.recorder import Recorder
    from multiboard_jax.tracing.parts import Part


class Frames:
    """Makes frames of parts.

    Args:
        recorder: gives them their numbers.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._known: dict[Hashable, Frame] = {}
        self._last: dict[bool, tuple[tuple[Part, ...], Scope]] = {}

    def scope(self, parts: tuple[Part, ...], *, backward: bool) -> Scope:
        """Return the scope of the next equation.

        A function, and a module that is not marked, is another call when the way leads through it anew; everything else is known
        by its key. What is not marked is known by its name in the backward pass, which has no order of calls.
        """
        before, above = self._last.get(backward, ((), ()))
        if before == parts and (parts or above):
            return above
        start: Scope = (self._frame((backward, None), "region", BACKWARD),) if backward else ()
        found = list(start)
        shared = True
        for i, part in enumerate(parts):
            shared = shared and before[i : i + 1] == (part,)
            if shared:
                found.append(above[i + len(start)])
            elif part.again and _is_last_of_calls(parts, i, backward=backward):
                found.append(self._recorder.frame(part.kind, part.name, part.cls))
            else:
                parent = found[-1].uid if found else 0
                found.append(self._frame((backward, parent, part.kind, part.name, part.key), part.kind, part.name, part.cls))
        scope = tuple(found)
        self._last[backward] = parts, scope
        return scope

    def _frame(self, key: Hashable, kind: Literal["module", "call", "region"], name: str, cls: str = "") -> Frame:
        if key not in self._known:
            self._known[key] = self._recorder.frame(kind, name, cls)
        return self._known[key]


def _is_last_of_calls(parts: tuple[Part, ...], i: int, *, backward: bool) -> bool:
    """Return whether a part may be left and entered again as another call: not if there are marked modules below it."""
    if parts[i].kind == "module":
        return not backward and all(part.again for part in parts[i:])
    return all(part.kind == "call" for part in parts[i:])
