"""With `naming="keras"` runs, tags, steps and values are those of `keras.callbacks.TensorBoard`, in one and the same fit."""

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk

OPTIONS = {"histogram_freq": 2, "write_images": True, "write_steps_per_second": True, "update_freq": 2}
TIMES = "steps_per_second"


@pytest.fixture(scope="module")
def both(tmp_path_factory, images, cnn):
    """What the original and ours have written in three epochs of a CNN and an evaluation, by run."""
    original, ours = tmp_path_factory.mktemp("original"), tmp_path_factory.mktemp("ours")
    model = cnn(optimizer=keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.9)))
    callbacks = [keras.callbacks.TensorBoard(original, **OPTIONS), mbk.TensorBoard(ours, naming="keras", **OPTIONS)]
    x, y = images
    model.fit(x, y, batch_size=16, epochs=3, verbose=0, shuffle=False, validation_data=(x[:20], y[:20]), callbacks=callbacks)
    model.evaluate(x, y, verbose=0, callbacks=callbacks)
    return mb.read(original), mb.read(ours)


def test_runs_are_the_same(both):
    original, ours = both
    assert set(ours) == set(original) == {"train", "validation"}


@pytest.mark.parametrize("run", ["train", "validation"])
def test_scalars_are_the_same(both, run):
    original, ours = (data[run].scalars for data in both)
    assert ours.keys() == original.keys()
    for tag, column in original.items():
        assert ours[tag].step.tolist() == column.step.tolist(), tag
        if TIMES not in tag:
            np.testing.assert_allclose(ours[tag].value, column.value, rtol=1e-6, err_msg=tag)


def test_weights_are_written_at_the_same_epochs_with_the_same_number_of_values(both):
    original, ours = (data["train"].histograms for data in both)
    assert ours.keys() == original.keys()
    for tag, column in original.items():
        assert ours[tag].step.tolist() == column.step.tolist() == [0, 2]
        assert [rows[:, 2].sum() for rows in ours[tag].value] == [rows[:, 2].sum() for rows in column.value]


def test_the_same_weights_are_pictures_and_more(both):
    original, ours = (data["train"].images for data in both)
    assert ours.keys() >= original.keys()
