"""The layers of a run under the names that another run gave to them, so that any dashboard shows both in one chart."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from multiboard import tags
from multiboard.compare.align import align
from multiboard.compare.containers import HELD
from multiboard.compare.layer_table import Layer, layer_table, layers_of
from multiboard.compare.tensor_matches import pairs_of_roles
from multiboard.errors import ArgumentError, ReadError
from multiboard.reader import read_one
from multiboard.urls import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from multiboard.compare.align import Alignment
    from multiboard.layer_rows import LayerRow, LayerRows

_OWN: Final = "unaligned"
"""Behind the path of a layer whose own name another one of its run has got."""
_GROUPS: Final = frozenset({*tags.GROUPS, tags.ACTIVATIONS})
_SHOWN: Final = 5
_TAG_SETS: Final = 64
"""Sets of tags of captures whose names are kept."""


class AlignedNames:
    """The names of another run for the layers of this one: of those that surely belong together, certain and agreed pairs.

    Args:
        align_to: directory of the other run, which is read once.

    Raises:
        ArgumentError: there is no run, there are several, or it tells nothing of layers.
    """

    def __init__(self, align_to: str | os.PathLike[str]) -> None:
        if not isinstance(align_to, (str, os.PathLike)):
            raise ArgumentError("align_to", align_to, "pass the directory of another run, e.g. 'runs/torch'")
        try:
            run = read_one(align_to)
        except (ReadError, ArgumentError, OSError) as error:
            raise ArgumentError(
                "align_to", shown(os.fspath(align_to)), f"it is not the directory of one run: {str(error).rstrip('.')}"
            ) from error
        self._theirs = layer_table(run)
        if not any(layer.roles for layer in self._theirs):
            remedy = "that run holds no layers yet; its table of layers is written with its first update"
            raise ArgumentError("align_to", shown(os.fspath(align_to)), remedy)
        self._name = Path(align_to).name or shown(os.fspath(align_to))
        self._paths: dict[str, str] = {}
        self._renamed: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._alone: list[str] = []

    def learn(self, table: LayerRows) -> LayerRows:
        """Return the table with the names of the other run; names that were given before stay.

        Args:
            table: in this run's own words.
        """
        ours = layers_of(table)
        alignment = align(self._theirs, ours)
        self._renamed.clear()
        self._add(alignment, ours)
        layers = tuple(self._renamed_layer(layer) for layer in table.layers)
        return table._replace(layers=layers, aligned_to=self._name)

    def unaligned(self) -> str:
        """Return a sentence on the layers that keep their own names, '' if there are none."""
        if not self._alone:
            return ""
        named = ", ".join(map(repr, self._alone[:_SHOWN]))
        more = f" and {len(self._alone) - _SHOWN} more" if len(self._alone) > _SHOWN else ""
        return f"layers {named}{more} keep their own names: nothing in {self._name!r} surely is the same layer."

    def renamed(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return tags of a capture with the names of the other run."""
        known = self._renamed.get(names)
        if known is None:
            if len(self._renamed) >= _TAG_SETS:
                self._renamed.clear()
            known = self._renamed[names] = tuple(map(self._renamed_tag, names))
        return known

    def _add(self, alignment: Alignment, ours: Sequence[Layer]) -> None:
        found = dict(_sure(alignment))
        mine, theirs = {layer.path: layer for layer in ours}, {layer.path: layer for layer in self._theirs}
        for path, other in found.items():
            if path in mine and other in theirs:
                self._paths.setdefault(path, other)
                for role, same in pairs_of_roles(mine[path], theirs[other]):
                    self._paths.setdefault(role.tag, same.tag)
        for layer in ours:
            self._add_rest(layer, set(found.values()))
        self._alone = [layer.path for layer in ours if layer.roles and layer.path not in found]

    def _add_rest(self, layer: Layer, taken: set[str]) -> None:
        """Name what the other run does not have: a layer, or a parameter of one that both have."""
        path = layer.path
        if path not in self._paths and path in taken:
            self._paths[path] = f"{path}_{_OWN}"
        name = self._paths.get(path, path)
        for role in layer.roles:
            if name != path:
                last = role.tag.rpartition("/")[2]
                self._paths.setdefault(role.tag, f"{name}/{last}" if name else last)

    def _renamed_layer(self, layer: LayerRow) -> LayerRow:
        path = self._paths.get(layer.path, layer.path)
        roles = tuple(role._replace(tag=self._paths.get(role.tag, role.tag)) for role in layer.roles)
        changed = path != layer.path or roles != layer.roles
        return layer._replace(path=path, roles=roles, own=layer.path if changed else "")

    def _renamed_tag(self, tag: str) -> str:
        group, _, path = tag.partition("/")
        if group not in _GROUPS:
            return tag
        path, mark, call = path.partition("#")  # a layer or tag that came again in one step
        known = path
        if group == tags.OPTIMIZER_STATE and path not in self._paths:
            known = path.rpartition("/")[0]
        return f"{group}/{self._paths[known]}{path[len(known) :]}{mark}{call}" if known in self._paths else tag


def _sure(alignment: Alignment) -> Iterator[tuple[str, str]]:
    """Yield paths of this run and of the other where one layer surely is the same as one other.

    A layer may also be the container of what the other run has in its place: as such it has a second partner.
    """
    holding = [pair for pair in alignment.pairs if pair.evidence == (HELD,)]
    single = [pair for pair in alignment.pairs if pair.evidence != (HELD,)]
    for pairs in (single, holding):
        ours, theirs = Counter(pair.b for pair in pairs), Counter(pair.a for pair in pairs)
        for pair in pairs:
            if pair.level != "guess" and ours[pair.b] == theirs[pair.a] == 1:
                yield pair.b, pair.a
