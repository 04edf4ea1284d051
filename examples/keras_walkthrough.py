"""A walk through TensorBoard with Keras in cells, on any backend: `KERAS_BACKEND=torch python examples/keras_walkthrough.py`.

Editors show the `# %%` marks as cells; as a program it runs from top to bottom. It needs scikit-learn, for the digits.
"""

# %% A directory named by date and time, so that every training is a run of its own
import os
import sys
from datetime import datetime
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")  # or torch, or tensorflow; read when Keras is imported

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import multiboard as mb
import multiboard.keras as mbk

root = Path(sys.argv[1] if len(sys.argv) > 1 else "logs")
log_dir = root / datetime.now().strftime("%Y%m%d-%H%M%S")  # noqa: DTZ005  # local time, as people look for it

# %% The data: digits of 8 x 8 pixels in 17 shades of grey
digits = load_digits()
x, y = digits.images.astype("int32"), digits.target
x_train, y_train, x_val, y_val = x[:1437], y[:1437], x[1437:], y[1437:]

# %% Open the run, and look at the data before anything is trained
run = mb.Run(log_dir, config={"learning_rate": 2e-3, "batch_size": 8})
run.image("data/digits", x_train[:25, ..., None] / 16, 0)
run.text("run/notes", "Digits, **each shade of grey a vector** that is learnt.", 0)


# %% A model with an Embedding, a convolution and two dense layers
def make_model():
    model = keras.Sequential(
        [
            keras.Input((8, 8), dtype="int32"),
            layers.Embedding(17, 4, name="shades"),
            layers.Conv2D(16, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(32, activation="relu", name="hidden"),
            layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.compile(keras.optimizers.Adam(2e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


keras.utils.set_random_seed(0)
model = make_model()


# %% A number of one's own: the learning rate that a schedule has chosen for the epoch
def schedule(epoch, learning_rate):
    learning_rate = learning_rate if epoch < 2 else learning_rate * 0.5
    run.scalar("custom/learning_rate", learning_rate, epoch)
    return learning_rate


# %% Pictures of one's own, at the end of every epoch: which digit is taken for which
def log_confusion(epoch, _logs):
    predicted = model.predict(x_val, verbose=0).argmax(axis=-1)
    counts = np.zeros((10, 10))
    np.add.at(counts, (y_val, predicted), 1)
    run.image("val/confusion", (counts / counts.max()).repeat(16, 0).repeat(16, 1)[..., None], epoch)


# %% Train: metrics of every batch, histograms at the beginning of every epoch, embeddings, a profile, sample predictions
tensorboard = mbk.TensorBoard(
    run=run,
    update_freq="batch",
    histogram_freq=1,
    activations=["conv", "hidden"],
    write_images=True,
    profile_batch="500,520",
    embeddings_freq=1,
    embeddings_metadata={"shades": [f"grey {shade}" for shade in range(17)]},
    samples=mbk.Samples(x_val[:8], y_val[:8], labels=[str(digit) for digit in range(10)]),
)
history = model.fit(
    x_train,
    y_train,
    batch_size=8,
    epochs=3,
    verbose=0,
    validation_data=(x_val, y_val),
    callbacks=[
        tensorboard,
        keras.callbacks.LearningRateScheduler(schedule),
        keras.callbacks.LambdaCallback(on_epoch_end=log_confusion),
    ],
)
run.close()

# %% Launch TensorBoard, from a terminal
print(f"validation accuracy {history.history['val_accuracy'][-1]:.3f}\ntensorboard --logdir {root}")

# %% ... or in a notebook
# %load_ext tensorboard
# %tensorboard --logdir logs

# %% Read it back, as columns
data = mb.read(log_dir)["."]
print(f"{len(data.scalars)} scalars, {len(data.histograms)} histograms, last loss {data.scalars['train/loss'].value[-1]:.3f}")
