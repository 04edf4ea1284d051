"""What PyTorch's compiler has compiled: the layers of each graph, and the source of its program, for profiles.

A trace tells the order of the kernels in a compiled graph, and nothing of layers. Dynamo knows the module of each node that it
traces, and Inductor writes the nodes of each kernel into its source, which is the same whether it comes from a cache or not. The
names are kept when a graph is compiled; the sources are read when a window closes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard import tags
from multiboard.profile.kineto.inductor import function_source
from multiboard_torch._compat_inductor import inductor_files, listen_to_inductor, module_path

if TYPE_CHECKING:
    from torch.fx import GraphModule

_MOST: Final = 256
"""Graphs that are kept, the last ones."""
_ID: Final = re.compile(r"# AOT ID: \['(\d+)_(forward|backward|inference)'\]")
_ROOT: Final = re.compile(r"^[LG]\['[^']*'\]\.?")
_PARAMETER: Final = re.compile(r"_parameters_\w+")
_INDEX: Final = re.compile(r"\[['\"]?([^'\"\]]*)['\"]?\]")


class Graph(NamedTuple):
    """A graph that Dynamo has traced.

    Attributes:
        nodes: layers by the name of a node, from the module on whose code was compiled; '' for its own nodes.
        parameters: the same of its inputs, in order; '' for what is no parameter.
        files: that Inductor has loaded meanwhile.
    """

    nodes: dict[str, str]
    parameters: list[str]
    files: list[str]


class CompiledGraphs:
    """The graphs that were compiled since `listen`."""

    def __init__(self) -> None:
        self._graphs: list[Graph] = []
        self._open: list[tuple[Graph | None, int]] = []
        self._sources: dict[str, tuple[str, str, str]] = {}

    def listen(self) -> None:
        """Learn of what is compiled from now on; a second call does nothing."""
        listen_to_inductor(self.begins, self.ends)

    def begins(self, traced: GraphModule) -> None:
        """Keep the names of a graph. Raises nothing."""
        try:
            graph = graph_of(traced)
        except Exception:  # noqa: BLE001  # another PyTorch: there are no layers then
            graph = None
        self._open.append((graph, len(inductor_files())))

    def ends(self) -> None:
        """Keep which files were loaded for it. Raises nothing."""
        graph, count = self._open.pop() if self._open else (None, 0)
        if graph is not None:
            self._graphs.append(graph._replace(files=inductor_files()[count:]))
            del self._graphs[:-_MOST]

    def facts(self) -> list[dict[str, Any]]:
        """Return the programs as the converter takes them, see `multiboard.profile.kineto.inductor`.

        The backward pass may be compiled long behind the forward pass, and then has the number of that one. Raises nothing.
        """
        try:
            return self._programs()
        except Exception:  # noqa: BLE001  # another PyTorch: there are no layers then
            return []

    def _programs(self) -> list[dict[str, Any]]:
        late = {self._read(path)[:2]: path for path in inductor_files()}
        found = []
        for graph in self._graphs:
            own = {kind: (number, source) for number, kind, source in map(self._read, graph.files) if source}
            number, forward = own.get("forward") or own.get("inference") or ("", "")
            backward = own["backward"][1] if "backward" in own else self._read(late.get((number, "backward"), ""))[2]
            if forward:
                program = {"nodes": graph.nodes, "parameters": graph.parameters, "forward": forward, "backward": backward}
                found.append(program)
        return found

    def _read(self, path: str) -> tuple[str, str, str]:
        """Return number, pass and source of a file; '' for what is none or is gone."""
        if path not in self._sources:
            try:
                text = Path(path).read_text(encoding="utf-8") if path else ""
            except (OSError, ValueError):
                text = ""
            known = _ID.search(text)
            self._sources[path] = (known[1], known[2], function_source(text)) if known else ("", "", "")
        return self._sources[path]


def graph_of(traced: GraphModule) -> Graph:
    """Return the layers of the nodes of a traced graph."""
    nodes, parameters = dict[str, str](), list[str]()
    for node in traced.graph.nodes:
        layer = native_layer(module_path(node))
        if node.op == "placeholder":
            parameters.append(layer if _PARAMETER.search(node.name) else "")
        else:
            nodes[node.name] = layer
    return Graph(nodes, parameters if any(parameters) else [], [])


def native_layer(path: str) -> str:
    """Return the canonical path of a module from where it is in the code that was compiled.

    >>> native_layer("L['self'].h.0.fc"), native_layer("G['model']._modules['h'][0]"), native_layer("L['self']")
    ('h/0/fc', 'h/0', '')
    """
    inner = _INDEX.sub(r".\1", _ROOT.sub("", path)).replace("_modules.", "")
    return tags.layer_path(inner.strip(".")) if inner.strip(".") else ""


GRAPHS: Final = CompiledGraphs()
"""Of this process."""
