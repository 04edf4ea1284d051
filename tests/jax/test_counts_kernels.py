"""The way of every kind of processor gives the same counts, whatever machine the test runs on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from multiboard.buckets import BUCKETS, KEYS, SMALLEST, fold_keys
from multiboard_jax._compat import bodies_of
from multiboard_jax.kernels import count_in_lanes, count_in_loops, count_in_products

KERNELS = [count_in_loops, count_in_lanes, count_in_products]


@pytest.fixture(params=KERNELS, ids=lambda kernel: kernel.__name__)
def kernel(request):
    return jax.jit(request.param)


@pytest.fixture
def assert_counted(as_array):
    """A function that counts cases with a kernel and compares each row with the core."""

    def compare(kernel, cases):
        tables, moments = kernel([as_array(case) for case in cases])
        assert tables.dtype == jnp.int32
        for table, row, case in zip(np.asarray(tables, np.int64), np.asarray(moments), cases, strict=True):
            counts = fold_keys(table)
            np.testing.assert_array_equal(counts[:BUCKETS], case.expected.counts)
            np.testing.assert_array_equal(counts[BUCKETS:], case.expected.specials)
            np.testing.assert_allclose(row[SMALLEST:], case.expected.moments[SMALLEST:], rtol=0, atol=2.0**-126)

    return compare


def hard_values(size, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=size) * 10.0 ** rng.integers(-42, 30, size)
    special = rng.choice([0.0, -0.0, np.nan, np.inf, -np.inf, 2.0**-126, 1e300], size)
    return np.where(rng.random(size) < 0.2, special, values)


def test_small_arrays_of_all_sizes_are_counted_as_by_the_core(kernel, bucket_dtype, cast_case, assert_counted, with_64_bits):
    cases = [cast_case(hard_values(size, size), bucket_dtype) for size in (0, 1, 255, 256, 257, 3000, 0, 20_000)]
    with with_64_bits(bucket_dtype == "float64"):
        assert_counted(kernel, cases)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32"])
def test_large_arrays_between_small_ones_are_counted_as_by_the_core(kernel, dtype, cast_case, assert_counted):
    sizes = (300, 2**20 + 77, 65_536, 5, 2**18, 70_001)
    assert_counted(kernel, [cast_case(hard_values(size, size), dtype) for size in sizes])


def test_equal_values_are_counted_as_by_the_core(kernel, cast_case, assert_counted):
    assert_counted(kernel, [cast_case(np.full(size, -0.75), "float32") for size in (2**20 + 1, 2**19)])


def test_more_small_values_than_are_copied_together_are_all_counted():
    arrays = [jnp.full(2**20, value, jnp.bool_) for value in [True, False] * 9]
    tables, moments = jax.jit(count_in_lanes)(arrays)
    assert tables.max(axis=1).tolist() == [2**20] * 18
    assert moments[:, 0].tolist() == [2**20, 0] * 9


def test_the_kernel_for_tpus_scatters_no_values():
    traced = jax.make_jaxpr(count_in_products)([jnp.ones(700), jnp.ones(2**20 + 1)])
    names, sizes = zip(*((eqn.primitive.name, eqn.invars[-1].aval.size) for eqn in equations(traced.jaxpr)), strict=True)
    assert "dot_general" in names
    scattered = [size for name, size in zip(names, sizes, strict=True) if name.startswith("scatter")]
    assert max(scattered) <= KEYS


def equations(jaxpr):
    for eqn in jaxpr.eqns:
        yield eqn
        for body in bodies_of(eqn):
            yield from equations(body)
