"""What tells two models apart, layer by layer."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from multiboard.graph import text
from multiboard.graph.canonical import COMPOSITES
from multiboard.graph.ir import Graph
from multiboard.graph.partners import partners, words_of
from multiboard.graph.summary import Summary, summarize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from multiboard.graph.ir import TensorSpec
    from multiboard.graph.summary import SummaryRow

What: TypeAlias = Literal[
    "only in a", "only in b", "name", "class", "calls", "shape", "dtype", "parameters", "buffers", "operations"
]
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
    """The differences of two graphs, in the order of the first one; false if there are none.

    Attributes:
        rows: of layers that both have, and of those that only one has.
        pairs: the paths of the layers that were compared with each other.
        notes: what was not compared.
    """

    rows: tuple[DiffRow, ...]
    pairs: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows)

    def __str__(self) -> str:
        told = [f"{row.layer}: {row.what} {row.a or '-'} | {row.b or '-'}" for row in self.rows]
        return "\n".join([*(told or ["no differences"]), *self.notes])

    def markdown(self) -> str:
        """Return the differences as a markdown table."""
        table = text.table(["Layer", "What", "a", "b"], self.rows) if self.rows else "No differences."
        return "\n\n".join([table, *self.notes])


def diff(a: Graph | Summary, b: Graph | Summary) -> Diff:
    """Return what tells the forward passes of two models apart.

    Layers of the same canonical path belong together; of the others those of the same class, in the order of execution. A size
    that is not known equals any. Native operations are compared if both graphs are written in the same ones; where they are not,
    a layer without parameters may be a function of the other model, and is not missed there.

    Args:
        a: a graph as it was recorded, or its summary.
        b: the same of another model.
    """
    ours, theirs = (summarize(one) if isinstance(one, Graph) else one for one in (a, b))
    terms = _Terms(_dialect(ours.rows) == _dialect(theirs.rows), ours.framework != theirs.framework)
    left, right = list(_folded(ours.rows)), list(_folded(theirs.rows))
    of = partners(left, right)
    rows: list[DiffRow] = []
    for at, row in enumerate(left):
        rows += _differences(row, right[of[at]], terms) if at in of else _lone(row, "only in a", terms)
    for at in sorted(set(range(len(right))) - set(of.values())):
        rows += _lone(right[at], "only in b", terms)
    pairs = tuple((_name(left[at]), _name(right[found])) for at, found in sorted(of.items()))
    return Diff(tuple(rows), pairs, tuple(terms.notes()))


def _folded(rows: Sequence[SummaryRow]) -> Iterator[SummaryRow]:
    """Yield rows; layers of the frameworks that are one layer to people are one row with all that is below it."""
    at = 0
    while at < len(rows):
        row, end = rows[at], at + 1
        if row.depth and row.cls in COMPOSITES:
            while end < len(rows) and rows[end].depth > row.depth:
                end += 1
            ops = sum((Counter(one.ops) for one in rows[at:end]), Counter())
            row = row._replace(own_params=row.params, own_buffers=row.buffers, ops=ops)
        yield row
        at = end


class _Terms(NamedTuple):
    """What is compared.

    Attributes:
        operations: whether the graphs are written in the same native operations.
        layouts: whether channels may be first in one and last in the other.
    """

    operations: bool
    layouts: bool

    def notes(self) -> Iterator[str]:
        if not self.operations:
            yield "Operations, and layers without parameters on one side, were not compared: the two name them in different ways."
        if self.layouts:
            yield "A shape with its channels first equals the same one with its channels last."


def _name(row: SummaryRow) -> str:
    return row.path or row.model or "(no layer)"


def _lone(row: SummaryRow, where: Literal["only in a", "only in b"], terms: _Terms) -> Iterator[DiffRow]:
    # What only holds other layers is not missed: they are, each by itself.
    if row.weights or row.own_params or (row.ops and terms.operations):
        told = f"{row.cls} {_shapes(row.outputs)}, {text.integer(row.own_params)} parameters".strip()
        yield DiffRow(_name(row), where, *((told, "") if where == "only in a" else ("", told)))


def _differences(a: SummaryRow, b: SummaryRow, terms: _Terms) -> Iterator[DiffRow]:
    name = _name(a)
    if words_of(a.path) != words_of(b.path):
        yield DiffRow(name, "name", a.path, b.path)
    if a.op != b.op:
        yield DiffRow(name, "class", a.cls, b.cls)
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
