"""The summary of a graph as what a run writes: a text for people, JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multiboard import wire

# Not in the writer thread: named tuples that are made there after Ctrl-C let Python forget that it ends by a signal.
from multiboard.graph import summary_json, summary_text, tally  # noqa: F401
from multiboard.graph.summary import summarize
from multiboard.values import Summary, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.graph.ir import Graph
    from multiboard.values import Value

_PLUGIN: Final = "multiboard"
_VERSION: Final = b"\x01"
_OWN: Final = "graph"
"""What the tags of the run's own graph begin with."""


def text_tag(tag: str | None = None) -> str:
    """Return the tag of the table of a graph; None stands for the run's own graph."""
    return f"{tag or _OWN}/summary"


def data_tag(tag: str | None = None) -> str:
    """Return the tag of the JSON of a graph; None stands for the run's own graph."""
    return f"multiboard/{_OWN}/{tag}" if tag else f"multiboard/{_OWN}"


def summary_values(graph: Graph, wall_time: float, tag: str | None = None, description: str = "") -> Iterator[Value]:
    """Return the table of a graph as markdown text and as own data.

    Args:
        graph: as it was recorded.
        wall_time: seconds since the epoch.
        tag: of a further graph; None for the run's own one.
        description: markdown, shown with the table.
    """
    summary = summarize(graph)
    step = graph.step or 0
    yield Text(text_tag(tag), summary.markdown(), step, wall_time, description)
    content = wire.strings(summary.to_json().encode(), rank=0)
    yield Summary(data_tag(tag), _PLUGIN, wire.TENSOR, content, step, wall_time, _VERSION, description)
