"""What the event files of a run hold, by kind and tag, while they are read.

Scalars are taken many at once (`columns`); every other record goes through its message. The points of a tag stay in the order of
the file, whichever way they came.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from multiboard import proto
from multiboard.columns import scalar_columns
from multiboard.decode import CONCEPTUAL_GRAPHS, GRAPHS, TIMED_GRAPHS, decode, legacy_plugin, lone_plugin
from multiboard.records import Damage, payloads, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from multiboard.columns import Points

KINDS: Final = {
    "scalars": "scalars",
    "histograms": "histograms",
    "images": "images",
    "text": "texts",
    "audio": "audios",
    "pr_curves": "pr_curves",
    "mesh": "meshes",
    "multiboard": "tensors",
    GRAPHS: "graphs",
    TIMED_GRAPHS: "graphs",
    CONCEPTUAL_GRAPHS: "graphs",
}
"""Kind by plugin."""
RUN_GRAPH: Final = "Default"
"""Tag of the run's own graph, which has none in the file."""


class Chunk(NamedTuple):
    """Points of one tag: step int64 `[n]`, wall time float64 `[n]`, and n values."""

    step: npt.NDArray[np.int64]
    wall_time: npt.NDArray[np.float64]
    value: Any


class _Description(NamedTuple):
    file: int
    offset: int
    plugin: str
    text: str


@dataclass(slots=True)
class _Singles:
    """Points of one tag and one file that were read one by one."""

    value: array[float] | list[Any]
    record: array[int] = field(default_factory=lambda: array("q"))
    step: array[int] = field(default_factory=lambda: array("q"))
    wall_time: array[float] = field(default_factory=lambda: array("d"))


class Contents:
    """Points by kind and tag of the files that were added.

    Attributes:
        hparams: of the hparams session.
        status: of its end.
    """

    def __init__(self) -> None:
        self.hparams: dict[str, bool | float | str] = {}
        self.status = ""
        self._chunks: dict[tuple[str, str], list[Chunk]] = {}
        self._descriptions: dict[str, _Description] = {}
        self._files = 0

    def add_file(self, data: bytes) -> list[Damage]:
        """Read one event file.

        Args:
            data: its content.

        Returns:
            The places that could not be read, by offset.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # signalling NaNs and doubles where floats belong are data
            return self._add_file(data)

    def _add_file(self, data: bytes) -> list[Damage]:
        self._files += 1
        damage: list[Damage] = []
        points, rest = scalar_columns(data, walk(data, damage), damage)
        for group in points:
            if group.series.described:
                self._describe(group.series.tag, int(group.record[0]), group.series.plugin, group.series.description)
        singles = self._read_singles(data, rest, damage)
        self._merge(self._by_kind(points), singles)
        return sorted(damage, key=lambda place: place.offset)

    def columns(self) -> Iterator[tuple[str, str, Chunk, str]]:
        """Yield kind, tag, all points and description of every tag."""
        for (kind, tag), chunks in self._chunks.items():
            value = np.concatenate([c.value for c in chunks]) if kind == "scalars" else [v for c in chunks for v in c.value]
            whole = Chunk(np.concatenate([c.step for c in chunks]), np.concatenate([c.wall_time for c in chunks]), value)
            yield kind, tag, whole, self._descriptions[tag].text if tag in self._descriptions else ""

    def _describe(self, tag: str, offset: int, plugin: str, text: str) -> None:
        """Remember the first metadata of a tag."""
        known = self._descriptions.get(tag)
        if known is None or (known.file == self._files and known.offset > offset):
            self._descriptions[tag] = _Description(self._files, offset, plugin, text)

    def _read_singles(self, data: bytes, records: npt.NDArray[np.int64], damage: list[Damage]) -> dict[tuple[str, str], _Singles]:
        """Read records one by one."""
        singles: dict[tuple[str, str], _Singles] = {}
        undescribed: list[tuple[int, Any, bytes]] = []
        for offset, event in outlines(data, records, damage):
            if event.graph_def:
                _add(singles, ("graphs", RUN_GRAPH), offset, event, event.graph_def)
            undescribed += [
                (offset, event, part) for part in event.summary.value if self._add_value(singles, offset, event, part, damage)
            ]
        for offset, event, part in undescribed:
            self._add_value(singles, offset, event, part, damage, alone=True)
        return singles

    def _add_value(
        self,
        singles: dict[tuple[str, str], _Singles],
        offset: int,
        event: Any,
        part: bytes,
        damage: list[Damage],
        *,
        alone: bool = False,
    ) -> bool:
        """Add one Summary.Value; return True if its tag has no metadata so far.

        Args:
            singles: receives the point.
            offset: of the record.
            event: in the record.
            part: the serialised value.
            damage: receives an entry if the value cannot be read.
            alone: take the value for what it looks like if the tag has no metadata.
        """
        name = ""
        try:
            value = proto.Value.FromString(part)
            name = f"tag {value.tag!r} at step {event.step}"
            plugin = value.metadata.plugin_data.plugin_name
            if plugin == "hparams":
                self._add_hparams(value.metadata.plugin_data.content)
                return False
            if plugin:
                self._describe(value.tag, offset, plugin, value.metadata.description)
            elif not (plugin := legacy_plugin(value)) and value.HasField("tensor"):
                known = self._descriptions.get(value.tag)
                if known is None and not alone:
                    return True
                plugin = known.plugin if known else lone_plugin(value)
            if plugin in KINDS:
                _add(singles, (KINDS[plugin], value.tag), offset, event, decode(value, plugin))
        except Exception as error:  # noqa: BLE001  # one value that cannot be read does not cost the others
            damage.append(Damage(offset, f"{name or 'a value of a record'} cannot be read: {error}"))
        return False

    def _add_hparams(self, content: bytes) -> None:
        data = proto.HParams.FromString(content)
        for entry in data.start.hparams:
            self.hparams[entry.key] = getattr(entry.value, entry.value.WhichOneof("kind") or "string_value")
        if data.HasField("end"):
            self.status = {1: "success", 2: "failure"}.get(data.end.status, "")

    def _by_kind(self, points: list[Points]) -> Iterator[tuple[tuple[str, str], Points]]:
        """Yield the points that were taken many at once with their kind and tag."""
        for group in points:
            known = self._descriptions.get(group.series.tag)
            plugin = group.series.plugin or (known.plugin if known else "scalars")
            if plugin in KINDS:  # a number without metadata is a scalar, unless its tag belongs to raw tensors
                yield ("tensors" if plugin == "multiboard" else "scalars", group.series.tag), group

    def _merge(self, points: Iterator[tuple[tuple[str, str], Points]], singles: dict[tuple[str, str], _Singles]) -> None:
        """Add the points of one file, those of each tag in the order of the file."""
        found: dict[tuple[str, str], list[tuple[npt.NDArray[np.int64], Chunk]]] = {}
        for key, group in points:
            value = group.value if key[0] == "scalars" else list(map(np.asarray, group.value))
            found.setdefault(key, []).append((group.record, Chunk(group.step, group.wall_time, value)))
        for key, one in singles.items():
            chunk = Chunk(np.array(one.step, np.int64), np.array(one.wall_time, np.float64), one.value)
            found.setdefault(key, []).append((np.array(one.record, np.int64), chunk))
        for key in sorted(found, key=lambda key: min(int(record[0]) for record, _ in found[key])):
            self._chunks.setdefault(key, []).append(_in_order(found.pop(key), key[0] == "scalars"))


def outlines(data: bytes, records: npt.NDArray[np.int64], damage: list[Damage]) -> Iterator[tuple[int, Any]]:
    """Yield offset and outline of every record that holds an Event.

    Args:
        data: an event file.
        records: offsets of records, int64 `[n]`.
        damage: receives an entry for every other one.
    """
    for offset, payload in payloads(data, records, damage):
        try:
            event = proto.Outline.FromString(payload)
        except Exception as error:  # noqa: BLE001  # protobuf's DecodeError has moved between versions
            damage.append(Damage(offset, f"a record is no Event: {error}"))
        else:
            yield offset, event


def _add(singles: dict[tuple[str, str], _Singles], key: tuple[str, str], offset: int, event: Any, value: Any) -> None:
    one = singles.get(key) or _Singles(array("d") if key[0] == "scalars" else [])
    one.value.append(value)  # first: it raises if the value is no number, and a tag without points has no place
    singles[key] = one
    one.record.append(offset)
    one.step.append(event.step)
    one.wall_time.append(event.wall_time)


def _in_order(parts: list[tuple[npt.NDArray[np.int64], Chunk]], numbers: bool) -> Chunk:
    """Join the points of one tag by the offsets of their records."""
    record = np.concatenate([offsets for offsets, _ in parts])
    step = np.concatenate([chunk.step for _, chunk in parts])
    time = np.concatenate([chunk.wall_time for _, chunk in parts])
    value = (
        np.concatenate([np.asarray(c.value, np.float64) for _, c in parts]) if numbers else [v for _, c in parts for v in c.value]
    )
    if (np.diff(record) >= 0).all():
        return Chunk(step, time, value)
    order = np.argsort(record, kind="stable")
    return Chunk(step[order], time[order], value[order] if numbers else [value[i] for i in order])
