"""What the Keras callback does on an accelerator, on the backend that KERAS_BACKEND names: the same bits, and its time."""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from gpu_rows import Row

import multiboard as mb
import multiboard.keras as mbk

if TYPE_CHECKING:
    from collections.abc import Iterator

OPTIONS: dict[str, dict[str, Any]] = {
    "params, grads": {"log": ("params", "grads")},
    "everything": {"log": ("params", "grads", "updates", "optimizer_state"), "activations": ["*"]},
}
NEVER = 10**9
EPOCHS = 3
"""Of which the time is taken."""


class Setting(NamedTuple):
    """Where and how large."""

    device: str
    small: bool

    @property
    def name(self) -> str:
        """The device and the framework."""
        return f"{self.device} with keras {keras.__version__} on {keras.backend.backend()}"

    @property
    def title(self) -> str:
        """What its rows begin with."""
        return f"Keras on {keras.backend.backend()}"


def open_setting(device: str, small: bool) -> Setting | None:
    """Return where to check, or None if the backend has no such device."""
    kind, _, number = device.partition(":")
    if keras.backend.backend() == "torch":
        import torch

        os.environ["KERAS_TORCH_DEVICE"] = device
        name = torch.cuda.get_device_name(int(number or 0)) if kind == "cuda" and torch.cuda.is_available() else kind
        return None if kind == "cuda" and not torch.cuda.is_available() else Setting(name, small)
    import jax

    try:
        found = jax.local_devices(backend=kind)[int(number or 0)]
    except RuntimeError:
        return None
    jax.config.update("jax_default_device", found)
    return Setting(found.device_kind, small)


class Fit:
    """A perceptron and its data; every fit begins with the same weights.

    Args:
        setting: where, and how large: 50 million values, or 9 thousand.
    """

    def __init__(self, setting: Setting) -> None:
        self.width, self.batch, self.steps = (64, 32, 6) if setting.small else (4096, 512, 40)
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((self.batch * self.steps, self.width), np.float32)
        self.y = rng.integers(0, 10, self.batch * self.steps)

    def model(self) -> Any:
        """Return a new model."""
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(self.width, activation="relu", name=f"dense{number}") for number in range(3)]
        model = keras.Sequential([keras.Input((self.width,)), *layers, keras.layers.Dense(10, name="head")])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-4), loss, metrics=["accuracy"])
        return model

    def weights(self, callbacks: list[Any]) -> list[bytes]:
        """Return the bits of the weights after an epoch."""
        model = self.model()
        model.fit(self.x, self.y, self.batch, 1, verbose=0, shuffle=False, callbacks=callbacks)
        return [np.asarray(keras.ops.convert_to_numpy(variable)).tobytes() for variable in model.weights]

    def step_ms(self, model: Any, callbacks: list[Any]) -> float:
        """Return the mean time of a step in the epochs after the first one; at the end of each Keras waits for the metrics."""
        times: list[float] = []

        def mark(*_: object) -> None:
            times.append(time.perf_counter())

        marks = keras.callbacks.LambdaCallback(on_epoch_begin=mark, on_epoch_end=mark)
        model.fit(self.x, self.y, self.batch, 1 + EPOCHS, verbose=0, shuffle=False, callbacks=[*callbacks, marks])
        return sum(end - begin for begin, end in zip(times[2::2], times[3::2], strict=True)) / (EPOCHS * self.steps) * 1e3


@contextlib.contextmanager
def logging(every: int, options: dict[str, Any]) -> Iterator[tuple[list[Any], list[str]]]:
    """Yield the callbacks that log to a run, and what the run reports."""
    errors: list[str] = []
    with (
        tempfile.TemporaryDirectory() as directory,
        mb.Run(directory, facts=False, on_error=lambda cause, message: errors.append(f"{cause}: {message}")) as run,
    ):
        yield [mbk.TensorBoard(run=run, every=every, write_graph=False, update_freq="batch", **options)], errors


def check_bits(setting: Setting) -> Iterator[Row]:
    """Compare the weights after a fit with and without the callback, bit by bit."""
    fit = Fit(setting)
    title = f"{setting.title}, weights after {fit.steps} steps with every other captured, everything"
    plain = fit.weights([])
    if fit.weights([]) != plain:
        yield Row(title, "left out: fits without the callback differ themselves")
        return
    with logging(2, OPTIONS["everything"]) as (callbacks, errors):
        same = fit.weights(callbacks) == plain
    yield Row(title, "; ".join(errors[:3]) or ("the same bits" if same else "other bits"), same and not errors)


def check_costs(setting: Setting) -> Iterator[Row]:
    """Measure steps without the callback, between captures, and captured."""
    fit = Fit(setting)
    model = fit.model()
    fit.step_ms(model, [])
    for name, options in OPTIONS.items():
        found = [_round(fit, model, options) for _ in range(2 if setting.small else 5)]
        plain = statistics.median(row[0] for row in found)
        idle, captured = (statistics.median(row[which] - row[0] for row in found) for which in (1, 2))
        yield Row(f"{setting.title}, plain step, {name}", f"{plain:.2f} ms ({model.count_params():,} values)")
        yield Row(f"{setting.title}, step between captures, {name}", f"{idle * 1e3:+.0f} us")
        share = f"{captured / plain:.1%} of the step, {captured / plain / 100:.3%} at every 100th"
        errors = [text for row in found for text in row[3]]
        yield Row(f"{setting.title}, captured step, {name}", "; ".join(errors[:3]) or f"{captured:+.2f} ms ({share})", not errors)


def _round(fit: Fit, model: Any, options: dict[str, Any]) -> tuple[float, float, float, list[str]]:
    """Return the time of a step without the callback, between captures and captured, in ms, and what went wrong."""
    plain = fit.step_ms(model, [])
    with logging(NEVER, options) as (callbacks, errors):
        idle = fit.step_ms(model, callbacks)
    with logging(1, options) as (callbacks, more):
        captured = fit.step_ms(model, callbacks)
    return plain, idle, captured, [*errors, *more]
