"""What the three trainings share: data, their order, initial weights and settings. NumPy and scikit-learn only."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.datasets import load_digits

from multiboard.demo import breaks
from multiboard.demo.choices import Choices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

VALIDATION: Final = 360
CLASSES: Final = 10
KEPT: Final = 0.8
"""Share of the units that dropout keeps."""
WARMUP: Final = 20
"""Steps in which the learning rate rises."""
LOGGED: Final = ("params", "grads", "updates", "buffers")
WATCHED: Final = ("conv*", "norm*", "gelu*", "dense*")
"""Layers whose outputs are captured."""
NOTES: Final = """### Digits

The same classifier in PyTorch, Flax and Keras, from the same initial weights, with the same batches, the same units dropped and
the same optimiser: AdamW, whose decay leaves norms and biases alone, with a learning rate that rises for 20 steps and falls to 0.

| layer | shape of the kernel | then |
|---|---|---|
| conv1 | 3 x 3 x 1 x 16, without bias | batch norm, GELU |
| conv2 | 3 x 3 x 16 x 32, stride 2 | layer norm over channels, GELU |
| dense1 | 512 x 64 | GELU, dropout |
| dense2 | 64 x 64 | GELU |
| dense3 | 64 x 10 | |
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """The hyper-parameters of one training.

    Attributes:
        steps: optimizer steps.
        every: steps between two captures of parameters and gradients.
        choices: what a port may get wrong.
    """

    log_dir: str
    steps: int
    every: int
    batch_size: int = 64
    learning_rate: float = 0.005
    weight_decay: float = 0.1
    seed: int = 0
    choices: Choices = field(default_factory=Choices)

    def ends_epoch(self, step: int) -> bool:
        """Tell whether a step is the last of an epoch or of the training."""
        return (step + 1) % self.steps_per_epoch == 0 or step == self.steps - 1

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one pass over the training data."""
        return (1797 - VALIDATION) // self.batch_size

    def rate(self, step: Any, minimum: Callable[..., Any] = min) -> Any:
        """Return the learning rate of a step: it rises to the largest one, then falls to 0 at the end.

        Args:
            step: a number, or a tensor of a framework.
            minimum: of two such numbers.
        """
        step = step + self.choices.schedule_offset
        return self.learning_rate * minimum((step + 1) / WARMUP, 1 - step / self.steps)

    def config(self, framework: str) -> dict[str, Any]:
        """Return the hyper-parameters for the HParams tab."""
        shared = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in {"log_dir", "choices"}}
        return {"framework": framework, "optimizer": "adamw", **shared}


def settings_from_arguments(framework: str, arguments: Sequence[str] | None = None) -> Settings:
    """Parse the command line of one training process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log-dir", required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--every", type=int, required=True)
    parser.add_argument("--break", dest="name", choices=breaks.BREAKS)
    given = parser.parse_args(arguments)
    return Settings(given.log_dir, given.steps, given.every, choices=breaks.choices(given.name, framework))


class Digits:
    """The 1,797 handwritten digits of scikit-learn, 8 x 8 pixels, split and ordered by a seed.

    Attributes:
        train: images float32 `[1437, 8, 8, 1]` from 0 to 1, labels int32 `[1437]`.
        val: the same, 360 of them.
    """

    def __init__(self, settings: Settings) -> None:
        bunch = load_digits()
        images = (bunch.images / 16 * settings.choices.pixel_scale).astype(np.float32)[..., np.newaxis]
        labels = bunch.target.astype(np.int32)
        order = np.random.default_rng(settings.seed).permutation(len(labels))
        self.val = images[order[:VALIDATION]], labels[order[:VALIDATION]]
        self.train = images[order[VALIDATION:]], labels[order[VALIDATION:]]
        self._settings = settings

    def steps(self) -> Iterator[tuple[int, int, tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]]]:
        """Yield step, epoch and batch of the whole training."""
        epochs = -(-self._settings.steps // self._settings.steps_per_epoch)
        batches = ((epoch, batch) for epoch in range(epochs) for batch in self.batches(epoch))
        for step, (epoch, batch) in zip(range(self._settings.steps), batches, strict=False):
            yield step, epoch, batch

    def batches(self, epoch: int) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]]:
        """Yield the batches of one epoch: images `[N, 8, 8, 1]` and labels `[N]`, shuffled by seed and epoch."""
        images, labels = self.train
        order = np.random.default_rng((self._settings.seed + self._settings.choices.shuffle, epoch)).permutation(len(labels))
        size = self._settings.batch_size
        for start in range(0, self._settings.steps_per_epoch * size, size):
            chosen = order[start : start + size]
            yield images[chosen], labels[chosen]


def initial_weights(settings: Settings) -> dict[str, npt.NDArray[np.float32]]:
    """Return the initial parameters by canonical name: convolutions HWIO, dense kernels `[in, out]`."""
    rng = np.random.default_rng(settings.seed)
    choices = settings.choices
    shapes = {"conv1": (3, 3, 1, 16), "conv2": (3, 3, 16, 32), "dense1": (512, 64), "dense2": (64, 64), "dense3": (64, CLASSES)}
    weights: dict[str, npt.NDArray[np.float32]] = {}
    for layer, shape in shapes.items():
        spread = np.sqrt(2 / np.prod(shape[:-1])) * (choices.gain if layer == "dense1" else 1)
        weights[f"{layer}/kernel"] = (rng.normal(size=shape) * spread).astype(np.float32)
        weights[f"{layer}/bias"] = np.zeros(shape[-1], np.float32)
    for layer, width in (("norm1", 16), ("norm2", 32)):
        weights |= {f"{layer}/scale": np.ones(width, np.float32), f"{layer}/bias": np.zeros(width, np.float32)}
    if choices.transposed:
        weights["dense2/kernel"] = weights["dense2/kernel"].T.copy()
    without = {"conv1/bias"} | (set() if choices.output_bias else {"dense3/bias"})
    return {name: array for name, array in weights.items() if name not in without}


@cache
def dropout_mask() -> npt.NDArray[np.float32]:
    """Return what dropout multiplies by, `[360, 64]`: a row per place in the batch, so that every framework drops the same."""
    kept = np.random.default_rng(0).random((VALIDATION, 64)) < KEPT
    return (kept / KEPT).astype(np.float32)


def contact_sheet(images: npt.NDArray[np.float32], labels: npt.NDArray[Any], predictions: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Draw 64 digits as a grid of 8 x 8; wrongly predicted ones are tinted red.

    Args:
        images: float32 `[N, 8, 8, 1]`, N >= 64.
        labels: integers `[N]`.
        predictions: integers `[N]`.

    Returns:
        uint8 `[320, 320, 3]`.
    """
    tiles = np.repeat(images[:64], 3, axis=-1)
    wrong = (np.asarray(predictions) != labels)[:64]
    tiles[wrong] = tiles[wrong] * [1.0, 0.3, 0.3] + [0.25, 0.0, 0.0]
    tiles = np.pad(tiles, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=0.15)
    sheet = tiles.reshape(8, 8, 10, 10, 3).transpose(0, 2, 1, 3, 4).reshape(80, 80, 3)
    return np.rint(np.clip(sheet, 0, 1) * 255).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)


def say_progress(step: int) -> None:
    """Tell the parent process how many steps are done, as a JSON line."""
    sys.stdout.write(json.dumps({"step": step}) + "\n")
    sys.stdout.flush()
