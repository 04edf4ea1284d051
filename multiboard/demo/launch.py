"""Starts the training processes side by side and shows their progress."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from multiboard.errors import ArgumentError, MissingFrameworkError, MultiboardError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

FRAMEWORKS: Final = ("torch", "flax", "keras")
BACKENDS: Final = ("jax", "tensorflow", "torch")
_NEEDS: Final = {
    "torch": ("torch", "PyTorch", "torch"),
    "flax": ("flax", "Flax", "jax"),
    "keras": ("keras", "Keras", "keras"),
    "tensorflow": ("tensorflow", "TensorFlow (pip install tensorflow) and Keras", "keras"),
    "jax": ("jax", "JAX", "jax"),
}


class TrainingError(MultiboardError, RuntimeError):
    """A training process of the demo ended with an error."""


@dataclass(slots=True)
class _Training:
    name: str
    process: subprocess.Popen[str]
    errors: IO[str]
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0


def train_all(
    log_dir: Path,
    frameworks: Sequence[str],
    steps: int,
    every: int,
    keras_backend: str,
    console: Console,
    broken: Mapping[str, str] | None = None,
) -> dict[str, float]:
    """Train in every framework at once, each in its own process and run directory.

    Args:
        log_dir: the runs go into sub-directories with the names of the frameworks.
        frameworks: any of 'torch', 'flax', 'keras'.
        steps: optimizer steps.
        every: steps between two captures.
        keras_backend: 'jax', 'tensorflow' or 'torch'.
        console: where the progress bars are drawn.
        broken: mistakes of `breaks.BREAKS` to make, by framework.

    Returns:
        Seconds by framework, start-up of the process and compilation included.

    Raises:
        MissingFrameworkError: a framework is not installed.
        TrainingError: a training failed; the message ends with its output.
    """
    check_installed(frameworks, keras_backend)
    check_empty(log_dir)
    columns = (TextColumn("{task.description:>6}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeElapsedColumn())
    trainings: list[_Training] = []
    try:
        with Progress(*columns, console=console) as progress:
            for name in frameworks:
                command = _command(name, log_dir / name, steps, every, (broken or {}).get(name))
                trainings.append(_start(name, command, keras_backend))
            threads = [threading.Thread(target=_follow, args=(t, progress, steps), daemon=True) for t in trainings]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        for training in trainings:
            training.process.kill()
            training.process.wait()
    for training in trainings:
        _check_success(training)
    return {training.name: training.seconds for training in trainings}


def check_installed(frameworks: Iterable[str], keras_backend: str) -> None:
    """Raise MissingFrameworkError for the first framework that is not installed."""
    for name in frameworks:
        for needed in (name, keras_backend) if name == "keras" else (name,):
            module, title, extra = _NEEDS[needed]
            if find_spec(module) is None:
                raise MissingFrameworkError(f"multiboard demo with {name}", title, extra)


def check_empty(log_dir: Path) -> None:
    """Raise ArgumentError if the directory holds runs already: two demos in one place cannot be told apart."""
    if any(log_dir.rglob("*tfevents*")):
        raise ArgumentError("log_dir", os.fspath(log_dir), "it holds runs already; choose another --log-dir, or delete it first")


def _command(name: str, log_dir: Path, steps: int, every: int, mistake: str | None) -> list[str]:
    command = [sys.executable, "-m", f"multiboard.demo.train_{name}"]
    command += ["--log-dir", os.fspath(log_dir), "--steps", str(steps), "--every", str(every)]
    return command + (["--break", mistake] if mistake else [])


def _start(name: str, command: Sequence[str], keras_backend: str) -> _Training:
    # Several trainings at once: with a thread per core in each they would wait for each other.
    defaults = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    environment = defaults | os.environ | {"KERAS_BACKEND": keras_backend}
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # lives as long as the process that writes into it
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)  # noqa: S603
    return _Training(name, process, errors)


def _follow(training: _Training, progress: Progress, steps: int) -> None:
    task = progress.add_task(training.name, total=steps)
    for line in training.process.stdout or ():
        if line.startswith("{"):
            progress.update(task, completed=json.loads(line)["step"])
    training.process.wait()
    training.seconds = time.monotonic() - training.started


def _check_success(training: _Training) -> None:
    with training.errors as errors:
        if training.process.returncode:
            errors.seek(0)
            tail = "".join(errors.readlines()[-20:])
            raise TrainingError(f"training in {training.name} ended with code {training.process.returncode}:\n{tail}")
