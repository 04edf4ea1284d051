"""The digits classifier in Keras 3, any backend: `python -m multiboard.demo.train_keras --log-dir DIR --steps 220 --every 10`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

import multiboard as mb
import multiboard.keras as mbk
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
    import numpy.typing as npt

    from multiboard.demo.choices import Choices
    from multiboard.demo.digits import Settings


class GELU(keras.layers.Layer):  # type: ignore[misc]
    """GELU, exact or approximated."""

    def __init__(self, *, approximate: bool, **options: Any) -> None:
        super().__init__(**options)
        self.approximate = approximate

    def call(self, x: Any) -> Any:
        """Return x times the share of a normal distribution below it."""
        return keras.ops.gelu(x, approximate=self.approximate)


class Dropout(keras.layers.Layer):  # type: ignore[misc]
    """Drops the same units in every framework."""

    def __init__(self, *, always: bool, **options: Any) -> None:
        super().__init__(**options)
        self.always = always

    def call(self, x: Any, *, training: bool = False) -> Any:
        """Return `[N, 64]` with units set to 0 in training."""
        return x * keras.ops.convert_to_tensor(dropout_mask())[: keras.ops.shape(x)[0]] if training or self.always else x


class Rate(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of the settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, step: Any) -> Any:
        """Return the rate of a step."""
        return self.settings.rate(keras.ops.cast(step, "float32"), keras.ops.minimum)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"settings": self.settings}


def classifier(choices: Choices) -> keras.Model:
    """Return two convolutions with norms and three dense layers; images `[N, 8, 8, 1]` to logits `[N, 10]`."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((8, 8, 1)),
        layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv1"),
        layers.BatchNormalization(momentum=choices.statistics_kept, epsilon=1e-5, name="norm1"),
        GELU(approximate=choices.tanh_gelu, name="gelu1"),
        layers.ZeroPadding2D((choices.padding, choices.padding)),
        layers.Conv2D(32, 3, strides=2, name="conv2"),
        layers.LayerNormalization(epsilon=choices.norm_epsilon, name="norm2"),
        GELU(approximate=choices.tanh_gelu, name="gelu2"),
        *([layers.Permute((3, 1, 2))] if choices.channels_first else []),
        layers.Flatten(),
        layers.Dense(64, name="dense1"),
        GELU(approximate=choices.tanh_gelu, name="gelu3"),
        Dropout(always=choices.dropout_in_evaluation, name="dropout"),
        layers.Dense(64, name="dense2"),
        GELU(approximate=choices.tanh_gelu, name="gelu4"),
        layers.Dense(10, use_bias=choices.output_bias, name="dense3"),
    ])  # fmt: skip


def load(model: keras.Model, weights: dict[str, npt.NDArray[np.float32]]) -> None:
    """Port canonical weights: Keras has them in the canonical layout; a norm calls its scale gamma and its bias beta."""
    of_norm = {"scale": "gamma", "bias": "beta"}
    for name, array in weights.items():
        layer, role = name.split("/")
        getattr(model.get_layer(layer), of_norm[role] if layer.startswith("norm") else role).assign(array)


def optimizer_of(settings: Settings) -> keras.optimizers.Optimizer:
    """Return AdamW, whose decay leaves out norms and biases."""
    choices = settings.choices
    optimizer = keras.optimizers.AdamW(Rate(settings), weight_decay=settings.weight_decay, epsilon=choices.optimizer_epsilon)
    if not choices.decay_norms:
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


class Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells the parent process how far the training is."""

    def __init__(self) -> None:
        super().__init__()
        self._done = 0

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        """Say one more step."""
        self._done += 1
        say_progress(self._done)


def main(settings: Settings) -> None:
    """Train and log."""
    keras.utils.set_random_seed(settings.seed)
    digits = Digits(settings)
    model = classifier(settings.choices)
    load(model, initial_weights(settings))
    reduction = "sum" if settings.choices.reduction == "sum" else "sum_over_batch_size"
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    model.compile(optimizer_of(settings), loss, metrics=["accuracy"])
    epochs, rest = divmod(settings.steps, settings.steps_per_epoch)
    with mb.Run(settings.log_dir, config=settings.config(f"keras-{keras.backend.backend()}")) as run:
        board = mbk.TensorBoard(run=run, every=settings.every, update_freq="batch", log=LOGGED, activations=WATCHED)
        run.text("run/notes", NOTES, step=0)
        fit = {
            "shuffle": False,
            "validation_data": digits.val,
            "validation_batch_size": len(digits.val[1]),
            "callbacks": [board, Progress()],
            "verbose": 0,
        }
        if epochs:
            batches = (batch for _, _, batch in digits.steps())
            model.fit(batches, steps_per_epoch=settings.steps_per_epoch, epochs=epochs, **fit)
        if rest:  # the last epoch is a short one
            model.fit(digits.batches(epochs), steps_per_epoch=rest, initial_epoch=epochs, epochs=epochs + 1, **fit)
        predictions = np.argmax(model.predict(digits.val[0], batch_size=len(digits.val[1]), verbose=0), axis=1)
        run.image("val/examples", contact_sheet(*digits.val, predictions), settings.steps - 1)


if __name__ == "__main__":
    main(settings_from_arguments("keras"))
