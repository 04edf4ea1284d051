"""The loggers that are compared: each opened, fed and closed as its documentation says, offline and quiet.

A logger has `scalar(tag, value, step)`, `step(metrics, step)`, `image(tag, pixels, step)`, `flush()` and `close()`. Where a
peer's own method takes these arguments it is used as it is, so that no call in between is measured. Distributions of a model in
PyTorch: `histogram(tag, values, step)` where the peer wants one call per tensor, or its `run`, with which a model is watched.
In JAX: `histograms(group, tree, step)`, or its `run`.
"""

from __future__ import annotations

import os
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

QUIET = {
    "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu"),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
}
"""Environment of every measured process."""


class Multiboard:
    """`multiboard.Run`."""

    def __init__(self, log_dir: str) -> None:
        import multiboard

        run = multiboard.Run(log_dir)
        self.run = run
        self.scalar, self.step, self.image = run.scalar, run.log, run.image
        self.flush, self.close = run.flush, run.close


class SummaryWriter:
    """The API of torch.utils.tensorboard, which tensorboardX and multiboard have, too: one call per number."""

    def __init__(self, log_dir: str, module: str) -> None:
        writer = import_module(module).SummaryWriter(log_dir)
        self.scalar, self.histogram, self._add_image = writer.add_scalar, writer.add_histogram, writer.add_image
        self.flush, self.close = writer.flush, writer.close

    def step(self, metrics: Mapping[str, Any], step: int) -> None:
        """Log the metrics one by one; `add_scalars` would open a run for each."""
        scalar = self.scalar
        for tag, value in metrics.items():
            scalar(tag, value, step)

    def histograms(self, group: str, tree: Any, step: int) -> None:
        """Log a tree of JAX arrays, one call per array."""
        for tag, values in arrays_in(group, tree, np.asarray).items():
            self.histogram(tag, values, step)

    def image(self, tag: str, pixels: Any, step: int) -> None:
        """Log one picture."""
        self._add_image(tag, pixels, step, dataformats="HWC")


class TensorFlow:
    """`tf.summary`, eager."""

    def __init__(self, log_dir: str) -> None:
        import tensorflow as tf

        writer = tf.summary.create_file_writer(log_dir)
        writer.set_as_default()
        self._summary_image = tf.summary.image
        self.scalar, self.flush, self.close = tf.summary.scalar, writer.flush, writer.close

    def step(self, metrics: Mapping[str, Any], step: int) -> None:
        """Log the metrics one by one."""
        scalar = self.scalar
        for tag, value in metrics.items():
            scalar(tag, value, step)

    def image(self, tag: str, pixels: Any, step: int) -> None:
        """Log one picture."""
        self._summary_image(tag, pixels[None], step)


class Clu:
    """`clu.metric_writers`: SummaryWriter, alone or behind AsyncWriter as in `create_default_writer`."""

    def __init__(self, log_dir: str, *, asynchronous: bool) -> None:
        from clu import metric_writers

        writer = metric_writers.SummaryWriter(log_dir)
        self._writer = metric_writers.AsyncWriter(writer) if asynchronous else writer
        self.flush, self.close = self._writer.flush, self._writer.close

    def scalar(self, tag: str, value: Any, step: int) -> None:
        """Log one number."""
        self._writer.write_scalars(step, {tag: value})

    def step(self, metrics: Mapping[str, Any], step: int) -> None:
        """Log the metrics with one call."""
        self._writer.write_scalars(step, metrics)

    def image(self, tag: str, pixels: Any, step: int) -> None:
        """Log one picture."""
        self._writer.write_images(step, {tag: pixels})

    def histograms(self, group: str, tree: Any, step: int) -> None:
        """Log a tree of JAX arrays with one call."""
        self._writer.write_histograms(step, arrays_in(group, tree))


class WeightsAndBiases:
    """`wandb`, offline, without what it records besides: system metrics, console, code, git."""

    def __init__(self, log_dir: str) -> None:
        import wandb

        settings = wandb.Settings(console="off", disable_code=True, disable_git=True, x_disable_meta=True, x_disable_stats=True)
        self._wandb = wandb
        self.run = self._run = wandb.init(project="bench", dir=log_dir, mode="offline", settings=settings)

    def scalar(self, tag: str, value: Any, step: int) -> None:
        """Log one number."""
        self._run.log({tag: value}, step=step)

    def step(self, metrics: Mapping[str, Any], step: int) -> None:
        """Log the metrics with one call."""
        self._run.log(metrics, step=step)

    def image(self, tag: str, pixels: Any, step: int) -> None:
        """Log one picture."""
        self._run.log({tag: self._wandb.Image(pixels)}, step=step)

    def histograms(self, group: str, tree: Any, step: int) -> None:
        """Log a tree of JAX arrays with one call."""
        histogram = self._wandb.Histogram
        self._run.log({tag: histogram(leaf) for tag, leaf in arrays_in(group, tree, np.asarray).items()}, step=step)

    def flush(self) -> None:
        """Give the process that writes half a second: there is no flush."""
        time.sleep(0.5)

    def close(self) -> None:
        """Finish the run and wait for the process that writes."""
        self._run.finish()
        self._wandb.teardown()


class Trackio:
    """`trackio`, local, without system metrics."""

    def __init__(self, log_dir: str) -> None:
        os.environ["TRACKIO_DIR"] = log_dir  # read at import
        import trackio

        self._run = trackio.init("bench", embed=False, auto_log_cpu=False, auto_log_gpu=False)
        self.step, self.close = self._run.log, self._run.finish

    def scalar(self, tag: str, value: Any, step: int) -> None:
        """Log one number."""
        self._run.log({tag: value}, step)


class CsvFile:
    """`csv.writer`: the floor that people quote."""

    def __init__(self, log_dir: str) -> None:
        import csv

        self._file = open(f"{log_dir}/scalars.csv", "w", newline="")  # noqa: PTH123, SIM115  # closed by close
        self._row = csv.writer(self._file).writerow
        self.flush, self.close = self._file.flush, self._file.close

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write one row."""
        self._row((tag, value, step))

    def step(self, metrics: Mapping[str, Any], step: int) -> None:
        """Write one row per number, read from its device."""
        for tag, value in metrics.items():
            self._row((tag, float(value), step))


class PngFiles:
    """Pillow alone: one PNG file per picture."""

    def __init__(self, log_dir: str, level: int) -> None:
        from PIL import Image

        self._from_pixels, self._log_dir, self._level = Image.fromarray, log_dir, level

    def image(self, _tag: str, pixels: Any, step: int) -> None:
        """Write one picture."""
        self._from_pixels(pixels).save(f"{self._log_dir}/{step:06}.png", compress_level=self._level)

    def flush(self) -> None:
        """Do nothing: files are complete."""

    def close(self) -> None:
        """Do nothing: files are complete."""


class Nothing:
    """Empty methods: what the loop and the calls themselves cost."""

    def __init__(self, log_dir: str) -> None:
        pass

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Do nothing."""

    def step(self, metrics: Mapping[str, Any], step: int) -> None:
        """Do nothing."""

    def image(self, tag: str, pixels: Any, step: int) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def arrays_in(group: str, tree: Any, convert: Callable[[Any], Any] = lambda leaf: leaf) -> dict[str, Any]:
    """Return the leaves of a JAX tree by tag: the group and the path."""
    import jax

    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {f"{group}/{jax.tree_util.keystr(path, simple=True, separator='/')}": convert(leaf) for path, leaf in leaves}


def _without_tensorflow(log_dir: str) -> SummaryWriter:
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # its import now fails as if it were not installed
    return SummaryWriter(log_dir, "torch.utils.tensorboard")


class Logger(NamedTuple):
    """One row of the tables.

    Attributes:
        package: what must be installed and whose version is stated.
        open: opens a logger in a directory.
        form: what it writes: 'ours', 'events', 'wandb', 'trackio', 'csv', 'png' or '' for nothing.
        needs: more that must be installed.
        slow: takes more than 100 us per scalar, so that fewer are logged.
    """

    package: str
    open: Callable[[str], Any]
    form: str = "events"
    needs: tuple[str, ...] = ()
    slow: bool = False


OURS = "multiboard"
DROP_IN = "multiboard SummaryWriter"
LOGGERS = {
    OURS: Logger("multiboard", Multiboard, "ours"),
    DROP_IN: Logger("multiboard", lambda d: SummaryWriter(d, "multiboard"), "ours"),
    "torch.utils.tensorboard": Logger("torch", _without_tensorflow, needs=("tensorboard",)),
    "torch.utils.tensorboard + TensorFlow": Logger(
        "torch", lambda d: SummaryWriter(d, "torch.utils.tensorboard"), needs=("tensorboard", "tensorflow")
    ),
    "tensorboardX": Logger("tensorboardX", lambda d: SummaryWriter(d, "tensorboardX")),
    "tf.summary": Logger("tensorflow", TensorFlow, slow=True),
    "clu SummaryWriter": Logger("clu", lambda d: Clu(d, asynchronous=False), slow=True),
    "clu AsyncWriter": Logger("clu", lambda d: Clu(d, asynchronous=True), slow=True),
    "wandb offline": Logger("wandb", WeightsAndBiases, "wandb"),
    "trackio": Logger("trackio", Trackio, "trackio"),
    "csv.writer": Logger("csv", CsvFile, "csv"),
    "Pillow PNG level 1": Logger("PIL", lambda d: PngFiles(d, 1), "png"),
    "Pillow PNG level 6": Logger("PIL", lambda d: PngFiles(d, 6), "png"),
    "empty call": Logger("csv", Nothing, ""),
}
PEERS_WITH_EVENT_FILES = [name for name, logger in LOGGERS.items() if logger.form == "events"]
