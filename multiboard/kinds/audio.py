"""Sound: samples to 16-bit PCM WAV with the standard library."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from multiboard import wire
from multiboard.arrays import fetch_array, take_array
from multiboard.errors import ValueKindError, ValueShapeError
from multiboard.kinds.checks import positive_integer, shape_before_fetch
from multiboard.values import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from multiboard.values import Foreign

_MOST_CHANNELS: Final = 8
_FULL_SCALE: Final = 32767
_WAV: Final = wire.integer(2, 11)
"""AudioPluginData.encoding (tensorboard/plugins/audio/plugin_data.proto)."""
_AXES_RULE: Final = "audio has the axes [T], [T, C] or [N, T, C] with at most 8 channels; a batch of mono clips is [N, T, 1]."
_DTYPE_RULE: Final = "audio samples are floats from -1 to 1, or int16."


@dataclass(frozen=True, slots=True)
class Audio:
    """One or several clips of the same length.

    Attributes:
        samples: float (-1 to 1) or int16, axes as `axes` says.
        axes: 'T', 'TC', 'CT' or 'NTC'.
        sample_rate: Hz.
        report: receives cause and message of what was clipped.
    """

    tag: str
    samples: Foreign
    axes: str
    sample_rate: int
    step: int
    wall_time: float
    description: str
    report: Callable[[str, str], None]

    def expand(self) -> Iterator[Summary]:
        """Return the WAV files of the clips."""
        samples = self._pcm(fetch_array(self.samples))
        clips = {"T": samples[None, ..., None], "TC": samples[None], "CT": samples.T[None], "NTC": samples}[self.axes]
        tensor = wire.strings(*(wav(clip, self.sample_rate) for clip in clips), rank=1)
        yield Summary(
            self.tag, "audio", wire.BLOB_SEQUENCE, tensor, self.step, self.wall_time, _WAV, description=self.description
        )

    def _pcm(self, samples: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
        if samples.dtype == np.int16:
            return samples
        check_dtype(self.tag, samples)
        floats = samples.astype(np.float32)
        clipped = np.clip(np.nan_to_num(floats, nan=0.0), -1, 1)
        wrong = int((clipped != floats).sum())
        if wrong:
            self.report(
                f"audio {self.tag} clipped",
                f"tag {self.tag!r} got {wrong} samples beyond -1..1 or NaN at step {self.step}; they are clipped, NaN to 0.",
            )
        return np.rint(clipped * _FULL_SCALE).astype(np.int16)


def take(
    tag: str,
    samples: Foreign,
    sample_rate: object,
    step: int,
    wall_time: float,
    description: str,
    report: Callable[[str, str], None],
) -> Audio:
    """Return the audio of one call.

    Raises:
        ArgumentError: the sample rate is no positive integer.
        ValueShapeError: the axes are none of audio.
        ValueKindError: the samples are integers other than int16.
    """
    rate = positive_integer("sample_rate", sample_rate)
    taken = take_array(tag, samples)
    axes = infer_axes(tag, shape_before_fetch(samples, taken))
    if isinstance(taken, np.ndarray):
        check_dtype(tag, taken)
    return Audio(tag, taken, axes, rate, step, wall_time, description, report)


def infer_axes(tag: str, shape: tuple[int, ...]) -> str:
    """Return the axes of samples by their shape: channels are last, but two rows that are longer than two samples are channels.

    >>> infer_axes("t", (16000,)), infer_axes("t", (16000, 2)), infer_axes("t", (2, 16000)), infer_axes("t", (4, 16000, 1))
    ('T', 'TC', 'CT', 'NTC')

    Raises:
        ValueShapeError: no rule fits.
    """
    axes = {1: "T", 2: "TC", 3: "NTC"}.get(len(shape), "")
    if axes == "TC" and shape[0] <= 2 < shape[1]:  # noqa: PLR2004
        axes = "CT"
    channels = shape[axes.index("C")] if "C" in axes else 1
    if not axes or 0 in shape[:-2] or not 1 <= channels <= _MOST_CHANNELS:
        raise ValueShapeError(tag, shape, _AXES_RULE)
    return axes


def check_dtype(tag: str, samples: npt.NDArray[Any]) -> None:
    """Raise ValueKindError if samples are neither int16 nor floats."""
    if samples.dtype != np.int16 and samples.dtype.kind in "buic":
        raise ValueKindError(tag, samples.dtype, _DTYPE_RULE)


def wav(samples: npt.NDArray[np.int16], sample_rate: int) -> bytes:
    """Encode one clip, int16 `[T, C]`, as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()
