"""The summaries of profiles that runs hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from multiboard.page.parts import Board, Part
    from multiboard.reader import RunData

_HEAD: Final = "profile/"
_LABELS: Final = {
    "profile/step_ms": ("Time of a step", "ms"),
    "profile/device_step_ms": ("Time of a step on the devices", "ms"),
    "profile/input_pct": ("Waits for input", "%"),
    "profile/device_busy_pct": ("Devices are busy", "%"),
    "profile/comm_pct": ("Devices communicate", "%"),
    "profile/host_only_pct": ("Neither input nor device", "%"),
    "profile/mem_peak_bytes": ("Most memory in use", "bytes"),
    "profile/live_bytes": ("Live buffers", "bytes"),
}
_TITLES: Final = {
    "profile/top_ops": "Operations",
    "profile/memory": "Memory",
    "profile/live_buffers": "Live buffers",
}


def profile(board: Board) -> Part:
    """Return the numbers and tables of all profiles, by run and step, and what the numbers are called."""
    runs = [{"run": name, "captures": _captures(run)} for name, run in board.runs.items()]
    known = {tag for run in board.runs.values() for tag in run.scalars if tag.startswith(_HEAD)}
    ordered = [tag for tag in _LABELS if tag in known] + sorted(known - _LABELS.keys())
    labels = {tag: _LABELS.get(tag, (tag.removeprefix(_HEAD), "")) for tag in ordered}
    return {"runs": runs, "labels": {tag: {"title": title, "unit": unit} for tag, (title, unit) in labels.items()}}


def _captures(run: RunData) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for tag, column in run.scalars.items():
        if tag.startswith(_HEAD):
            for step, value in zip(column.step.tolist(), column.value.tolist(), strict=True):
                _capture(found, step)["values"][tag] = value
    for tag, texts in run.texts.items():
        if tag.startswith(_HEAD):
            for step, text in zip(texts.step.tolist(), texts.value, strict=True):
                _capture(found, step)["tables"][_TITLES.get(tag, tag.removeprefix(_HEAD))] = text
    return [found[step] for step in sorted(found)]


def _capture(found: dict[int, dict[str, Any]], step: int) -> dict[str, Any]:
    return found.setdefault(step, {"step": step, "values": {}, "tables": {}})
