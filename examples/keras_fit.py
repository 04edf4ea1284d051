"""A Keras fit on handwritten digits, logged by multiboard: `KERAS_BACKEND=torch python examples/keras_fit.py --epochs 5`."""

import argparse
import os

import numpy as np
from sklearn.datasets import load_digits

os.environ.setdefault("KERAS_BACKEND", "jax")  # or torch, or tensorflow; read when Keras is imported

import keras
from keras import layers

import multiboard as mb
import multiboard.keras as mbk


def make_classifier():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", name="conv1"),
            layers.GroupNormalization(4, name="norm"),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="dense1"),
            layers.Dense(10, name="dense2"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    return model


def main(log_dir, epochs, batch_size=64):
    keras.utils.set_random_seed(0)
    digits = load_digits()
    images = (digits.images[..., None] / 16).astype("float32")  # pixels are 0 to 16
    labels = digits.target
    train_rows, val_rows = np.split(np.random.default_rng(0).permutation(len(images)), [1437])
    validation = images[val_rows], labels[val_rows]
    model = make_classifier()

    with mb.Run(log_dir, config={"epochs": epochs, "batch_size": batch_size}) as run:
        run.text("run/notes", "Digits of **8 x 8** pixels, one convolution, two dense layers.", step=0)
        callback = mbk.TensorBoard(run=run, every=10, update_freq="batch")
        fit = model.fit(
            images[train_rows],
            labels[train_rows],
            batch_size,
            epochs,
            verbose=0,
            validation_data=validation,
            callbacks=[callback],
        )
        run.image("val/examples", validation[0][:16], int(model.optimizer.iterations) - 1)
    print(f"validation accuracy {fit.history['val_accuracy'][-1]:.3f}\ntensorboard --logdir {log_dir}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log-dir", default="runs/keras")
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.log_dir, arguments.epochs)
