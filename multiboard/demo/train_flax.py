"""The digits classifier in Flax NNX: `python -m multiboard.demo.train_flax --log-dir DIR --steps 220 --every 10`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import multiboard as mb
import multiboard.jax as mbj
from multiboard.demo.digits import (
    LOGGED,
    NOTES,
    WATCHED,
    Digits,
    contact_sheet,
    dropout_mask,
    initial_weights,
    say_progress,
    settings_from_arguments,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from multiboard.demo.choices import Choices
    from multiboard.demo.digits import Settings


class GELU(nnx.Module):
    """GELU as a layer, so that its outputs can be captured."""

    def __init__(self, *, approximate: bool) -> None:
        self.approximate = approximate

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return x times the share of a normal distribution below it."""
        return jax.nn.gelu(x, approximate=self.approximate)


class Dropout(nnx.Module):
    """Drops the same units in every framework."""

    def __init__(self, *, always: bool) -> None:
        self.always = always
        self.deterministic = False

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return `[N, 64]` with units set to 0 in training."""
        return x if self.deterministic and not self.always else x * dropout_mask()[: len(x)]


class Classifier(nnx.Module):
    """Two convolutions with norms and three dense layers."""

    def __init__(self, choices: Choices, rngs: nnx.Rngs) -> None:
        padding = (choices.padding, choices.padding)
        self.conv1 = nnx.Conv(1, 16, (3, 3), use_bias=False, rngs=rngs)
        self.norm1 = nnx.BatchNorm(16, momentum=choices.statistics_kept, use_fast_variance=False, rngs=rngs)
        self.gelu1 = GELU(approximate=choices.tanh_gelu)
        self.conv2 = nnx.Conv(16, 32, (3, 3), strides=2, padding=padding, rngs=rngs)
        self.norm2 = nnx.LayerNorm(32, epsilon=choices.norm_epsilon, use_fast_variance=False, rngs=rngs)
        self.gelu2 = GELU(approximate=choices.tanh_gelu)
        self.dense1 = nnx.Linear(512, 64, rngs=rngs)
        self.gelu3 = GELU(approximate=choices.tanh_gelu)
        self.dropout = Dropout(always=choices.dropout_in_evaluation)
        self.dense2 = nnx.Linear(64, 64, rngs=rngs)
        self.gelu4 = GELU(approximate=choices.tanh_gelu)
        self.dense3 = nnx.Linear(64, 10, use_bias=choices.output_bias, rngs=rngs)
        self.channels_first = choices.channels_first

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the logits `[N, 10]` of images `[N, 8, 8, 1]`."""
        x = self.gelu1(self.norm1(self.conv1(x)))
        x = self.gelu2(self.norm2(self.conv2(x)))
        x = (x.transpose(0, 3, 1, 2) if self.channels_first else x).reshape(x.shape[0], -1)
        x = self.dropout(self.gelu3(self.dense1(x)))
        return self.dense3(self.gelu4(self.dense2(x)))


def load(model: nnx.Module, weights: dict[str, npt.NDArray[np.float32]]) -> None:
    """Port canonical weights: Flax has them in the canonical layout."""
    for name, array in weights.items():
        layer, role = name.split("/")
        getattr(getattr(model, layer), role)[...] = jnp.asarray(array)


def optimizer_of(model: nnx.Module, settings: Settings, rate: Callable[[jax.Array], jax.Array]) -> nnx.Optimizer[nnx.Module]:
    """Return AdamW, whose decay leaves out norms and biases."""
    choices = settings.choices
    decays = partial(jax.tree.map, lambda value: choices.decay_norms or value.ndim > 1)
    decay = optax.add_decayed_weights(settings.weight_decay, decays)
    adam = optax.scale_by_adam(eps=choices.optimizer_epsilon)
    order = (adam, decay) if choices.decoupled else (decay, adam)
    return nnx.Optimizer(model, optax.chain(*order, optax.scale_by_learning_rate(rate)), wrt=nnx.Param)


def main(settings: Settings) -> None:
    """Train and log."""
    digits = Digits(settings)
    model = Classifier(settings.choices, nnx.Rngs(settings.seed))
    load(model, initial_weights(settings))
    rate = partial(settings.rate, minimum=jnp.minimum)
    optimizer = optimizer_of(model, settings, rate)
    reduction = getattr(jnp, settings.choices.reduction)

    def loss_and_logits(model: Classifier, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = model(x)
        return reduction(optax.softmax_cross_entropy_with_integer_labels(logits, y)), logits

    def train_step(model: Classifier, optimizer: nnx.Optimizer[Classifier], x: jax.Array, y: jax.Array) -> dict[str, jax.Array]:
        (loss, logits), gradients = nnx.value_and_grad(loss_and_logits, has_aux=True)(model, x, y)
        optimizer.update(model, gradients)
        return {"loss": loss, "accuracy": (logits.argmax(1) == y).mean()}

    evaluate = nnx.jit(loss_and_logits)
    val_x, val_y = digits.val
    with mb.Run(settings.log_dir, config=settings.config("flax")) as run:
        step_fn = mbj.wrap_train_step(train_step, run, every=settings.every, log=LOGGED, activations=WATCHED, learning_rate=rate)
        model.eval()  # in training the statistics of norm1 are outputs, too
        mbj.graph(model, val_x[: settings.batch_size], run=run)
        model.train()
        run.text("run/notes", NOTES, step=0)
        for step, epoch, batch in mbj.loop(digits.steps(), run, watching=step_fn, examples=settings.batch_size):
            step_fn(model, optimizer, *batch)  # logs what it returns as train/loss and train/accuracy
            if settings.ends_epoch(step):
                model.eval()
                loss, logits = evaluate(model, val_x, val_y)
                model.train()
                run.log({"val/loss": loss, "val/accuracy": (logits.argmax(1) == val_y).mean(), "train/epoch": epoch}, step)
            say_progress(step + 1)
        run.image("val/examples", contact_sheet(*digits.val, logits.argmax(1)), step)


if __name__ == "__main__":
    main(settings_from_arguments("flax"))
