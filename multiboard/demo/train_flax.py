"""The digits classifier in Flax NNX: `python -m multiboard.demo.train_flax --log-dir DIR --steps 220 --every 10`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import optax
from flax import nnx

import multiboard as mb
import multiboard.jax as mbj
from multiboard.demo.digits import NOTES, Digits, contact_sheet, initial_weights, say_progress, settings_from_arguments

if TYPE_CHECKING:
    import jax
    import numpy as np
    import numpy.typing as npt

    from multiboard.demo.digits import Settings


class Classifier(nnx.Module):
    """Two convolutions, a layer norm and two dense layers."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(1, 16, (3, 3), rngs=rngs)
        self.conv2 = nnx.Conv(16, 32, (3, 3), rngs=rngs)
        self.norm = nnx.LayerNorm(32, epsilon=1e-5, use_fast_variance=False, rngs=rngs)
        self.dense1 = nnx.Linear(512, 64, rngs=rngs)
        self.dense2 = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the logits `[N, 10]` of images `[N, 8, 8, 1]`."""
        x = nnx.relu(self.conv1(x))
        x = nnx.avg_pool(nnx.relu(self.conv2(x)), (2, 2), strides=(2, 2))
        x = self.norm(x).reshape(x.shape[0], -1)
        return self.dense2(nnx.relu(self.dense1(x)))


def load(model: nnx.Module, weights: dict[str, npt.NDArray[np.float32]]) -> None:
    """Port canonical weights: Flax has them in the canonical layout."""
    for name, array in weights.items():
        layer, role = name.split("/")
        getattr(getattr(model, layer), role)[...] = jnp.asarray(array)


def loss_and_logits(model: Classifier, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the mean cross-entropy and the logits."""
    logits = model(x)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), logits


def train_step(model: Classifier, optimizer: nnx.Optimizer[Classifier], x: jax.Array, y: jax.Array) -> dict[str, jax.Array]:
    """Take one optimizer step."""
    (loss, logits), gradients = nnx.value_and_grad(loss_and_logits, has_aux=True)(model, x, y)
    optimizer.update(model, gradients)
    return {"loss": loss, "accuracy": (logits.argmax(1) == y).mean()}


def main(settings: Settings) -> None:
    """Train and log."""
    digits = Digits(settings)
    model = Classifier(nnx.Rngs(settings.seed))
    load(model, initial_weights(settings.seed))
    optimizer = nnx.Optimizer(model, optax.sgd(settings.learning_rate, settings.momentum), wrt=nnx.Param)
    evaluate = nnx.jit(loss_and_logits)
    val_x, val_y = digits.val
    with mb.Run(settings.log_dir, config=settings.config("flax")) as run:
        step_fn = mbj.wrap_train_step(train_step, run, every=settings.every, learning_rate=settings.learning_rate)
        mbj.graph(model, val_x[: settings.batch_size], run=run)
        run.text("run/notes", NOTES, step=0)
        for step, epoch, batch in mbj.loop(digits.steps(), run, watching=step_fn, examples=settings.batch_size):
            step_fn(model, optimizer, *batch)  # logs what it returns as train/loss and train/accuracy
            if settings.ends_epoch(step):
                loss, logits = evaluate(model, val_x, val_y)
                run.log({"val/loss": loss, "val/accuracy": (logits.argmax(1) == val_y).mean(), "train/epoch": epoch}, step)
            say_progress(step + 1)
        run.image("val/examples", contact_sheet(*digits.val, logits.argmax(1)), step)


if __name__ == "__main__":
    main(settings_from_arguments())
