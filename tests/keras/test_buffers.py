"""Buffers are the floating weights that no optimizer trains, as the step leaves them: so they are in the other frameworks."""

import keras
import numpy as np

from multiboard.buckets import measure


def test_running_statistics_are_those_after_the_step_and_frozen_or_random_variables_are_no_buffers(follow):
    keras.utils.set_random_seed(0)
    norm, frozen = keras.layers.BatchNormalization(name="norm"), keras.layers.Dense(4, name="frozen", trainable=False)
    model = keras.Sequential([keras.Input((4,)), frozen, norm, keras.layers.Dropout(0.5), keras.layers.Dense(3, name="fc")])
    model.compile(keras.optimizers.Adam(0.1), loss="mse", metrics=["mae"])
    data, values = follow(model)
    assert {tag for tag in data.histograms if tag.startswith("buffers/")} == {"buffers/norm/mean", "buffers/norm/var"}
    for tag, native in (("buffers/norm/mean", norm.moving_mean.path), ("buffers/norm/var", norm.moving_variance.path)):
        for rows, after in zip(data.histograms[tag].value, values[1:], strict=True):
            np.testing.assert_array_equal(rows, measure(after[native]).rows())
    assert data.histograms["buffers/norm/mean"].step.tolist() == [0, 1, 2, 3]


def test_a_frozen_normalisation_keeps_its_buffers(follow):
    keras.utils.set_random_seed(0)
    norm = keras.layers.BatchNormalization(name="norm", trainable=False)
    model = keras.Sequential([keras.Input((4,)), norm, keras.layers.Dense(3, name="fc")])
    model.compile(keras.optimizers.Adam(0.1), loss="mse")
    data, _ = follow(model)
    assert {tag for tag in data.histograms if "norm/" in tag} == {"buffers/norm/mean", "buffers/norm/var"}
