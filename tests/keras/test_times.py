"""Step times and rates leave compilation and validation out, and know the number of examples on every backend."""

import time

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk
from multiboard_keras.examples import Examples

STEPS, BATCH = 120, 8  # more steps than JAX keeps under way


@pytest.fixture
def fit_long(dense, tmp_path):
    """Train a model of one layer for 120 batches of 8 per epoch, and return what was logged."""

    def run(epochs=2, validate=False, **options):
        x = np.ones((STEPS * BATCH, 4), "float32")
        data = (x, x[:, :3])
        slow = keras.callbacks.LambdaCallback(on_test_begin=lambda _=None: time.sleep(0.5))
        model = dense(keras.optimizers.SGD(0.01))
        callbacks = [mbk.TensorBoard(tmp_path, **options), slow]
        began = time.perf_counter()
        model.fit(
            *data, batch_size=BATCH, epochs=epochs, verbose=0, validation_data=data if validate else None, callbacks=callbacks
        )
        return mb.read(tmp_path)["."].scalars, time.perf_counter() - began

    return run


def test_the_mean_of_each_epoch_is_at_its_last_update(fit_long):
    scalars, seconds = fit_long(epochs=3)
    assert scalars["perf/step_ms"].step.tolist() == [STEPS - 1, 2 * STEPS - 1, 3 * STEPS - 1]
    assert 0 < scalars["perf/step_ms"].value.sum() * STEPS / 1000 < seconds
    assert "perf/steps_per_s" not in scalars


def test_examples_are_counted(fit_long):
    scalars, _ = fit_long(update_freq=20)
    steps, rates = scalars["perf/step_ms"], scalars["perf/examples_per_s"]
    assert rates.step.tolist() == steps.step.tolist()
    np.testing.assert_allclose(rates.value * steps.value / 1000, BATCH, rtol=1e-4)


def test_the_last_batch_of_an_epoch_may_be_smaller(dense, vectors, tmp_path):
    dense().fit(*vectors, batch_size=16, epochs=4, verbose=0, callbacks=[mbk.TensorBoard(tmp_path)])
    scalars = mb.read(tmp_path)["."].scalars
    per_step = scalars["perf/examples_per_s"].value * scalars["perf/step_ms"].value / 1000
    np.testing.assert_allclose(per_step[1:], 14, rtol=1e-4)  # 56 examples in 4 batches


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras refuses steps_per_execution above 1 there")
def test_examples_of_several_steps_in_one_call_are_right_or_left_out(dense, vectors, tmp_path):
    """On TensorFlow only the last batch of a call can be seen."""
    dense(steps_per_execution=2).fit(*vectors, batch_size=14, epochs=3, verbose=0, callbacks=[mbk.TensorBoard(tmp_path)])
    scalars = mb.read(tmp_path)["."].scalars
    if keras.backend.backend() == "tensorflow":
        assert "perf/examples_per_s" not in scalars
    else:
        np.testing.assert_allclose(scalars["perf/examples_per_s"].value * scalars["perf/step_ms"].value, 14_000, rtol=1e-4)


def test_steps_per_second_are_written_on_request(fit_long):
    scalars, _ = fit_long(write_steps_per_second=True)
    np.testing.assert_allclose(scalars["perf/steps_per_s"].value * scalars["perf/step_ms"].value, 1000, rtol=1e-4)


def test_validation_is_not_part_of_the_time(fit_long):
    scalars, seconds = fit_long(epochs=2, validate=True)
    assert seconds > 1
    assert scalars["perf/step_ms"].value.max() * STEPS / 1000 < seconds - 1


def test_a_batch_that_cannot_be_counted_has_no_rate_and_stops_nothing():
    class Batch:
        def shape(self):
            raise AssertionError

    class Broken:
        @property
        def shape(self):
            raise RuntimeError("no shape")

    counted = Examples()
    counted.add((Batch(), np.zeros((8, 2))))
    assert counted.count == 8
    for odd in (Batch(), Broken(), (Broken(), np.zeros(8))):
        counted.add(odd)
        assert counted.count is None
