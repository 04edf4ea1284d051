"""How many bytes of each kind of media a run writes: a run of any length keeps pictures from its beginning to its end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from multiboard.budget import Thinning
from multiboard.errors import ArgumentError
from multiboard.values import Histogram, Image, Summary, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard.reports import Reports
    from multiboard.values import Value

KINDS: Final = ("image", "video", "audio", "mesh", "pr_curve", "histogram", "text", "tensor")
_OF_TYPE: Final[dict[type, str]] = {Image: "image", Histogram: "histogram", Text: "text"}
_OF_PLUGIN: Final = {
    "images": "video",
    "audio": "audio",
    "mesh": "mesh",
    "pr_curves": "pr_curve",
    "multiboard": "tensor",
    "histograms": "histogram",
}


def check_media_bytes(limits: int | Mapping[str, int] | None) -> dict[str, int]:
    """Return limits by kind; one number is the limit of images, videos and audio each.

    Raises:
        ArgumentError: a kind that does not exist, or a limit that is no positive integer.
    """
    if limits is None:
        return {}
    by_kind = {"image": limits, "video": limits, "audio": limits} if isinstance(limits, int) else dict(limits)
    for kind, limit in by_kind.items():
        if kind not in KINDS:
            raise ArgumentError("max_media_bytes", kind, f"the kinds are {', '.join(KINDS)}")
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise ArgumentError("max_media_bytes", limit, f"pass a positive number of bytes for {kind}")
    return by_kind


class MediaBudget:
    """Counts what is written of each kind, and thins it out as its limit comes near (see `budget.stride`).

    Args:
        limits: bytes by kind; kinds that are not named have none.
        reports: receives what is dropped.
    """

    def __init__(self, limits: Mapping[str, int], reports: Reports) -> None:
        self._limits, self._reports = limits, reports
        self._used: Counter[str] = Counter()
        self._largest: Counter[str] = Counter()
        self._thinning = Thinning()
        self._last: tuple[object, ...] = ()
        self._last_kept = True

    def keeps(self, value: Value) -> bool:
        """Tell whether a value is to be written; one that is not is counted as dropped, the parts of a mesh together."""
        kind = _kind(value)
        limit = self._limits.get(kind)
        if limit is None:
            return True
        tag = value.tag.rpartition("_")[0] if kind == "mesh" else value.tag  # type: ignore[union-attr]
        if (kind, tag, value.step) != self._last:  # type: ignore[union-attr]
            self._last = (kind, tag, value.step)  # type: ignore[union-attr]
            self._last_kept = self._decide(kind, tag, value.step, limit)  # type: ignore[union-attr]
        return self._last_kept

    def _decide(self, kind: str, tag: str, step: int, limit: int) -> bool:
        kept = self._thinning.keeps((kind, tag), self._largest[kind], self._used[kind], limit)
        if not kept:
            reason = f"{self._used[kind]} of max_media_bytes={limit} are used, and what is left is spread over the steps to come"
            self._reports.drop(kind, 1, step, reason)
        return kept

    def count(self, value: Value, size: int) -> None:
        """Count the bytes of a value that was written."""
        kind = _kind(value)
        self._used[kind] += size
        self._largest[kind] = max(self._largest[kind], size)


def _kind(value: Value) -> str:
    if isinstance(value, Summary):
        return _OF_PLUGIN.get(value.plugin, "")
    return _OF_TYPE.get(type(value), "")
