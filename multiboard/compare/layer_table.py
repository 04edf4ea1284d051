"""The layers of a run as one table: path, class, call order, parameters; from what its event files hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from multiboard.graph.summary import Summary, SummaryRow
    from multiboard.layer_rows import LayerRows
    from multiboard.reader import Column, RunData

_TENSORS: Final = (tags.PARAMS, tags.GRADS, tags.UPDATES, tags.BUFFERS)


_CAPTURES: Final = 8
"""Histograms of a tensor that are counted first."""


class Role(NamedTuple):
    """A parameter or buffer of a layer.

    Attributes:
        name: kernel, bias, scale, mean, var, embedding, or what the framework calls it.
        tag: without the group, e.g. 'block0/attn/q/kernel'.
        native: its name in the framework; '' if it is not known.
        shape: in the layout of the framework; None if it is not known.
        size: elements; None if it is not known.
        canonical: the shape in the layout in which frameworks are compared; None if it is not known.
        transform: brings the tensor into that layout, see `multiboard.transforms`; '' if it is not known.
        dtype: by its name in NumPy; '' if it is not known.
    """

    name: str
    tag: str
    native: str
    shape: tuple[int, ...] | None
    size: int | None = None
    canonical: tuple[int, ...] | None = None
    transform: str = ""
    dtype: str = ""


class Layer(NamedTuple):
    """A layer, or a container of layers.

    Attributes:
        path: canonical.
        cls: native class; '' if it is not known.
        order: of its first call; None if it is not known.
        roles: its own parameters and buffers; those of the layers below it are theirs.
        params: elements of its own parameters; None if it is not known.
    """

    path: str
    cls: str
    order: int | None
    roles: tuple[Role, ...]
    params: int | None


def layer_table(run: RunData) -> list[Layer]:
    """Return the layers of a run, in the order of their first calls as far as that is known, otherwise as they were listed.

    The table that the adapter has written counts first, then a graph that was logged, then what tags and their descriptions tell.

    Args:
        run: with a layer table, histograms or norms of layers, or a graph; nothing of these is needed for all layers.
    """
    draft = _Draft()
    rows = logged_rows(run)
    if rows:
        draft.add_rows(rows)
    for tag, column in run.histograms.items():
        draft.add_histogram(tag, column)
    for tag in run.scalars:
        draft.add_scalar(tag)
    summary = logged_summary(run)
    if summary:
        draft.add_summary(summary)
    return draft.layers()


def layers_of(rows: LayerRows) -> list[Layer]:
    """Return the layers of a table that an adapter has made."""
    draft = _Draft()
    draft.add_rows(rows)
    return draft.layers()


def logged_rows(run: RunData) -> LayerRows | None:
    """Return the table that the adapter has written; None if there is none or it is not understood."""
    from multiboard.stored_layers import table_of

    column = run.tensors.get(tags.RUN_INFO)
    return table_of(column.value[-1]) if column is not None and len(column) else None


def framework_of(run: RunData) -> str:
    """Return the framework of a run, '' if it is not known: that of its layer table first, for a process may load several."""
    rows = logged_rows(run)
    return rows.framework if rows and rows.framework else str(run.facts.get("framework") or "")


def logged_summary(run: RunData) -> Summary | None:
    """Return the summary of the run's own graph; None if no graph was logged or its text is not understood."""
    from multiboard.errors import ArgumentError
    from multiboard.graph.summary import Summary
    from multiboard.graph.summary_values import data_tag
    from multiboard.stored_layers import text_of

    column = run.tensors.get(data_tag()) or run.texts.get(data_tag())
    if column is None or not len(column):
        return None
    try:
        return Summary.from_json(text_of(column.value[-1]))
    except (ArgumentError, UnicodeDecodeError):
        return None


class _Draft:
    """Layers that grow as more is read of them; what came first counts."""

    def __init__(self) -> None:
        self._roles: dict[str, dict[str, Role]] = {}
        self._classes: dict[str, str] = {}
        self._calls: list[str] = []
        self._written: dict[str, str] = {}
        self._counted: dict[str, list[Column]] = {}

    def add_rows(self, rows: LayerRows) -> None:
        """Take all that the adapter has written."""
        for layer in rows.layers:
            if layer.own:
                self._written |= {layer.own: layer.path}
            roles = self._layer(layer.path, layer.cls)
            for role in layer.roles:
                size = None if role.shape is None else math.prod(role.shape)
                known = role.shape, size, role.canonical, role.transform, role.dtype
                roles[role.tag] = Role(role.name, role.tag, role.native, *known)
        called = [(layer.order, layer.path) for layer in rows.layers if layer.order is not None]
        self._calls = [path for _, path in sorted(called)]

    def add_histogram(self, tag: str, column: Column) -> None:
        """Take what the histogram of a tensor says of its layer."""
        group, _, path = tag.partition("/")
        native, cls = tags.described(column.description)
        if group == tags.ACTIVATIONS and path:
            self._layer(path, cls)
        elif group in _TENSORS and path:
            self._role(path, native, cls)
            self._counted.setdefault(path, []).append(column)

    def add_scalar(self, tag: str) -> None:
        """Take what the tag of a norm says of a layer."""
        head, _, rest = tag.partition("/")
        if head != "norm":
            return
        group, _, path = rest.partition("/")
        if group == tags.ACTIVATIONS and path:
            self._layer(path, "")
        elif group in _TENSORS and path:
            self._role(path, "", "")

    def add_summary(self, summary: Summary) -> None:
        """Take what the graph says: classes, shapes, and which layer is called first."""
        called = []
        for row in summary.rows:
            if row.depth and row.path:
                path = self._written.get(row.path, row.path)
                self._layer(path, row.cls)
                called += [path] if row.calls else []
                self._add_weights(row)
        self._calls = _with_more(self._calls, called)

    def _add_weights(self, row: SummaryRow) -> None:
        for weight in row.weights:
            shape = None if weight.shape is None or None in weight.shape else tuple(size or 0 for size in weight.shape)
            own, _, name = weight.path.rpartition("/")
            layer = self._written.get(own, own)
            path = weight.path if layer == own else f"{layer}/{name}"
            known = self._layer(layer, "").get(path)
            if known is None or known.shape is None:
                size = math.prod(shape) if shape is not None else known.size if known else None
                native = weight.native or (known.native if known else "")
                self._roles[layer][path] = Role(known.name if known else name, path, native, shape, size)

    def _layer(self, path: str, cls: str) -> dict[str, Role]:
        if cls:
            self._classes.setdefault(path, cls)
        return self._roles.setdefault(path, {})

    def _role(self, path: str, native: str, cls: str) -> None:
        layer, _, name = path.rpartition("/")
        roles = self._layer(layer, cls)
        known = roles.get(path)
        if known is None:
            roles[path] = Role(name, path, native, None)
        else:
            roles[path] = known._replace(native=known.native or native)

    def layers(self) -> list[Layer]:
        """Return the layers; those that were never seen called stand behind what was listed before them."""
        order = {path: number for number, path in enumerate(self._calls)}
        found, place = [], -1
        for layer in self._made(order):
            place = place if layer.order is None else layer.order
            found.append((place, layer))
        return [layer for _, layer in sorted(found, key=lambda one: one[0])]

    def _made(self, order: Mapping[str, int]) -> Iterator[Layer]:
        for path, known in self._roles.items():
            roles = tuple(self._sized(role) for role in known.values())
            sizes = [role.size for role in roles if role.name not in {"mean", "var"}]
            params = None if None in sizes else sum(size or 0 for size in sizes)
            yield Layer(path, self._classes.get(path, ""), order.get(path), roles, params)

    def _sized(self, role: Role) -> Role:
        """Return a role with its size; its histograms are read only if nothing else tells it."""
        if role.size is not None:
            return role
        counted = map(_size, self._counted.get(role.tag, ()))
        return role._replace(size=next(filter(None, counted), None))


def _with_more(calls: list[str], others: list[str]) -> list[str]:
    """Return calls with those of a second list that are not in the first, each behind what it follows there."""
    known = set(calls)
    behind: dict[str, list[str]] = {}
    last = ""
    for path in others:
        if path in known:
            last = path
        else:
            behind.setdefault(last, []).append(path)
    return [*behind.get("", ()), *(one for path in calls for one in (path, *behind.get(path, ())))]


def _size(column: Column) -> int:
    """Return how many elements a tensor has; the largest count, for those that are NaN or infinite are in no histogram."""
    counts = _counts(column, max(1, len(column) // _CAPTURES))
    return round(max(counts if len(counts) == 1 else _counts(column, 1), default=0))


def _counts(column: Column, every: int) -> set[float]:
    return {float(rows[:, 2].sum()) for rows in column.value[::every] if len(rows)}
