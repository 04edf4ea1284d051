"""Where the layers of a recorded graph stand, also those that were not called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard.graph.ir import FORWARD, layer_path, modules, pass_of

if TYPE_CHECKING:
    from multiboard.graph.ir import Scope
    from multiboard.graph.recorder import Recorder


class LayerScopes:
    """The scopes of layers by canonical path, each one at its first call in the forward pass.

    Args:
        recorder: what was recorded; makes frames of layers that were not called.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._known: dict[str, Scope] = {}
        for scope in dict.fromkeys(node.scope for node in recorder.nodes):
            if pass_of(scope) == FORWARD:
                self._learn(scope)

    def of(self, path: str) -> Scope:
        """Return the scope of a layer; one that was not called stands below the innermost one around it that was."""
        if path not in self._known:
            outer, _, name = path.rpartition("/")
            around = modules(self.of(outer)) if path else ()
            self._known[path] = (*around, self._recorder.frame("module", name)) if path else ()
        return self._known[path]

    def _learn(self, scope: Scope) -> None:
        for depth, frame in enumerate(scope, 1):
            if frame.kind == "module":
                self._known.setdefault(layer_path(scope[:depth]), scope[:depth])
