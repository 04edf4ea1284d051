"""Which points of a run stay when media and histograms are thinned out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard import proto
from multiboard.contents import KINDS
from multiboard.decode import legacy_plugin
from multiboard.history import WHOLE_RECORD
from multiboard.overwritten import overwritten
from multiboard.records import payload_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from multiboard.history import History, Points

_MEDIA: Final = frozenset({"images", "audios", "meshes", "pr_curves"})
_SAID: Final = ("alerts/", "run/", "console")
"""Beginnings of tags whose texts tell what happened: they are not thinned out."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Points of a tag that stay at most, by kind; None keeps all. Scalars, tensors, graphs and hyper-parameters always stay.

    Attributes:
        media: of images, videos, audios, meshes and PR curves, 2 at least.
        histograms: of histograms.
        texts: of texts and tables, but not of alerts, the console and what tells of the run.
    """

    media: int | None = None
    histograms: int | None = None
    texts: int | None = None

    def of(self, kind: str, tag: str) -> int | None:
        """Return how many points of a tag stay at most."""
        if kind in _MEDIA:
            return self.media
        if kind == "texts" and not tag.startswith(_SAID):
            return self.texts
        return self.histograms if kind == "histograms" else None


NO_LIMITS: Final = Limits()


def kept(points: Points, history: History, contents: Sequence[bytes], limits: Limits) -> npt.NDArray[np.bool_]:
    """Return which points stay: of each tag the first, the last, and others at even distances between them.

    Args:
        points: of one run, in the order of files and records.
        history: which they are of.
        contents: of the files.
        limits: by kind.
    """
    stays = np.ones(len(points.step), bool)
    if limits == NO_LIMITS:
        return stays
    again = overwritten(points, history.starts)
    groups: dict[str, list[npt.NDArray[np.intp]]] = {}
    names = list(history.tags)
    order = np.argsort(points.tag, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(points.tag[order])) + 1) if len(order) else []:
        tag = names[points.tag[rows[0]]]
        kind = _kind(tag, points, int(rows[0]), history, contents)
        limit = None if tag is WHOLE_RECORD else limits.of(kind, tag)
        if tag is not None and limit is not None:
            groups.setdefault(f"{limit} {tag.rpartition('_')[0] if kind == 'meshes' else tag}", []).append(rows)
    for name, parts in groups.items():  # the parts of a mesh together
        _thin(points, parts, int(name.partition(" ")[0]), again, stays)
    return stays


def _thin(
    points: Points,
    parts: list[npt.NDArray[np.intp]],
    limit: int,
    again: npt.NDArray[np.bool_],
    stays: npt.NDArray[np.bool_],
) -> None:
    """Mark the points of tags that belong together; what they have at one step stays or goes together.

    Args:
        points: of the run.
        parts: rows of the points of each tag.
        limit: how many steps stay.
        again: which points were written again later: these go first.
        stays: receives what goes.
    """
    rows = np.concatenate(parts)
    if len(np.unique(points.step[rows])) <= limit:
        return
    steps = np.unique(points.step[rows[~again[rows]]])
    picked = steps[np.round(np.linspace(0, len(steps) - 1, limit)).astype(int)] if len(steps) > limit else steps
    stays[rows] = np.isin(points.step[rows], picked) & ~again[rows]
    for part in parts:  # the events behind the first one do not say the kind again
        stays[part[np.argmin(points.bare[part])]] = True


def _kind(tag: str | None, points: Points, row: int, history: History, contents: Sequence[bytes]) -> str:
    """Return the kind of a tag by its metadata, or by the older fields of its first value; '' if neither tells."""
    try:
        return _told_kind(tag, points, row, history, contents)
    except Exception:  # noqa: BLE001  # protobuf's DecodeError has moved between versions; what cannot be read stays
        return ""


def _told_kind(tag: str | None, points: Points, row: int, history: History, contents: Sequence[bytes]) -> str:
    metadata = history.metadata.get(tag)
    if metadata is not None:
        return KINDS.get(proto.SummaryMetadata.FromString(metadata).plugin_data.plugin_name, "")
    payload = payload_at(contents[points.file[row]], int(points.record[row])) or b""
    for part in proto.Outline.FromString(payload).summary.value:
        value = proto.ValueOutline.FromString(part)
        if value.tag == tag:
            return KINDS.get(legacy_plugin(value), "")
    return ""
