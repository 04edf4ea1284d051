"""Things with a structure: texts, tables, meshes, layouts, embeddings and graphs."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from multiboard.errors import MultiboardError, ValueKindError, cause_of
from multiboard.protocols import is_pending
from multiboard.surface.base import Surface
from multiboard.values import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from multiboard.graph.ir import Graph
    from multiboard.protocols import Pending
    from multiboard.values import Foreign, Value


class StructuresSurface(Surface):
    """Methods of `Run` for structures."""

    def text(
        self, tag: str, text: str | Pending[str], step: int, *, description: str = "", wall_time: float | None = None
    ) -> None:
        """Log a markdown text.

        Args:
            tag: e.g. 'run/notes'.
            text: markdown; HTML in it is escaped by TensorBoard. A `Pending` one is made in the writer thread.
            step: as in `log`.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """
        self._log_value(tag, "text", step, wall_time, lambda n, now: _take_text(tag, text, n, now, description))

    def note(self, tag: str, text: str | Pending[str], step: int) -> None:
        """Write a markdown text that goes along with the run, e.g. an alert: never dropped, and it raises nothing.

        For the writer thread, too. It is no part of the loop: mistakes of calls in the first step still raise after it.

        Args:
            tag: as in `text`, and the same kind.
            text: as in `text`.
            step: an integer.
        """
        try:
            self._intake.check_open()
            self._intake.claim(tag, "text")
        except MultiboardError as error:
            self.report(cause_of(error, "note"), str(error))
        else:
            self._lane.put_once(_take_text(tag, text, step, time(), ""))

    def table(
        self,
        tag: str,
        rows: Any,
        step: int,
        *,
        columns: Sequence[str] | None = None,
        description: str = "",
        wall_time: float | None = None,
    ) -> None:
        """Log a table as a markdown text.

        Args:
            tag: as in `text`, and the same kind.
            rows: a list of dicts, a list of rows, a dict of columns, or a data frame of pandas or polars. Cells are read at once
                and written as `str(cell)`; one on a device is waited for.
            step: as in `log`.
            columns: which columns, in order; for a list of rows their names. None takes all.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """
        from multiboard.kinds.table import markdown

        self._log_value(tag, "text", step, wall_time, lambda n, now: Text(tag, markdown(tag, rows, columns), n, now, description))

    def mesh(
        self,
        tag: str,
        vertices: Foreign,
        step: int,
        *,
        faces: Foreign | None = None,
        colors: Foreign | None = None,
        config: Mapping[str, Any] | None = None,
        description: str = "",
        wall_time: float | None = None,
    ) -> None:
        """Log a mesh or a point cloud, or a batch of one size. A tag keeps its sizes: TensorBoard describes them once.

        Args:
            tag: e.g. 'torch/scan'; the Mesh tab shows no run names, so put one into the tag.
            vertices: `[V, 3]` or `[B, V, 3]`.
            step: as in `log`.
            faces: vertex numbers `[F, 3]` or `[B, F, 3]`; None for a point cloud.
            colors: RGB by vertex, uint8 or float 0 to 1, in the shape of the vertices.
            config: of the 3-D view (three.js), e.g. {'material': {'cls': 'PointsMaterial', 'size': 0.1}}.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """
        from multiboard.kinds import mesh

        given = {"VERTEX": vertices, "FACE": faces, "COLOR": colors}
        tags = {mesh.part_tag(tag, name): "mesh" for name, part in given.items() if part is not None}
        self._log_value(
            tag,
            "mesh",
            step,
            wall_time,
            lambda n, now: mesh.take(tag, vertices, faces, colors, config, n, now, description),
            also=tags,
        )

    def layout(self, layout: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
        """Arrange scalars of this run in the Custom Scalars tab, once.

        Args:
            layout: charts by category and title. A chart is `['Multiline', [tag patterns]]`, which draws all matching tags, or
                `['Margin', [value, lower, upper]]`, which draws a band around a tag.

        Example:
            >>> import tempfile, multiboard as mb
            >>> with mb.Run(tempfile.mkdtemp()) as run:
            ...     run.layout({"losses": {"both": ["Multiline", ["train/loss", "val/loss"]]}})
        """
        from multiboard.kinds import layout as layouts

        self._log_without_step(layouts.TAG, "layout", True, lambda now: layouts.take(layout, now))

    def embedding(
        self,
        tag: str,
        vectors: Foreign,
        *,
        labels: Sequence[Any] | None = None,
        columns: Sequence[str] | None = None,
        sprite: Foreign | None = None,
        step: int | None = None,
    ) -> None:
        """Log vectors for the Projector tab; all tags and steps of a run can be chosen there.

        Args:
            tag: e.g. 'tokens'.
            vectors: `[N, D]`, float.
            labels: one for each vector, or one row for each vector.
            columns: names of the cells of such rows.
            sprite: one picture for each vector, `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]`, as in `image`; together at
                most 8192 pixels a side.
            step: as in `log`; None for an embedding without steps. The same tag and step again replaces the older one.
        """
        from multiboard.kinds import embedding

        def build(number: int | None) -> embedding.Embedding:
            return embedding.take(tag, vectors, labels, columns, sprite, self.log_dir, number, self.report)

        if step is None:
            self._log_without_step(tag, "embedding", False, lambda _: build(None))
        else:
            self._log_value(tag, "embedding", step, None, lambda number, _: build(number))

    def graph(self, graph: Graph | bytes, *, tag: str | None = None, description: str = "") -> None:
        """Show a finished graph in the Graphs tab.

        Args:
            graph: a traced graph, e.g. of `multiboard.torch.graph`, or a serialised GraphDef. A traced one is shown by 'layer',
                'api' and 'op', as tags of these names, by its 'flops', and as a table of layers, the text 'graph/summary'; they
                are made in the writer thread.
            tag: None for the run's own graph, of which there is one; a name for each further graph, with which the tags of a
                traced one begin.
            description: kept with a named graph.
        """
        from multiboard.kinds import graph as graphs
        from multiboard.kinds import traced

        if not isinstance(graph, bytes) and traced.is_traced(graph):
            first, *others = traced.tags(tag).items()
            self._log_without_step(*first, True, lambda now: traced.TracedGraph(graph, tag, now, description), also=dict(others))
        elif tag is None:
            self._log_without_step("Default", "graph", True, lambda now: graphs.default(graphs.check_graph("graph", graph), now))
        else:
            self._log_without_step(
                tag, "graph", True, lambda now: graphs.named(tag, graphs.check_graph(tag, graph), now, description)
            )

    def conceptual_graph(self, model_json: str, *, tag: str = "keras", description: str = "") -> None:
        """Show the layers of a Keras model in the Graphs tab, as its "Conceptual graph".

        Args:
            model_json: of a Functional or Sequential model, as `model.to_json()` returns it. TensorBoard draws no graph of models
                with dicts of outputs, constants among the arguments of an operation, or a Functional model in a Sequential one;
                `multiboard.keras.TensorBoard` writes those so that it can.
            tag: of the graph, of which there is one in a run; not that of another graph.
            description: kept with the graph.
        """
        from multiboard.kinds import graph

        self._log_without_step(
            tag, "graph", True, lambda now: graph.conceptual(tag, graph.check_model(tag, model_json), now, description)
        )


def _take_text(tag: str, text: object, step: int, wall_time: float, description: str) -> Value:
    if isinstance(text, str):
        return Text(tag, text, step, wall_time, description)
    if is_pending(text):
        from multiboard.kinds.later_text import LaterText

        return LaterText(tag, text, step, wall_time, description)
    raise ValueKindError(tag, text, "a text is a string; format the value first, e.g. str(value).")
