"""NaN in a training is counted and stops nothing."""

import numpy as np


def test_nan_gradients_are_counted_and_the_training_goes_on(fit, dense, vectors):
    x, y = vectors
    x = x.copy()
    x[40, 0] = np.nan
    data = fit(dense(), x, y, epochs=2, callback={"every": 1, "update_freq": "batch"})
    scalars = data.scalars
    assert scalars["train/loss"].step.tolist() == list(range(8))
    assert np.isfinite(scalars["train/loss"].value[:2]).all()
    assert np.isnan(scalars["train/loss"].value[2:]).all()
    assert scalars["nonfinite/grads"].value.tolist() == [0, 0, 15, 15, 15, 15, 15, 15]
    assert scalars["nonfinite/params"].value.tolist() == [0, 0, 0, 15, 15, 15, 15, 15]
    assert scalars["nonfinite/grads/fc/kernel"].value.tolist() == [12] * 6
    assert np.isnan(scalars["norm/grads"].value[2:]).all()
    assert data.histograms["grads/fc/kernel"].value[2].shape == (0, 3)
