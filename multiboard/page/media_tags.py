"""Which tags of a run are pictures, clips and texts to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multiboard.graph.summary_values import data_tag, text_tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.reader import RunData

MEDIA: Final = ("images", "audios", "texts")
"""Their kinds."""
_PROFILES: Final = "profile/"


def shown_media(run: RunData) -> Iterator[tuple[str, str]]:
    """Yield tag and kind of all but the texts that another panel shows: tables of profiles, and of the run's own graph."""
    for kind in MEDIA:
        for tag in getattr(run, kind):
            if kind != "texts" or not (tag.startswith(_PROFILES) or (tag == text_tag() and data_tag() in run.tensors)):
                yield tag, kind
