"""The layers of a run as one table: path, class, call order, parameters; from what its event files hold."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.graph.summary import Summary, SummaryRow
    from multiboard.reader import Column, RunData

_TENSORS: Final = (tags.PARAMS, tags.GRADS, tags.UPDATES, tags.BUFFERS)
_DESCRIBED: Final = re.compile(r"`([^`]*)`(?: of ([^,`]+))?")
"""What `tags.description` makes."""


class Role(NamedTuple):
    """A parameter or buffer of a layer.

    Attributes:
        name: kernel, bias, scale, mean, var, embedding, or what the framework calls it.
        tag: without the group, e.g. 'block0/attn/q/kernel'.
        native: its name in the framework; '' if it is not known.
        shape: in the layout of the framework; None if it is not known.
        size: elements; None if it is not known.
    """

    name: str
    tag: str
    native: str
    shape: tuple[int, ...] | None
    size: int | None = None


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
    """Return the layers of a run, in the order of their first calls if a graph was logged, otherwise as they were listed.

    Args:
        run: with histograms or norms of layers, or with a graph; nothing of these is needed for all layers.
    """
    draft = _Draft()
    for tag, column in run.histograms.items():
        draft.add_histogram(tag, column)
    for tag in run.scalars:
        draft.add_scalar(tag)
    summary = logged_summary(run)
    if summary:
        draft.add_summary(summary)
    return draft.layers()


def logged_summary(run: RunData) -> Summary | None:
    """Return the summary of the run's own graph; None if no graph was logged or its text is not understood."""
    from multiboard.errors import ArgumentError
    from multiboard.graph.summary import Summary
    from multiboard.graph.summary_values import data_tag

    column = run.tensors.get(data_tag()) or run.texts.get(data_tag())
    if column is None or not len(column):
        return None
    try:
        return Summary.from_json(_text(column.value[-1]))
    except (ArgumentError, UnicodeDecodeError):
        return None


def _text(value: Any) -> str:
    """Return the text of a string tensor without dimensions."""
    while hasattr(value, "item"):
        value = value.item()
    return value.decode() if isinstance(value, bytes) else str(value)


class _Draft:
    """Layers that grow as more is read of them."""

    def __init__(self) -> None:
        self._roles: dict[str, dict[str, Role]] = {}
        self._classes: dict[str, str] = {}
        self._order: dict[str, int] = {}

    def add_histogram(self, tag: str, column: Column) -> None:
        """Take what the histogram of a tensor says of its layer."""
        group, _, path = tag.partition("/")
        native, cls = _described(column.description)
        if group == tags.ACTIVATIONS and path:
            self._layer(path, cls)
        elif group in _TENSORS and path:
            counts = [float(rows[:, 2].sum()) for rows in column.value if len(rows)]
            self._role(path, native, cls, round(max(counts, default=0)) or None)

    def add_scalar(self, tag: str) -> None:
        """Take what the tag of a norm says of a layer."""
        head, _, rest = tag.partition("/")
        if head != "norm":
            return
        group, _, path = rest.partition("/")
        if group == tags.ACTIVATIONS and path:
            self._layer(path, "")
        elif group in _TENSORS and path:
            self._role(path, "", "", None)

    def add_summary(self, summary: Summary) -> None:
        """Take what the graph says: classes, shapes, and which layer is called first."""
        for number, row in enumerate(row for row in summary.rows if row.depth and row.path):
            self._layer(row.path, row.cls)
            if row.calls:
                self._order.setdefault(row.path, number)
            self._add_weights(row)

    def _add_weights(self, row: SummaryRow) -> None:
        for weight in row.weights:
            shape = None if weight.shape is None or None in weight.shape else tuple(size or 0 for size in weight.shape)
            layer, _, name = weight.path.rpartition("/")
            known = self._roles.setdefault(layer, {}).get(weight.path)
            size = math.prod(shape) if shape is not None else known.size if known else None
            native = weight.native or (known.native if known else "")
            self._roles[layer][weight.path] = Role(known.name if known else name, weight.path, native, shape, size)

    def _layer(self, path: str, cls: str) -> dict[str, Role]:
        if cls:
            self._classes.setdefault(path, cls)
        return self._roles.setdefault(path, {})

    def _role(self, path: str, native: str, cls: str, size: int | None) -> None:
        layer, _, name = path.rpartition("/")
        roles = self._layer(layer, cls)
        known = roles.get(path)
        if known is None:
            roles[path] = Role(name, path, native, None, size)
        else:
            roles[path] = known._replace(native=known.native or native, size=known.size or size)

    def layers(self) -> list[Layer]:
        """Return the layers; those that were never seen called stand where they were listed."""
        found = list(self._made())
        return sorted(found, key=lambda layer: layer.order or 0) if all(one.order is not None for one in found) else found

    def _made(self) -> Iterator[Layer]:
        for path, roles in self._roles.items():
            sizes = [role.size for role in roles.values() if role.name not in {"mean", "var"}]
            params = None if None in sizes else sum(size or 0 for size in sizes)
            yield Layer(path, self._classes.get(path, ""), self._order.get(path), tuple(roles.values()), params)


def _described(description: str) -> tuple[str, str]:
    """Return the native name and the class of a layer that the description of a tag tells, '' for what it does not.

    >>> _described("`block0.ln1.weight` of LayerNorm, after clipping")
    ('block0.ln1.weight', 'LayerNorm')
    """
    match = _DESCRIBED.match(description)
    return (match[1], match[2] or "") if match else ("", "")
