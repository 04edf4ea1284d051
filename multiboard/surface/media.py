"""Pictures, sound, videos, figures and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard.kinds import pictures
from multiboard.surface.base import Surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.values import Foreign, Image, Value


class MediaSurface(Surface):
    """Methods of `Run` for media."""

    def image(
        self,
        tag: str,
        pixels: Foreign,
        step: int,
        *,
        dataformats: str | None = None,
        boxes: Foreign | None = None,
        box_labels: Sequence[object] | None = None,
        description: str = "",
        wall_time: float | None = None,
    ) -> None:
        """Log one picture or a batch of pictures, with or without boxes on it.

        Args:
            tag: e.g. 'val/predictions'.
            pixels: uint8 (0 to 255) or float (0 to 1); array of any framework, or a PIL image.
            step: as in `log`.
            dataformats: the axes, one of HW, HWC, CHW, NHW, NHWC, NCHW. By default inferred: two axes are HW; an axis of 1 to 4
                at the end is C, else one in front of the image axes; a remaining first axis is N.
            boxes: `[K, 4]` of x0, y0, x1, y1 in pixels, drawn into every picture in turning colours.
            box_labels: one text for each box. Needs Pillow: `multiboard[media]`.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """

        def build(number: int, now: float) -> Value:
            image, _ = pictures.take(tag, pixels, dataformats, number, now, description)
            return image if boxes is None else _boxed(image, boxes, box_labels)

        self._log_value(tag, "image", step, wall_time, build)

    def audio(
        self,
        tag: str,
        samples: Foreign,
        step: int,
        *,
        sample_rate: int = 44100,
        description: str = "",
        wall_time: float | None = None,
    ) -> None:
        """Log one clip or a batch of clips as 16-bit WAV.

        Args:
            tag: e.g. 'val/speech'.
            samples: float (-1 to 1; what is beyond is clipped and said) or int16, array of any framework. Its axes are `[T]`,
                `[T, C]`, `[N, T, C]`, or `[C, T]` with at most 2 channels.
            step: as in `log`.
            sample_rate: Hz.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """
        from multiboard.kinds import audio

        self._log_value(
            tag,
            "audio",
            step,
            wall_time,
            lambda n, now: audio.take(tag, samples, sample_rate, n, now, description, self.report),
        )

    def video(
        self,
        tag: str,
        frames: Foreign,
        step: int,
        *,
        fps: float = 4,
        dataformats: str | None = None,
        description: str = "",
        wall_time: float | None = None,
    ) -> None:
        """Log one clip or a batch of clips as animated GIF, shown among the images. Needs Pillow: `multiboard[media]`.

        Args:
            tag: e.g. 'rollout/camera'.
            frames: uint8 (0 to 255) or float (0 to 1); array of any framework.
            step: as in `log`.
            fps: frames per second, up to 50; GIF counts in hundredths of a second.
            dataformats: the axes, one of THWC, TCHW, NTHWC, NTCHW. By default inferred: channels are an axis of 1, 3 or 4 at the
                end, else behind T.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """
        from multiboard.kinds import video

        self._log_value(
            tag, "video", step, wall_time, lambda n, now: video.take(tag, frames, fps, dataformats, n, now, description)
        )

    def figure(
        self,
        tag: str,
        figure: object,
        step: int,
        *,
        close: bool = True,
        description: str = "",
        wall_time: float | None = None,
    ) -> None:
        """Log matplotlib figures as pictures.

        The figure is drawn before this call returns, because it may be changed afterwards; that takes tens of milliseconds.

        Args:
            tag: e.g. 'val/attention'.
            figure: a `matplotlib.figure.Figure`, or a list of figures of one size.
            step: as in `log`.
            close: close the figure in pyplot afterwards, which otherwise keeps it for ever.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """
        from multiboard.kinds import figure as figures

        self._log_value(tag, "image", step, wall_time, lambda n, now: figures.take(tag, figure, close, n, now, description))

    def segmentation(
        self,
        tag: str,
        image: Foreign,
        mask: Foreign,
        step: int,
        *,
        alpha: float = 0.5,
        palette: Foreign | None = None,
        dataformats: str | None = None,
        description: str = "",
        wall_time: float | None = None,
    ) -> None:
        """Log pictures with an integer mask over them.

        Args:
            tag: e.g. 'val/segments'.
            image: as in `image`.
            mask: integers `[H, W]`, or `[N, H, W]` for a batch; 0 and below is background and stays as it is.
            step: as in `log`.
            alpha: opacity of the mask, 0 to 1.
            palette: colours `[P, 3]`, uint8 or float 0 to 1: row k for label k; more labels begin again. None takes ten
                colours.
            dataformats: as in `image`.
            description: markdown, shown with the card; the first one of a tag counts.
            wall_time: as in `log`.
        """
        from multiboard.kinds import segmentation

        def build(number: int, now: float) -> segmentation.Segmentation:
            taken, shape = pictures.take(tag, image, dataformats, number, now, description)
            return segmentation.take(taken, shape, mask, alpha, palette)

        self._log_value(tag, "image", step, wall_time, build)


def _boxed(image: Image, boxes: Foreign, labels: Sequence[object] | None) -> Value:
    from multiboard.kinds import boxes as boxed

    return boxed.take(image, boxes, labels)
