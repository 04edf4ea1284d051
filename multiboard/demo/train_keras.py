"""The digits classifier in Keras 3, any backend: `python -m multiboard.demo.train_keras --log-dir DIR --steps 220 --every 10`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

import multiboard as mb
import multiboard.keras as mbk
from multiboard.demo.digits import NOTES, Digits, contact_sheet, initial_weights, say_progress, settings_from_arguments

if TYPE_CHECKING:
    import numpy.typing as npt

    from multiboard.demo.digits import Settings


def classifier() -> keras.Model:
    """Return two convolutions, a layer norm and two dense layers; images `[N, 8, 8, 1]` to logits `[N, 10]`."""
    layers = keras.layers
    return keras.Sequential([
        keras.Input((8, 8, 1)),
        layers.Conv2D(16, 3, padding="same", activation="relu", name="conv1"),
        layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2"),
        layers.AveragePooling2D(2),
        layers.LayerNormalization(epsilon=1e-5, name="norm"),
        layers.Flatten(),
        layers.Dense(64, activation="relu", name="dense1"),
        layers.Dense(10, name="dense2"),
    ])  # fmt: skip


def load(model: keras.Model, weights: dict[str, npt.NDArray[np.float32]]) -> None:
    """Port canonical weights: Keras has them in the canonical layout, the norm calls its scale gamma and its bias beta."""
    roles = {"norm": ("scale", "bias")}
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([weights[f"{layer.name}/{role}"] for role in roles.get(layer.name, ("kernel", "bias"))])


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
    model = classifier()
    load(model, initial_weights(settings.seed))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(settings.learning_rate, settings.momentum), loss, metrics=["accuracy"])
    epochs, rest = divmod(settings.steps, settings.steps_per_epoch)
    with mb.Run(settings.log_dir, config=settings.config(f"keras-{keras.backend.backend()}")) as run:
        callbacks = [mbk.TensorBoard(run=run, every=settings.every, update_freq="batch"), Progress()]
        run.text("run/notes", NOTES, step=0)
        fit = {
            "shuffle": False,
            "validation_data": digits.val,
            "validation_batch_size": len(digits.val[1]),
            "callbacks": callbacks,
            "verbose": 0,
        }
        if epochs:
            batches = (batch for _, _, batch in digits.steps())
            model.fit(batches, steps_per_epoch=settings.steps_per_epoch, epochs=epochs, **fit)
        if rest:  # the last epoch is a short one
            model.fit(digits.batches(epochs), steps_per_epoch=rest, initial_epoch=epochs, epochs=epochs + 1, **fit)
        predictions = np.argmax(model.predict(digits.val[0], verbose=0), axis=1)
        run.image("val/examples", contact_sheet(*digits.val, predictions), settings.steps - 1)


if __name__ == "__main__":
    main(settings_from_arguments())
