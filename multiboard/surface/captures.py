"""What adapters measured, and what other writers have made, on the way to the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multiboard.captures import scalar_tags
from multiboard.surface.layers import LayersSurface
from multiboard.values import Raw

if TYPE_CHECKING:
    from multiboard.values import Capture

_TAG_SETS: Final = 64
"""Sets of tags of captures that are known to be free; gradients that come and go make ever new ones."""


class CapturesSurface(LayersSurface):
    """Captures of adapters, and finished events."""

    _captured: set[tuple[tuple[str, ...], bool]]
    """Sets of tags of captures whose kinds are claimed."""

    def capture(self, capture: Capture) -> None:
        """Log a measurement of an adapter; its tensors may still be on a device."""
        self._intake.attempt(lambda: self._accept_capture(capture), capture.step)

    def _accept_capture(self, capture: Capture) -> None:
        capture = self._in_aligned_names(capture)._replace(step=self._intake.step(capture.step))
        if (capture.tags, capture.histograms) not in self._captured:
            for tag in capture.tags if capture.histograms else ():
                self._intake.claim(tag, "histogram")
            for tag in scalar_tags(capture.tags):
                self._intake.claim(tag, "scalar")
            if len(self._captured) >= _TAG_SETS:
                self._captured.clear()
            self._captured.add((capture.tags, capture.histograms))
        self._intake.accepted(capture.step)
        self._session.start()
        self._lane.put(capture, "histogram", capture.tags, capture.step)

    def raw(self, event: bytes, step: int) -> None:
        """Write a finished Event message of another writer as it is; its tags are not checked against those of this run.

        Args:
            event: serialised, with its own step and wall time.
            step: the same step once more.
        """
        self._intake.attempt(lambda: self._accept_raw(event, self._intake.step(step)), step)

    def _accept_raw(self, event: bytes, step: int) -> None:
        self._intake.accepted(step)
        self._session.start()
        self._lane.put(Raw(event, step), "raw", None, step)
