"""Traced graphs: all views of one graph, made in the writer thread."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from multiboard.graph import summary_values
from multiboard.graph.graph_events import MOST_DESCRIBED, Picture
from multiboard.graph.ir import Graph
from multiboard.graph.views import VIEWS, View, connected, view
from multiboard.kinds import graph as graphs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from multiboard.values import Summary, Value

FLOPS: Final = "flops"
SUMMARY: Final = "summary"
_FOLDED: Final = {
    "layer": "Layers",
    "api": "Calls of functions",
    "op": "Operations",
    SUMMARY: "The layers of the graph",
    FLOPS: "Layers; the compute time of a node is its FLOPs: 1 μs stands for 1 FLOP",
}


def tags(tag: str | None) -> dict[str, str]:
    """Return the tags that a traced graph becomes, with their kind."""
    own = {} if tag else {graphs.OWN_TAG: "graph"}
    shown = {_tag_of(name, tag): "graph" for name in (*VIEWS, FLOPS)}
    return own | shown | {summary_values.text_tag(tag): "text", summary_values.data_tag(tag): "tensor"}


def _tag_of(name: str, tag: str | None) -> str:
    return f"{tag}/{name}" if tag else name


def is_traced(graph: object) -> bool:
    """Tell whether something is a traced graph."""
    return isinstance(graph, Graph)


class TracedGraph(NamedTuple):
    """A traced graph on its way to the file.

    Attributes:
        graph: as it was recorded.
        tag: what the tags of its views begin with; None for the run's own graph, which is also its Default.
        wall_time: of the call that logged it.
        description: of all its tags, before what is said of each.
    """

    graph: Graph
    tag: str | None
    wall_time: float
    description: str

    def expand(self) -> Iterable[Value]:
        """Return the events of all views; the layer view first, which is what opens.

        Raises:
            Exception: what one of them caused, after all others.
        """
        return self._replace(graph=connected(self.graph)).values()

    def values(self) -> Iterator[Value]:
        """Return the same for a graph without loose ends."""
        failed: list[Exception] = []
        parts: list[Callable[[], Iterable[Value]]] = [*(partial(self._view, name) for name in VIEWS), self._summary]
        for part in parts:
            try:
                yield from part()
            except Exception as error:  # noqa: BLE001  # a view that cannot be made does not cost the others
                failed.append(error)
        if failed:
            raise failed[0]

    def _view(self, name: View) -> list[Value]:
        picture = Picture(view(self.graph, name))
        times = picture.times()
        values: list[Value] = [self._named(name, picture, times)]
        if name == "layer":
            if self.tag is None:
                values.insert(0, graphs.default(picture.graph_def, self.wall_time))
            if flops := picture.flops():
                values.append(self._named(FLOPS, picture, flops))
        return values

    def _summary(self) -> Iterator[Value]:
        return summary_values.summary_values(self.graph, self.wall_time, self.tag, "\n\n".join(self._said(SUMMARY)))

    def _named(self, name: str, picture: Picture, costs: list[float]) -> Summary:
        said = "\n\n".join(self._said(name, brief=picture.brief))
        return graphs.of_run_metadata(
            _tag_of(name, self.tag), picture.run_metadata(costs), self.wall_time, said, timed=bool(costs)
        )

    def _said(self, name: str, *, brief: bool = False) -> Iterator[str]:
        if self.description:
            yield self.description
        step = "" if self.graph.step is None else f", the path taken at step {self.graph.step}"
        yield f"{_FOLDED[name]}{step}."
        if brief:
            yield f"These are more than {MOST_DESCRIBED} nodes: only their shapes and what is counted are kept."
        yield from self.graph.notes
