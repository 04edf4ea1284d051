"""What logging costs a Keras fit, beside `keras.callbacks.TensorBoard`: every batch's metrics and distributions.

python benchmarks/keras_fit.py [--rounds 3] [--scale 1] [--topic 'fit in Keras on jax'] [--out results.jsonl]

A perceptron of 1.84 million parameters with Adam on the CPU, one intra-op thread, on each installed backend. Fits with and
without a callback take turns in one process, and so does which of them is first. The first epoch of each fit is left out, and the
figures are medians of the differences in a pair. 'no callback' is a fit without one on both sides: its row is the noise. A fit
counts until what it logged is in the file. 'main' is the training thread.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from clocks import lap, report, start, total
from contenders import OURS
from measure import Contender, options, race
from paired import PAIRS, in_turns
from targets import KERAS_EVERY_50, KERAS_FIT

if TYPE_CHECKING:
    from collections.abc import Callable

BACKENDS = ("jax", "tensorflow", "torch")
ORIGINAL, EVERY_50, NONE = "keras.callbacks.TensorBoard", KERAS_EVERY_50, "no callback"
BATCH, STEPS, EPOCHS = 128, 100, 3
"""Pictures in a batch, batches in an epoch, epochs of which the first does not count."""

Opened = tuple[list[Any], "Callable[[], object]"]
"""The callbacks of a fit, and what brings all that they logged into the file."""


def ours(log_dir: str, **arguments: Any) -> Opened:
    """Log with multiboard."""
    import multiboard as mb
    import multiboard.keras as mbk

    run = mb.Run(log_dir)
    return [mbk.TensorBoard(run=run, update_freq="batch", **arguments)], run.flush


def original(log_dir: str) -> Opened:
    """Log with Keras' own callback, which closes its files at the end of fit."""
    import keras

    return [keras.callbacks.TensorBoard(log_dir, histogram_freq=1, update_freq="batch")], lambda: None


WAYS: dict[str, Callable[[str], Opened]] = {
    OURS: lambda log_dir: ours(log_dir, histogram_freq=1),
    EVERY_50: lambda log_dir: ours(log_dir, every=50),
    ORIGINAL: original,
    NONE: lambda _log_dir: ([], lambda: None),
}


def use_one_thread() -> None:
    """Leave a core to writer threads, and none that spins; before anything is computed."""
    backend = os.environ["KERAS_BACKEND"]
    if backend == "torch":
        import torch

        torch.set_num_threads(1)
    elif backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    else:
        os.environ["NPROC"] = "1"  # of XLA's own thread pool


def network() -> Any:
    """Return a compiled classifier of 1.84 million parameters, always with the same weights."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Flatten(),
            layers.Dense(512, activation="relu", name="dense1"),
            layers.Dense(512, activation="relu", name="dense2"),
            layers.Dense(10, name="dense3"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-4), loss, metrics=["accuracy"])
    return model


class Fit:
    """A model, its data, and fits of it that are measured from the end of the first epoch on."""

    def __init__(self, steps: int) -> None:
        self.model = network()
        rng = np.random.default_rng(0)
        self.x = rng.standard_normal((BATCH * steps, 32, 32, 3), np.float32)
        self.y = rng.integers(0, 10, BATCH * steps)

    def run(self, callbacks: list[Any], flush: Callable[[], object]) -> dict[str, float]:
        """Fit the model and return the clocks in seconds."""
        import keras

        mark = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _logs: None if epoch else start())
        self.model.fit(self.x, self.y, BATCH, EPOCHS, verbose=0, shuffle=False, callbacks=[*callbacks, mark])
        passed = lap()
        flush()
        return total() | {"main_s": passed["caller_cpu_s"], "wall_s": passed["wall_s"]}


def measure(name: str, log_dir: str, pairs: int, steps: int) -> None:
    """Measure a callback."""
    use_one_thread()
    fit = Fit(steps)
    callbacks, flush = WAYS[name](log_dir)
    figures = in_turns(pairs, lambda: fit.run([], lambda: None), lambda: fit.run(callbacks, flush), steps=steps * (EPOCHS - 1))
    report(**figures)


def check(name: str, log_dir: str, pairs: int, steps: int) -> None:
    """Let TensorBoard read the loss of every batch and the distributions of every parameter back."""
    from readback import _values_of_tensorboard
    from tensorboard.util.tensor_util import make_ndarray

    losses, counts = 0, []
    for _, value in _values_of_tensorboard(Path(log_dir)):
        if value.tag in {"train/loss", "batch_loss"}:
            losses += 1
        elif value.tag.startswith("params/") or value.tag.endswith("/histogram"):
            counts.append(round(float(make_ndarray(value.tensor)[:, 2].sum())))
    batches = 0 if name == NONE else steps * EPOCHS * (pairs + 1)
    captures = -(-batches // 50) if name == EVERY_50 else batches // steps
    if losses != batches:
        raise ValueError(f"{losses} losses of {batches} batches")
    if sorted(counts) != sorted([int(np.prod(variable.shape)) for variable in network().trainable_variables] * captures):
        raise ValueError(f"{len(counts)} histograms of {captures} captures, or other counts")
    report(verified="TensorBoard")


def contenders(backend: str, pairs: int, steps: int) -> dict[str, Contender]:
    """Return what logs a fit on a backend; Keras' own callback needs TensorFlow on all of them."""
    start_keras = f"import os; os.environ['KERAS_BACKEND'] = {backend!r}; import keras_fit"
    return {
        name: Contender(
            "keras" if name in {ORIGINAL, NONE} else "multiboard",
            f"{start_keras}; keras_fit.measure({name!r}, d, {pairs}, {steps})",
            f"keras_fit.check({name!r}, d, {pairs}, {steps})",
            (backend, "tensorboard", *(("tensorflow",) if name == ORIGINAL else ())),
        )
        for name in WAYS
    }


def main() -> None:
    """Run a race per backend."""
    arguments = options(__doc__)
    for backend in BACKENDS:
        pairs, steps = max(2, round(PAIRS / 2 * arguments.scale)), STEPS if arguments.scale >= 0.3 else STEPS // 5
        race(f"{KERAS_FIT} on {backend}", contenders(backend, pairs, steps), arguments)


if __name__ == "__main__":
    main()
