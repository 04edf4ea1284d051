"""Steps and batches are right for every kind of input."""

import keras
import numpy as np
import pytest

BATCHES = 4


@pytest.fixture
def batches(vectors):
    return [tuple(array[start : start + 14] for array in vectors) for start in range(0, 56, 14)]


def native(batches):
    """The batches as the data set of the backend's own library."""
    if keras.backend.backend() == "torch":
        import torch

        samples = [tuple(map(torch.from_numpy, sample)) for batch in batches for sample in zip(*batch, strict=True)]
        return torch.utils.data.DataLoader(samples, batch_size=14)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices(tuple(np.concatenate(arrays) for arrays in zip(*batches, strict=True))).batch(
            14
        )
    import jax.numpy as jnp

    class Arrays(keras.utils.PyDataset):
        def __len__(self):
            return len(batches)

        def __getitem__(self, index):
            return tuple(map(jnp.asarray, batches[index]))

    return Arrays()


def check(data, expected_epochs):
    assert data.scalars["train/loss"].step.tolist() == list(range(BATCHES * expected_epochs))
    assert data.scalars["train/epoch"].step.tolist() == [BATCHES * epoch + BATCHES - 1 for epoch in range(expected_epochs)]
    assert data.histograms["params/fc/kernel"].step.tolist() == list(range(0, BATCHES * expected_epochs, 3))


def test_the_data_set_of_the_backends_own_library(fit, dense, batches):
    data = fit(dense(), native(batches), batch_size=None, callback={"every": 3, "update_freq": "batch"})
    check(data, 1)


def test_a_generator_that_ends_by_itself(fit, dense, batches):
    with pytest.warns(UserWarning, match="ran out of data"):
        data = fit(dense(), (batch for batch in batches), batch_size=None, callback={"every": 3, "update_freq": "batch"})
    check(data, 1)


def test_a_generator_without_end_and_steps_per_epoch(fit, dense, batches):
    def forever():
        while True:
            yield from batches

    data = fit(
        dense(), forever(), batch_size=None, steps_per_epoch=BATCHES, epochs=2, callback={"every": 3, "update_freq": "batch"}
    )
    check(data, 2)


def test_a_sequence_of_batches_in_two_epochs(fit, dense, batches):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return len(batches)

        def __getitem__(self, index):
            return batches[index]

    check(fit(dense(), Batches(), batch_size=None, epochs=2, callback={"every": 3, "update_freq": "batch"}), 2)
