"""Where the peers raise, hang or change a number, their captured writers go on with the exact value.

The numbers L1 to L15 count the failures that were seen in torch.utils.tensorboard and tensorboardX.
"""

from __future__ import annotations

import io
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import tensorboardX
import torch
from PIL import Image
from torch.utils import tensorboard as torch_tensorboard

import multiboard as mb
import multiboard.tensorboardx
import multiboard.torch_tensorboard

PACKAGES = {
    "torch": (multiboard.torch_tensorboard.capture, torch_tensorboard.SummaryWriter),
    "tensorboardX": (multiboard.tensorboardx.capture, tensorboardX.SummaryWriter),
}
BFLOAT16 = {"torch": lambda x: torch.tensor(x, dtype=torch.bfloat16), "jax": lambda x: jnp.array(x, jnp.bfloat16)}
BRIGHT = [[0.0, 1.0], [0.5, 0.25]]


@pytest.fixture(params=PACKAGES)
def written(request, tmp_path):
    capture, writer_class = PACKAGES[request.param]

    def write(action):
        with capture(), writer_class(str(tmp_path / "run")) as writer:
            action(writer)
        return mb.read(tmp_path / "run")["."]

    return write


FULL_DISK = """
import os, resource, signal, sys, warnings
sys.modules["tensorflow"] = None  # its import takes most of the time
warnings.simplefilter("ignore")
import {module} as module, multiboard.{facade} as facade
facade.capture()
writer = module.SummaryWriter(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer.add_scalar("x", 0.0, 0)
writer.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
for step in range(1, 2000):
    writer.add_scalar("x", float(step), step)
    if step % 500 == 0:
        writer.flush()
assert sum(entry.stat().st_size for entry in os.scandir(sys.argv[1])) <= 4096
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.flush()
writer.close()
"""


@pytest.mark.parametrize(
    ("module", "facade"), [("torch.utils.tensorboard", "torch_tensorboard"), ("tensorboardX", "tensorboardx")]
)
def test_training_goes_on_while_the_disk_is_full_and_nothing_is_lost(tmp_path, module, facade):
    """L1: a limit on the size of files refuses writes like a full disk, and is lifted again."""
    code = FULL_DISK.format(module=module, facade=facade)
    subprocess.run([sys.executable, "-c", code, tmp_path / "run"], timeout=120, check=True)
    assert mb.read(tmp_path / "run")["."].scalars["x"].step.tolist() == list(range(2000))


@pytest.mark.parametrize("package", PACKAGES)
def test_two_writers_of_one_directory_are_both_complete(tmp_path, package):
    """L2."""
    capture, writer_class = PACKAGES[package]
    with capture(), pytest.warns(mb.MultiboardWarning, match="is being written, too"):
        writers = [writer_class(str(tmp_path / "run")) for _ in range(2)]
        for number, writer in enumerate(writers):
            writer.add_scalar(f"x{number}", 1.0, 0)
        for writer in writers:
            writer.close()
    assert sorted(mb.read(tmp_path / "run")["."].scalars) == ["x0", "x1"]


@pytest.mark.parametrize("framework", BFLOAT16)
@pytest.mark.parametrize("value", [1e6, 1e-9, 3.0e38])
def test_bfloat16_scalars_of_captured_writers_are_widened_exactly(written, framework, value):
    """L3, L4."""
    column = written(lambda w: w.add_scalar("x", BFLOAT16[framework](value), 0)).scalars["x"]
    assert column.value.tolist() == [float(torch.tensor(value, dtype=torch.bfloat16))]


@pytest.mark.parametrize("framework", BFLOAT16)
def test_bfloat16_histograms_and_images_of_captured_writers_keep_their_values(written, framework):
    """L3, L4."""

    def log(writer):
        writer.add_histogram("h", BFLOAT16[framework]([1e6] * 1000), 0)
        writer.add_image("i", BFLOAT16[framework](BRIGHT), 0, dataformats="HW")

    run = written(log)
    assert run.histograms["h"].value[0][:, 2].tolist() == [1000]
    assert np.asarray(Image.open(io.BytesIO(run.images["i"].value[0][0]))).tolist() == [[0, 255], [128, 64]]


@pytest.mark.parametrize("values", [[], [np.nan] * 3, [1e30, -1e300], [np.inf, 1.0, np.nan]], ids=str)
def test_no_histogram_of_a_captured_writer_raises(written, values):
    """L5."""
    column = written(lambda w: w.add_histogram("h", np.array(values), 0)).histograms["h"]
    assert column.value[0][:, 2].sum() == np.isfinite(values).sum()


def test_jax_arrays_are_taken_by_captured_writers(written):
    """L7."""

    def log(writer):
        writer.add_scalar("x", jnp.array(0.5), 3)
        writer.add_histogram("h", jnp.array([1.0, 2.0]), 3)
        writer.add_image("i", jnp.array(BRIGHT), 3, dataformats="HW")

    run = written(log)
    assert run.scalars["x"].value.tolist() == [0.5]
    assert (len(run.histograms["h"]), len(run.images["i"])) == (1, 1)


def test_a_step_that_is_none_is_0_as_before(written):
    run = written(lambda w: [w.add_scalar("x", value, None) for value in (1.0, 2.0)])
    assert run.scalars["x"].step.tolist() == [0, 0]


@pytest.mark.parametrize("package", PACKAGES)
def test_flushing_a_captured_writer_brings_all_to_the_file(tmp_path, package):
    """L13, and what comes after close()."""
    capture, writer_class = PACKAGES[package]
    with capture():
        writer = writer_class(str(tmp_path / "run"))
        for step in range(3000):
            writer.add_scalar("x", 1.0, step)
        writer.flush()
        assert len(mb.read(tmp_path / "run")["."].scalars["x"]) == 3000
        writer.close()
        with pytest.warns(mb.MultiboardWarning, match="used after close"):
            writer.add_scalar("x", 1.0, 3000)
        writer.close()
    assert len(mb.read(tmp_path / "run")["."].scalars["x"]) == 3001


def test_a_meta_tensor_is_said_and_no_number_is_invented(written):
    """L14: torch logs a random number, so code that runs must not end here."""
    with pytest.warns(mb.MultiboardWarning) as said:
        run = written(lambda w: w.add_scalar("x", torch.ones((), device="meta"), 0))
    assert "meta device" in str(said[0].message)
    assert not run.scalars


def test_a_graph_that_torch_cannot_trace_is_drawn(written):
    """L8."""

    class Named(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(2, 3)

        def forward(self, x):
            return {"out": self.fc(x), "none": None}

    run = written(lambda w: w.add_graph(Named(), torch.ones(1, 2)))
    assert b"fc" in run.graphs["Default"].value[0]
