"""Summaries that a TensorFlow user writes in a layer or a train step go where they went: each batch once, into their file."""

import keras
import pytest
import tensorflow as tf

import multiboard as mb
import multiboard.keras as mbk


class Watched(keras.layers.Layer):
    """A layer that writes a summary of what goes through it."""

    def call(self, x):
        tf.summary.scalar("own/mean", tf.reduce_mean(x))
        return x


class Stepping(keras.Model):
    """A model that counts its steps and writes a summary in each of them."""

    def __init__(self):
        super().__init__(name="stepping")
        self.watched, self.fc = Watched(name="watched"), keras.layers.Dense(3, name="fc")
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)

    def call(self, x):
        return self.fc(self.watched(x))

    def train_step(self, data):
        tf.summary.experimental.set_step(self.step)
        logs = super().train_step(data)
        tf.summary.scalar("own/loss", logs["loss"], step=self.step)
        self.step.assign_add(1)
        return logs


@pytest.fixture
def fit_with_own_writer(vectors, tmp_path):
    """The function that trains with a writer of the user and returns what that wrote: values by tag, and number of records."""

    def run(name, callbacks):
        keras.utils.set_random_seed(0)
        model = Stepping()
        model.compile("sgd", loss="mse")
        writer = tf.summary.create_file_writer(str(tmp_path / name))
        with writer.as_default(step=0):
            model.fit(*vectors, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
        writer.close()
        tf.summary.experimental.set_step(None)
        (file,) = (tmp_path / name).iterdir()
        own = {tag: (column.step.tolist(), column.value.tolist()) for tag, column in mb.read(file.parent)["."].scalars.items()}
        return own, len(list(tf.data.TFRecordDataset(str(file))))

    return run


@pytest.mark.parametrize("options", [{"every": 2, "update_freq": "batch", "activations": "*"}, {"every": 1}, {}], ids=str)
def test_they_land_once_a_batch_in_the_users_file_and_not_in_ours(fit_with_own_writer, tmp_path, options):
    expected = fit_with_own_writer("plain", [])
    assert expected[0]["own/loss"][0] == list(range(14))
    assert expected[1] == 1 + 2 * 14  # the file's version, and two summaries in each batch
    found = fit_with_own_writer("own", [mbk.TensorBoard(tmp_path / "ours", **options)])
    assert found == expected
    ours = mb.read(tmp_path / "ours")["."]
    assert not [tag for tag in (*ours.scalars, *ours.histograms) if tag.startswith("own/")]
    assert len(list(tmp_path.rglob("events.out.tfevents.*"))) == 3
