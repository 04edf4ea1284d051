"""All statistics of a capture come to the host as one array."""

import jax
import jax.numpy as jnp
import numpy as np

from multiboard.protocols import is_pending
from multiboard_jax.statistics import Arrival, measure, pack

TENSORS = [jnp.array([1.0, -3.0, jnp.nan, 0.0]), jnp.zeros(0), jnp.arange(5)]


def test_a_fetched_batch_holds_what_was_measured():
    arrival = Arrival(jax.jit(lambda: pack(measure(TENSORS)))())
    batch = arrival.fetch()
    for arrived, measured in zip(batch, measure(TENSORS), strict=True):
        assert isinstance(arrived, np.ndarray)
        assert arrived.dtype == measured.dtype
        np.testing.assert_array_equal(arrived, measured)


def test_moments_keep_their_bits():
    extremes = jnp.array([3.4e38, -1e-38, 2.0**-126], jnp.float32)
    batch = Arrival(pack(measure([extremes]))).fetch()
    np.testing.assert_array_equal(batch.moments, measure([extremes]).moments)


def test_an_arrival_is_pending_and_becomes_ready():
    packed = jax.jit(lambda x: pack(measure([x])))(jnp.ones(1000))
    arrival = Arrival(packed)
    assert is_pending(arrival)
    jax.block_until_ready(packed)
    assert arrival.is_ready()


def test_packed_statistics_are_one_array_of_integers():
    packed = pack(measure(TENSORS))
    assert (packed.shape, packed.dtype) == ((3, 1032), jnp.int32)


def test_statistics_without_buckets_arrive_as_such():
    measured = measure(TENSORS)
    batch = Arrival(pack(measured._replace(counts=measured.counts[:, :0]))).fetch()
    assert batch.counts.shape == (3, 0)
    np.testing.assert_array_equal(batch.specials, measured.specials)
    np.testing.assert_array_equal(batch.moments, measured.moments)
