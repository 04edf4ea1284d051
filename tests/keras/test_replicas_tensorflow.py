"""A model that TensorFlow trains on several replicas is logged from outside of its steps, and trained as without the callback."""

import subprocess
import sys

import pytest

import multiboard as mb

TRAIN = """
import sys
import keras, numpy as np, tensorflow as tf
import multiboard.keras as mbk

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
replicas = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
log_dir, naming = sys.argv[1:]
x = np.random.default_rng(0).integers(0, 5, (64, 4))
y = x.sum(axis=1, keepdims=True).astype(np.float32)


def trained(callbacks):
    keras.utils.set_random_seed(0)
    with replicas.scope():
        first = [keras.Input((4,), dtype="int32"), keras.layers.Embedding(5, 3, name="words"), keras.layers.Flatten()]
        model = keras.Sequential([*first, keras.layers.BatchNormalization(name="norm"), keras.layers.Dense(1, name="fc")])
        rate = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
        model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"])
    for _ in range(2):
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0, validation_data=(x, y), callbacks=callbacks)
    model.evaluate(x, y, verbose=0, callbacks=callbacks)
    return [variable.numpy() for variable in [*model.variables, *model.optimizer.variables]]


callback = mbk.TensorBoard(
    log_dir, histogram_freq=1, every=2, update_freq="batch", write_images=True, write_steps_per_second=True, embeddings_freq=1,
    activations="*", log=("params", "grads", "updates", "optimizer_state", "buffers"), naming=naming,
)
assert all(map(np.array_equal, trained([callback]), trained([])))
"""


@pytest.mark.parametrize(
    ("naming", "run", "loss", "steps"),
    [("multiboard", ".", "train/loss", [*range(16)]), ("keras", "train", "batch_loss", [*range(1, 17)])],
    ids=["multiboard", "keras"],
)
def test_the_weights_are_those_without_the_callback_and_what_can_be_seen_is_logged(naming, run, loss, steps, tmp_path):
    command = [sys.executable, "-c", TRAIN, tmp_path, naming]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "the steps of 2 replicas are added up outside of the train step" in done.stderr
    data = mb.read(tmp_path)[run]
    assert data.scalars[loss].step.tolist() == steps
    captured = {tag: column.step.tolist() for tag, column in data.histograms.items() if tag.startswith("params/")}
    names = ["fc/bias", "fc/kernel", "norm/bias", "norm/scale", "words/embedding"]
    assert captured == {f"params/{name}": [0, 2, 4, 6, 8, 10, 12, 14] for name in names}
