"""Which tensors of two runs belong together, once it is known which layers do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from multiboard import tags
from multiboard.compare.align import LEVELS
from multiboard.compare.tolerances import TENSORS, histogram_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from multiboard.compare.align import Alignment, Pair
    from multiboard.compare.layer_table import Layer, Role
    from multiboard.reader import RunData


class Match(NamedTuple):
    """A tensor in two runs.

    Attributes:
        kind: what it is compared as.
        name: what the baseline calls it, without its group.
        other: what the other run calls it.
        layer: of the baseline.
        level: how sure it is that the layers belong together.
        order: of the layer in the forward pass.
        a: its pieces in the baseline, without the group.
        b: its pieces in the other run.
    """

    kind: str
    name: str
    other: str
    layer: str
    level: str
    order: int
    a: tuple[str, ...]
    b: tuple[str, ...]


class Sizes(NamedTuple):
    """A tensor of which two runs hold different numbers of elements."""

    name: str
    other: str
    a: int
    b: int


def contents(run: RunData) -> dict[str, tuple[str, ...]]:
    """Return the kinds that a run tells of each tensor, by its path without the group."""
    found: dict[str, dict[str, None]] = {}
    for tag in run.histograms:
        kind = histogram_kind(tag)
        found.setdefault(tag if kind == "histograms" else tag.partition("/")[2], {})[kind] = None
    for tag in run.scalars:
        head, _, rest = tag.partition("/")
        kind, _, path = rest.partition("/") if head == "norm" else (tags.UPDATES, "", rest if head == tags.UPDATE_RATIO else "")
        if path and kind in TENSORS:
            found.setdefault(path, {})[kind] = None
    return {path: tuple(kinds) for path, kinds in found.items()}


class Matches(NamedTuple):
    """The tensors of two runs that belong together, and the others.

    Attributes:
        matches: that can be compared.
        sizes: tensors that belong together, but are not of one size.
        only_a: paths that only the baseline has, among layers that both have.
        only_b: the same of the other run.
    """

    matches: tuple[Match, ...]
    sizes: tuple[Sizes, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def match_tensors(
    tables: tuple[Sequence[Layer], Sequence[Layer]],
    alignment: Alignment,
    held: tuple[Mapping[str, tuple[str, ...]], Mapping[str, tuple[str, ...]]],
) -> Matches:
    """Return the tensors of two runs that belong together.

    Args:
        tables: layers of the baseline and of the other run.
        alignment: which of them belong together.
        held: what `contents` returns of both runs.
    """
    ours, theirs = ({layer.path: layer for layer in table} for table in tables)
    order = {layer.path: number if layer.order is None else layer.order for number, layer in enumerate(tables[0])}
    draft = _Draft(held)
    for group in _groups(alignment):
        level = max((pair.level for pair in group), key=LEVELS.index)
        first = [ours[path] for path in dict.fromkeys(pair.a for pair in group) if path in ours]
        second = [theirs[path] for path in dict.fromkeys(pair.b for pair in group) if path in theirs]
        if first and second:
            draft.add(first, second, level, order[first[0].path])
    draft.add_equal_tags(len(order))
    return draft.finish(alignment)


def _groups(alignment: Alignment) -> list[list[Pair]]:
    """Return the pairs, those together that share a layer."""
    group_of: dict[tuple[str, str], list[Pair]] = {}
    groups: list[list[Pair]] = []
    for pair in alignment.pairs:
        group = group_of.get(("a", pair.a)) or group_of.get(("b", pair.b))
        if group is None:
            groups.append(group := [])
        group.append(pair)
        group_of["a", pair.a] = group_of["b", pair.b] = group
    return groups


class _Draft:
    """Matches that are being found."""

    def __init__(self, held: tuple[Mapping[str, tuple[str, ...]], Mapping[str, tuple[str, ...]]]) -> None:
        self._held = held
        self._below: dict[str, list[str]] = {}
        for path, kinds in held[0].items():
            if tags.OPTIMIZER_STATE in kinds:
                self._below.setdefault(path.rpartition("/")[0], []).append(path)
        self._matches: list[Match] = []
        self._sizes: list[Sizes] = []
        self._seen: tuple[dict[str, None], dict[str, None]] = ({}, {})

    def add(self, first: Sequence[Layer], second: Sequence[Layer], level: str, order: int) -> None:
        """Match the activations and the roles of layers that belong together."""
        if len(first) == len(second) == 1:
            self._match(first[0].path, (first[0].path,), (second[0].path,), level, order, (tags.ACTIVATIONS,))
        for ours, theirs in _roles(first, second):
            sizes = [_size(roles) for roles in (ours, theirs)]
            if None not in sizes and sizes[0] != sizes[1]:
                self._sizes.append(Sizes(ours[0].tag, theirs[0].tag, sizes[0] or 0, sizes[1] or 0))
            paths = [tuple(role.tag for role in roles) for roles in (ours, theirs)]
            self._match(
                first[0].path, paths[0], paths[1], level, order, tuple(kind for kind in TENSORS if kind != tags.ACTIVATIONS)
            )
            self._match_states(first[0].path, paths[0], paths[1], level, order)

    def add_equal_tags(self, order: int) -> None:
        """Match what no layer accounts for and both runs call the same."""
        for path in self._held[0]:
            if path in self._held[1] and path not in self._seen[0] and path not in self._seen[1]:
                self._match("", (path,), (path,), "certain", order, ("histograms", *TENSORS))

    def _match_states(self, layer: str, a: tuple[str, ...], b: tuple[str, ...], level: str, order: int) -> None:
        if len(a) == len(b) == 1:
            for path in self._below.get(a[0], ()):
                other = b[0] + path[len(a[0]) :]
                self._match(layer, (path,), (other,), level, order, (tags.OPTIMIZER_STATE,))

    def _match(self, layer: str, a: tuple[str, ...], b: tuple[str, ...], level: str, order: int, kinds: Sequence[str]) -> None:
        for kind in kinds:
            both = [all(kind in held.get(path, ()) for path in paths) for held, paths in zip(self._held, (a, b), strict=True)]
            if all(both):
                self._matches.append(Match(kind, a[0], b[0], layer, level, order, a, b))
                self._seen[0].update(dict.fromkeys(a))
                self._seen[1].update(dict.fromkeys(b))

    def finish(self, alignment: Alignment) -> Matches:
        """Return what was found."""
        apart = [tuple(role.tag for layer in layers for role in layer.roles) + tuple(layer.path for layer in layers)
                 for layers in (alignment.only_a, alignment.only_b)]  # fmt: skip
        lone = [
            tuple(path for path in held if path not in seen and path not in of_lone_layers)
            for held, seen, of_lone_layers in zip(self._held, self._seen, map(set, apart), strict=True)
        ]
        return Matches(tuple(self._matches), tuple(self._sizes), lone[0], lone[1])


def _size(roles: Sequence[Role]) -> int | None:
    sizes = [role.size for role in roles]
    return None if None in sizes else sum(size or 0 for size in sizes)


def _roles(first: Sequence[Layer], second: Sequence[Layer]) -> Iterator[tuple[tuple[Role, ...], tuple[Role, ...]]]:
    """Yield the roles that belong together: of the same name, or several against one of the size of them all."""
    if len(first) == len(second) == 1:
        yield from (((ours,), (theirs,)) for ours, theirs in pairs_of_roles(first[0], second[0]))
    elif len(first) == 1:
        for ours, pieces in _in_pieces(first[0], second):
            yield (ours,), pieces
    elif len(second) == 1:
        for theirs_whole, pieces in _in_pieces(second[0], first):
            yield pieces, (theirs_whole,)


def pairs_of_roles(first: Layer, second: Layer) -> Iterator[tuple[Role, Role]]:
    """Yield the parameters of two layers that belong together: those of the same name."""
    theirs = {role.name: role for role in second.roles}
    yield from ((role, theirs[role.name]) for role in first.roles if role.name in theirs)


def _in_pieces(whole: Layer, parts: Sequence[Layer]) -> Iterator[tuple[Role, tuple[Role, ...]]]:
    for name in dict.fromkeys(role.name for role in parts[0].roles):
        pieces = tuple(role for part in parts for role in part.roles if role.name == name)
        fitting = [role for role in whole.roles if role.size is not None and role.size == _size(pieces)]
        if len(pieces) == len(parts) and len(fitting) == 1:
            yield fitting[0], pieces
