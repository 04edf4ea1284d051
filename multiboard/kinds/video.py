"""Video: frames to an animated GIF, which TensorBoard shows among the images. Needs Pillow."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard import media, wire
from multiboard.arrays import fetch_array, take_array
from multiboard.errors import ValueShapeError
from multiboard.kinds.checks import need_pillow, positive_number, shape_before_fetch
from multiboard.values import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from multiboard.values import Foreign

_AXES: Final = {4: ("THWC", "TCHW"), 5: ("NTHWC", "NTCHW")}
_RULE: Final = "a video has the axes THWC, TCHW, NTHWC or NTCHW with 1, 3 or 4 channels and at least one frame."


@dataclass(frozen=True, slots=True)
class Video:
    """One or several clips of the same size.

    Attributes:
        frames: uint8 (0 to 255) or float (0 to 1), axes as `dataformats` says.
        dataformats: 'THWC', 'TCHW', 'NTHWC' or 'NTCHW'.
        fps: frames per second.
    """

    tag: str
    frames: Foreign
    dataformats: str
    fps: float
    step: int
    wall_time: float
    description: str

    def expand(self) -> Iterator[Summary]:
        """Return the clips as GIF behind their width and height."""
        frames = fetch_array(self.frames)
        order = [self.dataformats.index(axis) for axis in "NTHWC" if axis in self.dataformats]
        clips = media.to_uint8(frames.transpose(order).reshape(-1, *(frames.shape[axis] for axis in order[-4:])))
        size = (str(clips.shape[3]).encode(), str(clips.shape[2]).encode())
        tensor = wire.strings(*size, *(gif(clip, self.fps) for clip in clips), rank=1)
        yield Summary(self.tag, "images", wire.BLOB_SEQUENCE, tensor, self.step, self.wall_time, description=self.description)


def take(tag: str, frames: Foreign, fps: object, dataformats: str | None, step: int, wall_time: float, description: str) -> Video:
    """Return the video of one call.

    Raises:
        MissingFrameworkError: Pillow is not installed.
        ArgumentError: fps is no positive number.
        ValueShapeError: the axes are none of a video.
    """
    need_pillow("run.video")
    rate = positive_number("fps", fps)
    taken = take_array(tag, frames)
    axes = infer_axes(tag, shape_before_fetch(frames, taken), dataformats)
    return Video(tag, taken, axes, rate, step, wall_time, description)


def infer_axes(tag: str, shape: tuple[int, ...], dataformats: str | None = None) -> str:
    """Return the axes of frames as stated, or by their shape: channels are last if that axis has 1, 3 or 4 of them.

    >>> infer_axes("t", (8, 32, 32, 3)), infer_axes("t", (2, 8, 3, 32, 32))
    ('THWC', 'NTCHW')

    Raises:
        ValueShapeError: they do not fit.
    """
    for axes in _AXES.get(len(shape), ()):
        if dataformats in {None, axes, axes.lower()} and shape[axes.index("C")] in {1, 3, 4} and 0 not in shape:
            return axes
    stated = "" if dataformats is None else f"dataformats={dataformats!r} does not fit; "
    raise ValueShapeError(tag, shape, stated + _RULE)


def gif(frames: npt.NDArray[np.uint8], fps: float) -> bytes:
    """Encode one clip, uint8 `[T, H, W, C]`, as an endless GIF; each frame lasts whole hundredths of a second, at least two."""
    from PIL import Image

    pictures = [Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else np.ascontiguousarray(frame)) for frame in frames]
    duration = max(20, round(100 / fps) * 10)  # milliseconds; viewers slow down what is shorter
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=duration, loop=0)
    return buffer.getvalue()
