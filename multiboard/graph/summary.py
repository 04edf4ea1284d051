"""What a graph holds and costs, layer by layer: the same rows from every framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.table import Table

    from multiboard.graph.ir import Graph, TensorSpec


class WeightRow(NamedTuple):
    """A parameter or buffer of a layer.

    Attributes:
        role: canonical, e.g. 'kernel'.
        path: canonical layer path and role, as in tags.
        native: its name in the framework.
        shape: in the layout of the framework.
        dtype: by its name in NumPy.
        trainable: whether it counts as parameter.
        tied: whether another layer used it first and counts it.
    """

    role: str
    path: str
    native: str
    shape: tuple[int | None, ...] | None
    dtype: str
    trainable: bool
    tied: bool


class SummaryRow(NamedTuple):
    """One layer or container; its numbers include what lies below it.

    Attributes:
        path: canonical layer path; '' for a model, and for what was called outside of one.
        model: name of the outermost module; '' for what was called outside of one.
        cls: native class.
        op: canonical class, the same in all frameworks.
        depth: 0 for a model.
        calls: in the forward pass; 0 for a layer of which only parameters are known.
        outputs: of the first call, what others use of it.
        params: trainable elements; a tied parameter counts where it was used first.
        buffers: elements of running means and other state that is not trained; counters are not in it.
        bytes: of both.
        flops: of the forward pass, 2 * multiply-adds of matrix products and convolutions.
        backward_flops: the same of the backward pass.
        mem: bytes that operations of the forward pass newly allocated.
        us: time of the forward pass, microseconds; 0 if it was not measured.
        backward_us: the same of the backward pass.
        own_params: without the layers below.
        own_buffers: without the layers below.
        own_flops: without the layers below.
        weights: its own.
        ops: its own native operations of the forward pass, how often each.
    """

    path: str
    model: str
    cls: str
    op: str
    depth: int
    calls: int
    outputs: tuple[TensorSpec, ...]
    params: int
    buffers: int
    bytes: int
    flops: int
    backward_flops: int
    mem: int
    us: float
    backward_us: float
    own_params: int
    own_buffers: int
    own_flops: int
    weights: tuple[WeightRow, ...]
    ops: Mapping[str, int]


class Totals(NamedTuple):
    """Sums over a graph, in the units of `SummaryRow`.

    Attributes:
        state: elements that belong to no layer and are not trained, e.g. those of the optimizer; not in `buffers`.
        state_bytes: of these; not in `bytes`.
    """

    params: int
    buffers: int
    bytes: int
    flops: int
    backward_flops: int
    optimizer_flops: int
    mem: int
    us: float
    backward_us: float
    optimizer_us: float
    state: int
    state_bytes: int


class Summary(NamedTuple):
    """The layers of a graph as a table.

    Attributes:
        framework: of the graph.
        step: of the graph.
        notes: of the graph.
        rows: every layer behind the one that holds it, in the order of the first use.
        totals: of everything, with what is outside of layers.
    """

    framework: str
    step: int | None
    notes: tuple[str, ...]
    rows: tuple[SummaryRow, ...]
    totals: Totals

    def markdown(self, *, most: int = 200) -> str:
        """Return the table as markdown.

        Args:
            most: rows; the deepest layers are left out first, and that is said.
        """
        from multiboard.graph.summary_text import markdown

        return markdown(self, most)

    def table(self) -> Table:
        """Return a table for `rich.print`.

        Raises:
            MissingFrameworkError: rich is not installed.
        """
        from multiboard.graph.summary_text import table

        return table(self)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return everything as JSON.

        Args:
            path: of a file that gets it, too.
        """
        from multiboard.graph.summary_json import dump

        return dump(self, path)

    @classmethod
    def from_json(cls, text: str) -> Summary:
        """Return the summary of which `to_json` made a text."""
        from multiboard.graph.summary_json import load

        return load(text)


def summarize(graph: Graph) -> Summary:
    """Return the layers of a graph as a table.

    Args:
        graph: as it was recorded; a view has fewer layers.
    """
    from multiboard.graph.tally import Tally

    tally = Tally(graph)
    return Summary(graph.framework, graph.step, graph.notes, tuple(tally.rows()), tally.totals())
