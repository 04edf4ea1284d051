"""Tensors that are views, transposed, complex or of a rare dtype are counted by their values."""

import numpy as np
import pytest
import torch

from multiboard.buckets import measure as expected_of
from multiboard_torch.statistics import measure


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


VIEWS = {
    "transposed": random(7, 5).T,
    "strided": random(100)[::3],
    "expanded": random(4, 1).expand(4, 6),
    "channels last": random(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "negated lazily": torch.view_as_complex(random(9, 2)).conj().imag,
    "0-d": random(()),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_is_counted_by_its_values(view, kernel, assert_measured):
    values = view.resolve_neg().numpy().copy()
    assert_measured(measure([view], kernel), 0, expected_of(values), values.reshape(-1))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("conjugate", [False, True])
def test_complex_values_are_counted_by_their_magnitude(dtype, conjugate, kernel):
    special = [complex(np.inf, np.nan), complex(np.nan, 1), complex(3, 4), 0j, complex(3e38, 3e38), complex(-np.inf, 0)]
    tensor = torch.cat([torch.tensor(special, dtype=dtype), torch.view_as_complex(random(50_000, 2)).to(dtype)])
    expected = expected_of(tensor.numpy())
    measured = measure([tensor.conj() if conjugate else tensor], kernel)
    np.testing.assert_array_equal(measured.counts[0].numpy(), expected.counts)
    np.testing.assert_array_equal(measured.specials[0].numpy(), expected.specials)
    np.testing.assert_array_equal(measured.moments[0, 2:].numpy(), expected.moments[2:])


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_float8_is_counted_exactly(dtype, kernel):
    every = torch.arange(256, dtype=torch.uint8).view(dtype)
    expected = expected_of(every.float().numpy())
    measured = measure([every], kernel)
    np.testing.assert_array_equal(measured.counts[0].numpy(), expected.counts)
    np.testing.assert_array_equal(measured.specials[0].numpy(), expected.specials)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int64])
def test_integers_are_counted(dtype, kernel, assert_measured):
    tensor = torch.randint(-(2**40), 2**40, (1000,), generator=torch.Generator().manual_seed(0)).to(dtype)
    assert_measured(measure([tensor], kernel), 0, expected_of(tensor.numpy()), tensor.numpy().astype(np.float64))


def test_a_default_device_elsewhere_does_not_matter(kernel):
    with torch.device("meta"):
        measured = measure([torch.ones(3, device="cpu"), torch.ones(2, device="cpu")], kernel)
    assert measured.counts.sum(1).tolist() == [3, 2]
