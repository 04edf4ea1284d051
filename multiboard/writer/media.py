"""Pictures, sound and texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiboard.writer.base import WriterSurface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.values import Foreign


class MediaMethods(WriterSurface):
    """Methods of `SummaryWriter` for media."""

    def add_image(
        self,
        tag: str,
        img_tensor: Foreign,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Log a picture, see `Run.image`; several in one tensor stay several and are not tiled."""
        step, when = self._at(global_step, walltime)
        self.run.image(tag, img_tensor, step, dataformats=dataformats, wall_time=when)

    def add_images(
        self,
        tag: str,
        img_tensor: Foreign,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Log several pictures, see `Run.image`; they stay several and are not tiled."""
        step, when = self._at(global_step, walltime)
        self.run.image(tag, img_tensor, step, dataformats=dataformats, wall_time=when)

    def add_image_with_boxes(
        self,
        tag: str,
        img_tensor: Foreign,
        box_tensor: Foreign,
        global_step: Any = None,
        walltime: float | None = None,
        rescale: float | str = 1,
        dataformats: str | Sequence[str] = "CHW",
        labels: Sequence[str] | None = None,
    ) -> None:
        """Log a picture with boxes drawn into it, see `Run.image`.

        Args:
            tag: see the class.
            img_tensor: one picture.
            box_tensor: `[k, 4]`, x and y of two corners in pixels.
            global_step: see the class.
            walltime: see the class.
            rescale: not applied, which is said once: cards scale pictures. A string is tensorboardX's `dataformats`.
            dataformats: the axes of the picture. A list is tensorboardX's `labels`.
            labels: one text for each box.
        """
        if isinstance(rescale, str):
            labels = labels if isinstance(dataformats, str) else dataformats
        elif rescale != 1:
            self.run.report("rescaled image", f"tag {tag!r}: rescale={rescale!r} is not applied; scale the picture first.")
        axes = rescale if isinstance(rescale, str) else str(dataformats)
        step, when = self._at(global_step, walltime)
        self.run.image(tag, img_tensor, step, dataformats=axes, boxes=box_tensor, box_labels=labels, wall_time=when)

    def add_figure(
        self, tag: str, figure: Any, global_step: Any = None, close: bool = True, walltime: float | None = None
    ) -> None:
        """Log a matplotlib figure or a list of figures of one size, see `Run.figure`."""
        step, when = self._at(global_step, walltime)
        self.run.figure(tag, figure, step, close=close, wall_time=when)

    def add_video(
        self,
        tag: str,
        vid_tensor: Foreign,
        global_step: Any = None,
        fps: float = 4,
        walltime: float | None = None,
        dataformats: str = "NTCHW",
    ) -> None:
        """Log clips as animated pictures, see `Run.video`; several in one tensor stay several and are not tiled."""
        step, when = self._at(global_step, walltime)
        self.run.video(tag, vid_tensor, step, fps=fps, dataformats=dataformats, wall_time=when)

    def add_audio(
        self,
        tag: str,
        snd_tensor: Foreign,
        global_step: Any = None,
        sample_rate: int = 44100,
        walltime: float | None = None,
    ) -> None:
        """Log sound from -1 to 1, see `Run.audio`."""
        step, when = self._at(global_step, walltime)
        self.run.audio(tag, snd_tensor, step, sample_rate=sample_rate, wall_time=when)

    def add_text(self, tag: str, text_string: str, global_step: Any = None, walltime: float | None = None) -> None:
        """Log a markdown text, see `Run.text`."""
        step, when = self._at(global_step, walltime)
        self.run.text(tag, text_string, step, wall_time=when)
