"""What logging costs a Keras fit, beside `keras.callbacks.TensorBoard`: every batch's metrics and distributions.

python benchmarks/keras_fit.py [--rounds 3] [--scale 1] [--topic '<race> on jax'] [--out results.jsonl]

Three classifiers with Adam on the CPU, one intra-op thread, on each installed backend. Inside of one fit the callback hears of
every other block of batches only, and a block counts until what it logged is in the file: what a fit compiles, converts and
allocates once is the same for both. The first epoch is left out. 'no callback' hears of nothing: its row is the noise. 'main' is
the training thread; 'added' spreads captures and ends of epochs over the steps.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from clocks import report
from contenders import OURS
from measure import Contender, options, race
from targets import KERAS_CNN, KERAS_EVERY_50, KERAS_FIT, KERAS_LARGER_CNN

if TYPE_CHECKING:
    from collections.abc import Callable


BACKENDS = ("jax", "tensorflow", "torch")
ORIGINAL, EVERY_50, NONE = "keras.callbacks.TensorBoard", KERAS_EVERY_50, "no callback"
BATCH, BLOCK, STEPS, EPOCHS = 128, 20, 100, 20
"""Pictures in a batch, batches in a block and in an epoch, epochs. The second block of an epoch is logged, with a capture, and
the fourth one, without; the first and the last one, with the beginning and the end of the epoch, are in no figure."""
PERIODS = {OURS: STEPS, EVERY_50: 50}
"""Steps from one capture to the next, over which it is spread."""

Opened = tuple[Any, "Callable[[], object]"]
"""A callback, and what brings all that it logged into the file."""


def ours(log_dir: str, **arguments: Any) -> Opened:
    """Log with multiboard."""
    import multiboard as mb
    import multiboard.keras as mbk

    run = mb.Run(log_dir)
    return mbk.TensorBoard(run=run, update_freq="batch", **arguments), run.flush


def original(log_dir: str) -> Opened:
    """Log with Keras' own callback."""
    import keras

    callback = keras.callbacks.TensorBoard(log_dir, histogram_freq=1, update_freq="batch")

    def flush() -> None:
        callback._train_writer.flush()  # noqa: SLF001  # it has no other way

    return callback, flush


def nothing(_log_dir: str) -> Opened:
    """Log nothing."""
    import keras

    callback = keras.callbacks.Callback()
    callback.async_safe = True
    return callback, lambda: None


WAYS: dict[str, Callable[[str], Opened]] = {
    OURS: lambda log_dir: ours(log_dir, histogram_freq=1),
    EVERY_50: lambda log_dir: ours(log_dir, every=4 * BLOCK),  # all that it counts in an epoch
    ORIGINAL: original,
    NONE: nothing,
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


def perceptron() -> list[Any]:
    """Return layers of 1.84 million parameters: a step takes about as long as a look at parameters, gradients and updates."""
    from keras import layers

    dense = [layers.Dense(512, activation="relu", name=f"dense{number}") for number in (1, 2)]
    return [layers.Flatten(), *dense, layers.Dense(10, name="dense3")]


def small_cnn() -> list[Any]:
    """Return the layers of `models.SmallNetwork`, of 105 thousand parameters."""
    from keras import layers

    convolutions = [layers.Conv2D(width, 3, padding="same", activation="relu", name=f"conv{width}") for width in (16, 32)]
    pooled = [layer for convolution in convolutions for layer in (convolution, layers.MaxPooling2D())]
    last = [layers.Conv2D(64, 3, padding="same", name="conv64"), layers.BatchNormalization(), layers.ReLU(), layers.Flatten()]
    return [*pooled, *last, layers.Dense(78, activation="relu", name="dense78"), layers.Dense(10, name="dense10")]


class Task(NamedTuple):
    """What is trained.

    Attributes:
        topic: of its race.
        layers: makes the layers.
        size: width and height of a picture.
    """

    topic: str
    layers: Callable[[], list[Any]]
    size: int

    def network(self) -> Any:
        """Return a compiled classifier, always with the same weights."""
        import keras

        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((self.size, self.size, 3)), *self.layers()])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-4), loss, metrics=["accuracy"])
        return model

    def data(self) -> tuple[Any, Any]:
        """Return pictures and labels of an epoch."""
        rng, count = np.random.default_rng(0), BATCH * STEPS
        return rng.standard_normal((count, self.size, self.size, 3), np.float32), rng.integers(0, 10, count)


TASKS = {
    "perceptron": Task(KERAS_FIT, perceptron, 32),
    "small_cnn": Task(KERAS_CNN, small_cnn, 16),
    "larger_pictures": Task(KERAS_LARGER_CNN, small_cnn, 24),
}


def measure(task: str, name: str, log_dir: str, epochs: int) -> None:
    """Measure a callback."""
    use_one_thread()
    from keras_turns import InTurns, figures

    callback, flush = WAYS[name](log_dir)
    turns = InTurns(callback, flush)
    model = TASKS[task].network()
    model.optimizer.iterations.assign(3 * BLOCK)  # `every` finds the first step that the callback hears of
    x, y = TASKS[task].data()
    model.fit(x, y, BATCH, epochs, verbose=0, shuffle=False, callbacks=[turns])
    period = PERIODS.get(name)
    report(**figures(turns.parts("cpu_s"), "cpu", period), **figures(turns.parts("caller_cpu_s"), "main", period))


def check(task: str, name: str, log_dir: str, epochs: int) -> None:
    """Let TensorBoard read the loss of every batch and the distributions of every parameter back."""
    from readback import _values_of_tensorboard
    from tensorboard.util.tensor_util import make_ndarray

    losses, counts = 0, []
    for _, value in _values_of_tensorboard(Path(log_dir)):
        if value.tag in {"train/loss", "batch_loss"}:
            losses += 1
        elif value.tag.startswith("params/") or value.tag.endswith("/histogram"):
            counts.append(round(float(make_ndarray(value.tensor)[:, 2].sum())))
    batches, captures = (0, 0) if name == NONE else (2 * BLOCK * epochs, epochs)
    if losses != batches:
        raise ValueError(f"{losses} losses of {batches} batches")
    network = TASKS[task].network()
    variables = network.weights if name == ORIGINAL else network.trainable_variables
    if sorted(counts) != sorted([int(np.prod(variable.shape)) for variable in variables] * captures):
        raise ValueError(f"{len(counts)} histograms of {captures} captures, or other counts")
    report(verified="TensorBoard")


def contenders(task: str, backend: str, epochs: int) -> dict[str, Contender]:
    """Return what logs a fit on a backend; Keras' own callback needs TensorFlow on all of them."""
    start_keras = f"import os; os.environ['KERAS_BACKEND'] = {backend!r}; import keras_fit"
    return {
        name: Contender(
            "keras" if name in {ORIGINAL, NONE} else "multiboard",
            f"{start_keras}; keras_fit.measure({task!r}, {name!r}, d, {epochs})",
            f"keras_fit.check({task!r}, {name!r}, d, {epochs})",
            (backend, "tensorboard", *(("tensorflow",) if name == ORIGINAL else ())),
        )
        for name in WAYS
    }


def main() -> None:
    """Run a race per backend."""
    arguments = options(__doc__)
    epochs = 1 + max(2, round(EPOCHS * arguments.scale))
    for name, task in TASKS.items():
        for backend in BACKENDS:
            race(f"{task.topic} on {backend}", contenders(name, backend, epochs), arguments)


if __name__ == "__main__":
    main()
