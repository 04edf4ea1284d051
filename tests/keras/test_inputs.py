"""Steps, batches and losses are right for every kind of input."""

import keras
import numpy as np
import pytest

BATCHES, SIZE = 4, 14
LOGGED = {"every": 3, "update_freq": "batch"}


@pytest.fixture
def batches(vectors):
    return [tuple(array[start : start + SIZE] for array in vectors) for start in range(0, BATCHES * SIZE, SIZE)]


@pytest.fixture
def still(dense):
    """A model that never changes, so that the loss of every batch can be computed."""
    return dense(keras.optimizers.SGD(0.0))


class Batches(keras.utils.PyDataset):
    def __init__(self, batches, convert=np.asarray, **options):
        super().__init__(**options)
        self.batches, self.convert = batches, convert

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return tuple(map(self.convert, self.batches[index]))


def loader(batches):
    import torch

    rows = [tuple(map(torch.from_numpy, row)) for batch in batches for row in zip(*batch, strict=True)]
    return torch.utils.data.DataLoader(rows, batch_size=SIZE)


def dataset(batches):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(tuple(map(np.concatenate, zip(*batches, strict=True)))).batch(SIZE)


def own_arrays(batches):
    """Return batches of what the backend computes with."""
    if keras.backend.backend() == "jax":
        import jax.numpy as jnp

        return Batches(batches, jnp.asarray)
    return loader(batches) if keras.backend.backend() == "torch" else dataset(batches)


def losses(model, batches):
    """Return the mean squared error of each batch, computed here."""
    kernel, bias = model.get_weights()
    weights = [batch[2] if len(batch) > 2 else np.ones(len(batch[0])) for batch in batches]
    errors = [np.square(batch[0].astype(float) @ kernel + bias - batch[1]).mean(axis=1) for batch in batches]
    return [(error * weight).mean() for error, weight in zip(errors, weights, strict=True)]


def check(data, model, batches, epochs):
    """Compare the loss of every batch with the one computed here, and all steps."""
    assert data.scalars["train/loss"].step.tolist() == list(range(len(batches) * epochs))
    np.testing.assert_allclose(data.scalars["train/loss"].value, losses(model, batches) * epochs, rtol=1e-5)
    assert data.scalars["train/epoch"].step.tolist() == [len(batches) * epoch - 1 for epoch in range(1, epochs + 1)]
    assert data.histograms["grads/fc/kernel"].step.tolist() == list(range(0, len(batches) * epochs, 3))


@pytest.mark.parametrize("make", [own_arrays, loader, dataset], ids=["the backend's own", "DataLoader", "tf.data"])
def test_data_sets_of_libraries(fit, still, batches, make):
    pytest.importorskip({loader: "torch", dataset: "tensorflow"}.get(make, "keras"))
    check(fit(still, make(batches), batch_size=None, epochs=2, callback=LOGGED), still, batches, 2)


def test_a_generator_that_ends_by_itself(fit, still, batches):
    with pytest.warns(UserWarning, match="ran out of data"):
        data = fit(still, (batch for batch in batches), batch_size=None, callback=LOGGED)
    check(data, still, batches, 1)


def test_a_generator_without_end_and_steps_per_epoch(fit, still, batches):
    def forever():
        while True:
            yield from batches

    data = fit(still, forever(), batch_size=None, steps_per_epoch=BATCHES, epochs=2, callback=LOGGED)
    check(data, still, batches, 2)


def test_a_generator_that_goes_on_where_the_last_epoch_has_stopped(fit, still, batches):
    def forever():
        while True:
            yield from batches

    data = fit(still, forever(), batch_size=None, steps_per_epoch=2, epochs=2, callback=LOGGED)
    np.testing.assert_allclose(data.scalars["train/loss"].value, losses(still, batches), rtol=1e-5)
    assert data.scalars["train/epoch"].step.tolist() == [1, 3]


def test_a_sequence_of_batches(fit, still, batches):
    check(fit(still, Batches(batches), batch_size=None, epochs=2, callback=LOGGED), still, batches, 2)


def test_a_sequence_of_batches_that_threads_read_ahead_in_an_order_of_their_own(fit, still, batches):
    data = fit(still, Batches(batches, workers=2), batch_size=None, epochs=2, callback=LOGGED)
    assert data.scalars["train/loss"].step.tolist() == list(range(2 * BATCHES))
    found = np.sort(data.scalars["train/loss"].value.reshape(2, BATCHES), axis=1)
    np.testing.assert_allclose(found, [sorted(losses(still, batches))] * 2, rtol=1e-5)


def test_sample_weights_that_come_with_the_batches(fit, still, batches):
    weighted = [(*batch, np.linspace(0.5, 2, SIZE).astype("float32")) for batch in batches]
    check(fit(still, Batches(weighted), batch_size=None, epochs=2, callback=LOGGED), still, weighted, 2)


def test_class_weights_with_a_sequence_of_batches(fit, images):
    x, labels = images
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax", name="fc")])
    model.compile(keras.optimizers.SGD(0.0), loss="sparse_categorical_crossentropy")
    batches = [(x[start : start + SIZE], labels[start : start + SIZE]) for start in range(0, BATCHES * SIZE, SIZE)]
    data = fit(
        model, Batches(batches), batch_size=None, class_weight={k: 1.0 + k for k in range(10)}, callback={"update_freq": "batch"}
    )
    chosen = model.predict(x, verbose=0).astype(float)[np.arange(len(labels)), labels]
    expected = (-np.log(chosen) * (1.0 + labels)).reshape(BATCHES, SIZE).mean(axis=1)
    np.testing.assert_allclose(data.scalars["train/loss"].value, expected, rtol=1e-5)


def test_validation_data_in_batches_and_only_in_some_epochs(fit, still, batches):
    data = fit(
        still,
        Batches(batches),
        batch_size=None,
        epochs=4,
        validation_data=Batches(batches[:2]),
        validation_freq=2,
        callback=LOGGED,
    )
    check(data, still, batches, 4)
    assert data.scalars["val/loss"].step.tolist() == [7, 15]
    np.testing.assert_allclose(data.scalars["val/loss"].value, [np.mean(losses(still, batches[:2]))] * 2, rtol=1e-5)
