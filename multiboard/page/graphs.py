"""The layers of two models in one list, and what tells them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiboard.compare.layer_table import logged_summary
from multiboard.graph import text
from multiboard.graph.differences import diff

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from multiboard.graph.differences import Diff, DiffRow
    from multiboard.graph.summary import Summary, SummaryRow
    from multiboard.page.parts import Board, Part

_HOLDER = "the other model has none of it, and need not: it only holds other layers"


def graph(board: Board, run: str) -> Part:
    """Return the layers of the baseline and of another run.

    Raises:
        ArgumentError: it is no other run.
    """
    summaries = logged_summary(board.baseline), logged_summary(board.run(run, other=True))
    lone = [name for name, summary in zip((board.names[0], run), summaries, strict=True) if summary is None]
    ours, theirs = summaries
    if ours is None or theirs is None:
        return {"missing": f"No graph was logged by {' and '.join(lone)}."}
    found = diff(ours, theirs)
    rows = list(_Merge(ours, theirs, found).rows())
    return {"a": board.names[0], "b": run, "rows": rows, "summary": _sentence(rows, found), "notes": list(found.notes)}


def _sentence(rows: Sequence[Mapping[str, Any]], found: Diff) -> str:
    counts = {status: sum(row["status"] == status for row in rows) for status in ("same", "changed", "only_a", "only_b")}
    if not found:
        return f"{counts['same']} layers, no differences{' but of names' if found.names else ''}."
    told = [
        f"{counts[status]} {what}"
        for status, what in (("changed", "differ"), ("only_a", "only in the baseline"), ("only_b", "only in the other run"))
        if counts[status]
    ]
    return f"{len(rows)} layers: {', '.join(told)}."


class _Merge:
    """The rows of two summaries in one order, that of the first; what only the second has stands before what follows it there."""

    def __init__(self, a: Summary, b: Summary, found: Diff) -> None:
        self._a, self._b = _named(a.rows), _named(b.rows)
        self._of = dict(found.pairs)
        self._back = {theirs: ours for ours, theirs in found.pairs}
        self._told: dict[str, list[DiffRow]] = {}
        for row in (*found.rows, *found.names):
            self._told.setdefault(row.layer, []).append(row)
        self._missed = _missed(self._a, found, "only in a"), _missed(self._b, found, "only in b")

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield all rows."""
        waiting = list(self._b)
        for name, row in self._a.items():
            partner = self._of.get(name)
            if partner is not None and partner in waiting:
                at = waiting.index(partner)
                yield from (self._alone(other) for other in waiting[:at] if other not in self._back)
                waiting = [other for other in waiting[:at] if other in self._back] + waiting[at + 1 :]
            yield self._both(name, row, partner)
        yield from (self._alone(other) for other in waiting if other not in self._back)

    def _both(self, name: str, row: SummaryRow, partner: str | None) -> dict[str, Any]:
        if partner is None:
            missed = name in self._missed[0]
            return _row("only_a" if missed else "same", row, None, self._what(name) if missed else [_HOLDER])
        told = [one for one in self._told.get(name, ()) if not one.what.startswith("only")]
        changed = any(one.what not in {"name", "container"} for one in told)
        return _row("changed" if changed else "same", row, self._b[partner], [_what(one) for one in told])

    def _alone(self, name: str) -> dict[str, Any]:
        missed = name in self._missed[1]
        return _row("only_b" if missed else "same", None, self._b[name], self._what(name) if missed else [_HOLDER])

    def _what(self, name: str) -> list[str]:
        return [one.a or one.b for one in self._told.get(name, ()) if one.what.startswith("only")]


def _named(rows: Sequence[SummaryRow]) -> dict[str, SummaryRow]:
    """Return rows as the differences of graphs name them; of those with one name the first."""
    found: dict[str, SummaryRow] = {}
    for row in rows:
        found.setdefault(row.path or row.model or "(no layer)", row)
    return found


def _missed(rows: Mapping[str, SummaryRow], found: Diff, what: str) -> set[str]:
    """Return the layers that only one model has, with all below them."""
    missed: set[str] = set()
    depth: int | None = None
    heads = {row.layer for row in found.rows if row.what == what}
    for name, row in rows.items():
        if depth is not None and row.depth <= depth:
            depth = None
        if depth is None and name in heads:
            depth = row.depth
        if depth is not None:
            missed.add(name)
    return missed - {name for pair in found.pairs for name in pair}


def _what(row: DiffRow) -> str:
    return f"{row.what}: {row.a or '-'} | {row.b or '-'}"


def _row(status: str, a: SummaryRow | None, b: SummaryRow | None, what: list[str]) -> dict[str, Any]:
    depths = [row.depth for row in (a, b) if row]
    return {"status": status, "depth": depths[0], "a": a and _layer(a), "b": b and _layer(b), "what": what}


def _layer(row: SummaryRow) -> dict[str, Any]:
    return {
        "path": row.path or row.model or "(no layer)",
        "cls": row.cls,
        "op": row.op,
        "shape": " ".join(text.shape(spec.shape) for spec in row.outputs),
        "params": row.params,
    }
