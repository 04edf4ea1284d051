"""Pictures, clips and texts: which tags have them at which steps, and one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard.compare.joining import latest
from multiboard.errors import ArgumentError, did_you_mean
from multiboard.page.limits import spread
from multiboard.page.media_tags import MEDIA, shown_media

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from multiboard.page.parts import Board, Part
    from multiboard.reader import Column, RunData

_MIMES: Final = (
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"BM", "image/bmp"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
)
_RIFFS: Final = {b"WAVE": "audio/wav", b"WEBP": "image/webp"}


def media(board: Board) -> Part:
    """Return the tags of pictures, clips and texts, and by run the steps that they have."""
    found = dict.fromkeys(pair for run in board.runs.values() for pair in shown_media(run))
    return {"tags": [{"tag": tag, "kind": kind, "runs": steps_of(board, tag, kind)} for tag, kind in found]}


def steps_of(board: Board, tag: str, kind: str) -> dict[str, npt.NDArray[np.int64]]:
    """Return the steps that the page gets of a tag, by run; all runs keep the same ones where they have them."""
    held = {name: latest(columns[tag].step)[0] for name, run in board.runs.items() if tag in (columns := getattr(run, kind))}
    most = board.limits.media
    if most is None:
        return held
    steps = np.unique(np.concatenate(list(held.values())))
    kept = steps[spread(len(steps), most)]
    return {name: step[np.isin(step, kept)] for name, step in held.items()}


def medium(board: Board, run: str, step: str, tag: str) -> Part:
    """Return what a run has of a tag at a step: encoded files, or a text.

    Raises:
        ArgumentError: there is no such run, tag or step.
    """
    data = board.run(run)
    kind, column = _column(data, tag)
    try:
        places = np.flatnonzero(column.step == int(step))
    except ValueError:
        raise ArgumentError("step", step, "pass a whole number") from None
    if not len(places):
        raise ArgumentError("step", step, f"{tag!r} has the steps {', '.join(map(str, column.step[:8].tolist()))}, ...")
    value = column.value[int(places[-1])]
    if kind == "texts":
        return {"text": value}
    files = [bytes(one) for one in value]
    return {"mime": mime(files[:1]), "items": files}


def _column(run: RunData, tag: str) -> tuple[str, Column]:
    for kind in MEDIA:
        column = getattr(run, kind).get(tag)
        if column is not None:
            return kind, column
    known = [known for kind in MEDIA for known in getattr(run, kind)]
    raise ArgumentError("tag", tag, f"the run has no pictures, clips or texts of it.{did_you_mean(tag, known)}")


def mime(files: Iterable[Any]) -> str:
    """Return the media type of the first file by its first bytes; bytes that are nothing known are never shown.

    >>> mime([b"GIF89a"]), mime([b"<svg onload='alert(1)'>"])
    ('image/gif', 'application/octet-stream')
    """
    head = next(iter(files), b"")[:12]
    if head[:4] == b"RIFF":
        return _RIFFS.get(head[8:12], "application/octet-stream")
    return next((name for magic, name in _MIMES if head.startswith(magic)), "application/octet-stream")
