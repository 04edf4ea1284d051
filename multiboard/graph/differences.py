"""What tells two models apart, layer by layer."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from multiboard.graph import text
from multiboard.graph.canonical import COMPOSITES, LAYERS, LISTS
from multiboard.graph.ir import Graph
from multiboard.graph.partners import partners, words_of
from multiboard.graph.summary import Summary, summarize

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from multiboard.graph.ir import TensorSpec
    from multiboard.graph.summary import SummaryRow

What: TypeAlias = Literal[
    "only in a", "only in b", "class", "calls", "shape", "dtype", "parameters", "buffers", "operations", "name", "container"
]
_NAMES: Final = frozenset({"name", "container"})
_CHANNELS: Final = 3
"""Rank from which on a tensor may have its channels first or last."""


class DiffRow(NamedTuple):
    """One difference.

    Attributes:
        layer: canonical path, that of the first graph if both have the layer.
        what: differs.
        a: in the first graph.
        b: in the second graph.
    """

    layer: str
    what: What
    a: str
    b: str


class Diff(NamedTuple):
    """The differences of two graphs, in the order of the first one; false if there are none but of names.

    Attributes:
        rows: what two ports of one model must not differ in: layers that only one has, and what those that both have do. A layer
            that only one has stands for all below it.
        names: layers that both have under other names, and the classes of containers, which people name as they like.
        pairs: the paths of the layers that were compared with each other.
        notes: what was not compared.
    """

    rows: tuple[DiffRow, ...]
    names: tuple[DiffRow, ...]
    pairs: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows)

    def __str__(self) -> str:
        none = "no differences but of names" if self.names else "no differences"
        named = ["called otherwise:", *map(_line, self.names)] if self.names else []
        return "\n".join([*(map(_line, self.rows) if self.rows else [none]), *named, *self.notes])

    def markdown(self) -> str:
        """Return the differences as markdown tables."""
        heading = ["Layer", "What", "a", "b"]
        none = "No differences but of names." if self.names else "No differences."
        named = ["Called otherwise:", text.table(heading, self.names)] if self.names else []
        return "\n\n".join([text.table(heading, self.rows) if self.rows else none, *named, *self.notes])


def diff(a: Graph | Summary, b: Graph | Summary) -> Diff:
    """Return what tells the forward passes of two models apart.

    Layers of the same canonical path belong together; of the others those of the same class inside of the same container, in the
    order of execution. A size that is not known equals any. Native operations are compared if both graphs are written in the same
    ones; where they are not, a layer without parameters may be a function of the other model, and is not missed there. A built-in
    layer that is made of others, e.g. of attention, is compared as a whole with whatever stands in its place.

    Args:
        a: a graph as it was recorded, or its summary.
        b: the same of another model.
    """
    ours, theirs = (summarize(one) if isinstance(one, Graph) else one for one in (a, b))
    terms = _Terms(_dialect(ours.rows) == _dialect(theirs.rows), ours.framework != theirs.framework)
    whole = _composites(ours.rows) | _composites(theirs.rows)
    left, right = _Side(ours.rows, whole), _Side(theirs.rows, whole)
    of = partners(left.rows, right.rows)
    taken = set(of.values())
    missed, added = left.lone(of, "only in a", terms), right.lone(taken, "only in b", terms)
    rows: list[DiffRow] = []
    for at, row in enumerate(left.rows):
        if at in of:
            rows += _differences(row, right.rows[of[at]], left.holding[at] or right.holding[of[at]], terms)
        elif at in missed:
            rows.append(missed[at])
    rows += added.values()
    pairs = tuple((_name(left.rows[at]), _name(right.rows[found])) for at, found in sorted(of.items()))
    names = tuple(row for row in rows if row.what in _NAMES)
    return Diff(tuple(row for row in rows if row.what not in _NAMES), names, pairs, tuple(terms.notes()))


def _line(row: DiffRow) -> str:
    return f"{row.layer}: {row.what} {row.a or '-'} | {row.b or '-'}"


def _composites(rows: Sequence[SummaryRow]) -> set[tuple[str, ...]]:
    """Return where layers of the frameworks stand that are made of layers, but are one to people."""
    return {words_of(row.path) for row in rows if row.depth and row.cls in COMPOSITES}


class _Side:
    """The layers of one of two models.

    Attributes:
        rows: of its summary; what lies below the layers of `whole` is added to them.
        holding: whether each holds other layers.
    """

    def __init__(self, rows: Sequence[SummaryRow], whole: Container[tuple[str, ...]]) -> None:
        self.rows: list[SummaryRow] = []
        self.holding: list[bool] = []
        ends = _ends(rows)
        at = 0
        while at < len(rows):
            row, end = rows[at], ends[at]
            self.holding.append(end > at + 1)
            if row.depth and words_of(row.path) in whole:
                ops = sum((Counter(one.ops) for one in rows[at:end]), Counter())
                row, at = row._replace(own_params=row.params, own_buffers=row.buffers, ops=ops), end - 1
            self.rows.append(row)
            at += 1

    def lone(self, taken: Container[int], where: Literal["only in a", "only in b"], terms: _Terms) -> dict[int, DiffRow]:
        """Return the layers that have no partner, by number; nothing for what lies in one that is returned."""
        ends = _ends(self.rows)
        found: dict[int, DiffRow] = {}
        at = 0
        while at < len(self.rows):
            alone = not any(one in taken for one in range(at, ends[at]))
            inside = [one for one in self.rows[at : ends[at] if alone else at + 1] if terms.misses(one)]
            if at not in taken and inside:
                told = self._told(at, len(inside), alone)
                found[at] = DiffRow(_name(self.rows[at]), where, *((told, "") if where == "only in a" else ("", told)))
            at = ends[at] if alone else at + 1
        return found

    def _told(self, at: int, count: int, alone: bool) -> str:
        row = self.rows[at]
        params = row.params if alone else row.own_params
        held = f" in {count} layers" if count > 1 else ""
        return f"{row.cls} {_shapes(row.outputs)}, {text.integer(params)} parameters{held}".strip()


def _ends(rows: Sequence[SummaryRow]) -> list[int]:
    """Return for each row the number of the first one behind those below it."""
    ends = [len(rows)] * len(rows)
    above: list[int] = []
    for at, row in enumerate(rows):
        while above and rows[above[-1]].depth >= row.depth:
            ends[above.pop()] = at
        above.append(at)
    return ends


class _Terms(NamedTuple):
    """What is compared.

    Attributes:
        operations: whether the graphs are written in the same native operations.
        layouts: whether channels may be first in one and last in the other.
    """

    operations: bool
    layouts: bool

    def misses(self, row: SummaryRow) -> bool:
        """Tell whether a layer without a partner is missed: what only holds others is not, they are, each by itself."""
        return bool(row.weights or row.own_params or (row.ops and self.operations))

    def notes(self) -> Iterator[str]:
        if not self.operations:
            yield "Operations, and layers without parameters on one side, were not compared: the two name them in different ways."
        if self.layouts:
            yield "A shape with its channels first equals the same one with its channels last."


def _name(row: SummaryRow) -> str:
    return row.path or row.model or "(no layer)"


def _differences(a: SummaryRow, b: SummaryRow, holding: bool, terms: _Terms) -> Iterator[DiffRow]:
    name = _name(a)
    if words_of(a.path) != words_of(b.path):
        yield DiffRow(name, "name", a.path, b.path)
    if a.op != b.op and not (holding and {a.cls, b.cls} <= LISTS):
        known = a.op in LAYERS and b.op in LAYERS
        yield DiffRow(name, "class" if known or not holding else "container", a.cls, b.cls)
    numbers: tuple[tuple[What, int, int], ...] = (
        ("calls", a.calls, b.calls),
        ("parameters", a.own_params, b.own_params),
        ("buffers", a.own_buffers, b.own_buffers),
    )
    for what, one, other in numbers:
        if one != other:
            yield DiffRow(name, what, text.integer(one), text.integer(other))
    yield from _tensors(name, a, b, terms)
    if terms.operations and a.ops != b.ops:
        ours, theirs = Counter(a.ops), Counter(b.ops)
        yield DiffRow(name, "operations", _ops(ours - theirs), _ops(theirs - ours))


def _tensors(name: str, a: SummaryRow, b: SummaryRow, terms: _Terms) -> Iterator[DiffRow]:
    """Yield differences of the outputs, and of the dtypes of parameters that both have."""
    both = list(zip(a.outputs, b.outputs, strict=False))
    if len(a.outputs) != len(b.outputs) or not all(_equal(x.shape, y.shape, terms) for x, y in both):
        yield DiffRow(name, "shape", _shapes(a.outputs), _shapes(b.outputs))
    ours, theirs = ({weight.role: weight.dtype for weight in row.weights} for row in (a, b))
    weights = [(role, ours[role], theirs[role]) for role in ours if role in theirs]
    for role, x, y in chain((("", x.dtype, y.dtype) for x, y in both), weights):
        if x and y and x != y:
            yield DiffRow(name, "dtype", f"{role} {x}".strip(), f"{role} {y}".strip())


def _equal(a: tuple[int | None, ...] | None, b: tuple[int | None, ...] | None, terms: _Terms) -> bool:
    if a is None or b is None or _fits(a, b):
        return True
    return terms.layouts and len(a) >= _CHANNELS and (_fits(_last(a), b) or _fits(a, _last(b)))


def _fits(a: tuple[int | None, ...], b: tuple[int | None, ...]) -> bool:
    return len(a) == len(b) and all(x == y or x is None or y is None for x, y in zip(a, b, strict=True))


def _last(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Return a shape with its channels last instead of first."""
    return shape[:1] + shape[2:] + shape[1:2]


def _shapes(specs: tuple[TensorSpec, ...]) -> str:
    return " ".join(text.shape(spec.shape) for spec in specs) or "no output"


def _ops(counts: Counter[str]) -> str:
    return ", ".join(f"{op} {text.TIMES}{count}" if count > 1 else op for op, count in counts.items())


def _dialect(rows: Sequence[SummaryRow]) -> str:
    """Return how most operations are written: 'aten::mm' by PyTorch, 'MatMul' by TensorFlow, 'dot_general' by JAX."""
    ways = Counter("::" if "::" in op else "A" if op[:1].isupper() else "a" for row in rows for op in row.ops)
    return ways.most_common(1)[0][0] if ways else ""
