"""A sweep on handwritten digits, one run per trial: `KERAS_BACKEND=torch python examples/keras_sweep.py --epochs 5`.

The HParams tab of TensorBoard then has a row per trial, with its accuracy and how it ended. With keras-tuner, make the same
callback in `HyperModel.fit(self, hp, model, *args, **options)`: `mbk.HParams(log_dir, hp)`.
"""

import argparse
import itertools
import os

import numpy as np
from sklearn.datasets import load_digits

os.environ.setdefault("KERAS_BACKEND", "jax")  # or torch, or tensorflow; read when Keras is imported

import keras
from keras import layers

import multiboard.keras as mbk

LEARNING_RATES = [1e-3, 1e-2]
UNITS = [16, 64]
DOMAINS = {"lr": LEARNING_RATES, "units": UNITS}
METRICS = {"val/accuracy": "validation accuracy", "val/loss": ""}


def make_classifier(lr, units):
    hidden = layers.Dense(units, activation="relu", name="hidden")
    model = keras.Sequential([keras.Input((64,)), hidden, layers.Dense(10, name="logits")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(lr), loss, metrics=["accuracy"])
    return model


def main(log_dir, epochs):
    digits = load_digits()
    images = (digits.data / 16).astype("float32")  # pixels are 0 to 16
    train_rows, val_rows = np.split(np.random.default_rng(0).permutation(len(images)), [1437])
    train, validation = ((images[rows], digits.target[rows]) for rows in (train_rows, val_rows))

    for lr, units in itertools.product(LEARNING_RATES, UNITS):
        keras.utils.set_random_seed(0)
        hparams = {"lr": lr, "units": units}
        with mbk.HParams(log_dir, hparams, domains=DOMAINS, metrics=METRICS) as callback:
            model = make_classifier(lr, units)
            fit = model.fit(*train, 64, epochs, verbose=0, validation_data=validation, callbacks=[callback])
        print(f"{hparams}: validation accuracy {fit.history['val_accuracy'][-1]:.3f}")
    print(f"tensorboard --logdir {log_dir}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log-dir", default="runs/keras_sweep")
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.log_dir, arguments.epochs)
