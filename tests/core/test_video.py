"""Video arrives as animated GIF with its frames."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageSequence

SHADES = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1) * 50
FRAMES = np.broadcast_to(SHADES, (6, 8, 10, 3)).copy()


def gifs(written, frames, **arguments):
    encoded = written(lambda run: run.video("v", frames, 3, **arguments)).images["v"].value[0]
    return [Image.open(io.BytesIO(data)) for data in encoded]


def pixels(picture):
    return np.array([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(picture)])


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize(("axes", "order"), [("THWC", (0, 1, 2, 3)), ("TCHW", (0, 3, 1, 2))])
def test_the_frames_come_in_order(written, axes, order, stated):
    (picture,) = gifs(written, FRAMES.transpose(order), dataformats=axes if stated else None)
    assert picture.format == "GIF"
    np.testing.assert_array_equal(pixels(picture), FRAMES)


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (0, 1, 4, 2, 3)])
def test_each_clip_of_a_batch_is_a_sample(written, order):
    clips = np.stack([FRAMES, FRAMES[::-1]])
    for picture, frames in zip(gifs(written, clips.transpose(order)), clips, strict=True):
        np.testing.assert_array_equal(pixels(picture), frames)


def test_floats_from_0_to_1_and_grey_frames_are_video(written):
    (picture,) = gifs(written, FRAMES[..., :1] / 255)
    np.testing.assert_array_equal(pixels(picture), FRAMES)


@pytest.mark.parametrize(("fps", "milliseconds"), [(4, 250), (10, 100), (1000, 20)])
def test_a_frame_lasts_what_fps_says(written, fps, milliseconds):
    (picture,) = gifs(written, FRAMES, fps=fps)
    assert picture.info["duration"] == milliseconds
    assert picture.info["loop"] == 0


@pytest.mark.parametrize("call", ["run.video('v', [], 0)", "run.image('i', [[0.0]], 0, boxes=[[0, 0, 1, 1]], box_labels=['a'])"])
def test_without_pillow_one_error_names_the_extra(tmp_path, call):
    code = f"""
import sys
from importlib.machinery import PathFinder
class WithoutPillow(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "PIL" else super().find_spec(name, path, target)
sys.meta_path = [WithoutPillow if finder is PathFinder else finder for finder in sys.meta_path]
import multiboard as mb
with mb.Run({str(tmp_path)!r}) as run:
    {call}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "MissingFrameworkError" in done.stderr
    assert "needs Pillow: pip install 'multiboard[media]'" in done.stderr.splitlines()[-1]
