"""Where the peers raise, hang or change a number, the drop-in writer goes on with the exact value.

The numbers L2 to L15 count the failures that were seen in torch.utils.tensorboard and tensorboardX.
"""

import io
import subprocess
import sys
import threading

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from PIL import Image

import multiboard as mb

BRIGHT = [[0.0, 1.0], [0.5, 0.25]]
BFLOAT16 = {"torch": lambda x: torch.tensor(x, dtype=torch.bfloat16), "jax": lambda x: jnp.array(x, jnp.bfloat16)}
ARRAYS = {"torch": torch.tensor, "jax": jnp.array, "numpy": np.array}


@pytest.fixture
def log_dir(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def written(log_dir):
    def write(action):
        with mb.SummaryWriter(log_dir) as writer:
            action(writer)
        return mb.read(log_dir)["."]

    return write


@pytest.mark.parametrize("framework", BFLOAT16)
@pytest.mark.parametrize("value", [1e6, 1e-9, 3.0e38, -1e5])
def test_bfloat16_scalars_are_widened_exactly(written, framework, value):
    """L3, L4."""
    column = written(lambda w: w.add_scalar("x", BFLOAT16[framework](value), 0)).scalars["x"]
    assert column.value.tolist() == [float(torch.tensor(value, dtype=torch.bfloat16))]


@pytest.mark.parametrize("framework", BFLOAT16)
def test_bfloat16_histograms_keep_every_value(written, framework):
    """L3, L4."""
    column = written(lambda w: w.add_histogram("h", BFLOAT16[framework]([1e6] * 1000), 0)).histograms["h"]
    assert column.value[0][:, 2].tolist() == [1000]


@pytest.mark.parametrize("framework", BFLOAT16)
def test_bfloat16_images_are_pictures(written, framework):
    """L4."""
    column = written(lambda w: w.add_image("i", BFLOAT16[framework](BRIGHT), 0, dataformats="HW")).images["i"]
    pixels = np.asarray(Image.open(io.BytesIO(column.value[0][0])))
    assert pixels.tolist() == [[0, 255], [128, 64]]


@pytest.mark.parametrize("values", [[], [np.nan] * 3, [1e30, -1e300], [np.inf, 1.0, np.nan]], ids=str)
def test_no_histogram_raises(written, values):
    """L5."""
    column = written(lambda w: w.add_histogram("h", np.array(values), 0)).histograms["h"]
    assert column.value[0][:, 2].sum() == np.isfinite(values).sum()


@pytest.mark.parametrize("framework", ARRAYS)
def test_every_frameworks_arrays_are_taken_in_every_kind(written, framework):
    """L7."""
    array = ARRAYS[framework]

    def log(writer):
        writer.add_scalar("x", array(0.5), array(3))
        writer.add_scalars("m", {"a": array(0.25)}, array(3))
        writer.add_histogram("h", array([1.0, 2.0]), array(3))
        writer.add_image("i", array(BRIGHT), array(3), dataformats="HW")
        writer.add_hparams({"lr": array(0.125)}, {"hp": array(0.75)}, global_step=array(3))

    if framework == "jax":
        with pytest.warns(mb.MultiboardWarning):
            run = written(log)
    else:
        run = written(log)
    assert {tag: column.value.tolist() for tag, column in run.scalars.items()} == {"x": [0.5], "m/a": [0.25], "hp": [0.75]}
    columns = [*run.scalars.values(), *run.histograms.values(), *run.images.values()]
    assert {step for column in columns for step in column.step} == {3}
    assert run.hparams == {"lr": 0.125}


def test_the_arrays_of_one_framework_import_no_other(log_dir):
    """L7, L10: logging a torch tensor leaves TensorFlow, JAX, tensorboard and tensorboardX alone."""
    code = """
import sys, torch, multiboard as mb
with mb.SummaryWriter(sys.argv[1]) as writer:
    writer.add_scalar("x", torch.tensor(0.5), 0)
    writer.add_histogram("h", torch.ones(3), 0)
    writer.add_hparams({"lr": 0.1}, {"hp": 0.5})
print(",".join(name for name in ("tensorflow", "jax", "tensorboard", "tensorboardX") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code, log_dir], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == ""


def test_a_meta_tensor_is_an_error_that_names_the_tag(log_dir):
    """L14."""
    with mb.SummaryWriter(log_dir) as writer, pytest.raises(mb.ValueKindError, match=r"'x'.*meta device"):
        writer.add_scalar("x", torch.ones((), device="meta"), 0)


def test_a_group_of_scalars_starts_no_thread(written):
    """L15."""
    counts = []

    def log(writer):
        counts.append(threading.active_count())
        writer.add_scalars("m", {str(i): torch.tensor(float(i)) for i in range(10)}, 0)
        counts.append(threading.active_count())

    assert len(written(log).scalars) == 10
    assert counts[0] == counts[1]
