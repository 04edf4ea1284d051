"""The values of a step stay those of the step, and both ways to the host give the same."""

import numpy as np
import pytest
import torch

from multiboard.buckets import measure
from multiboard_torch.batch import Batch, Enqueued, values_of
from multiboard_torch.buffers import Buffers
from multiboard_torch.packs import Difference
from multiboard_torch.statistics import DEVICE
from multiboard_torch.statistics import measure as measure_tensors


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    return [torch.randn(5, 4), torch.randn(7).bfloat16(), torch.zeros(0), torch.arange(3), torch.randn(4, 4).T]


def copied(tensors):
    batch = Batch()
    batch.add(batch.copy(tensors))
    return batch


def enqueued(tensors):
    return Enqueued(measure_tensors(tensors, DEVICE))


@pytest.mark.parametrize("take", [copied, enqueued])
def test_later_updates_in_place_do_not_reach_the_capture(take, tensors):
    expected = [measure(tensor.float().numpy().copy()) for tensor in tensors]
    taken = take(tensors)
    for tensor in tensors:
        tensor.add_(5)
    fetched = taken.fetch()
    np.testing.assert_array_equal(fetched.counts, [one.counts for one in expected])
    np.testing.assert_array_equal(fetched.specials, [one.specials for one in expected])
    np.testing.assert_array_equal(fetched.moments[:, 2:], [one.moments[2:] for one in expected])


def test_one_tensor_is_copied_too():
    tensor = torch.ones(3)
    taken = copied([tensor])
    tensor.zero_()
    assert taken.fetch().specials[0, 0] == 0


def test_both_ways_to_the_host_give_the_same(tensors):
    on_host, on_device = copied(tensors).fetch(), enqueued(tensors).fetch()
    np.testing.assert_array_equal(on_host.counts, on_device.counts)
    np.testing.assert_array_equal(on_host.specials, on_device.specials)
    np.testing.assert_allclose(on_host.moments, on_device.moments, rtol=1e-5)


def test_rows_are_in_the_order_of_adding(tensors):
    batch = Batch()
    batch.add(tensors[:2])
    batch.add([])
    batch.add(tensors[2:])
    fetched = batch.fetch()
    assert (fetched.counts.sum(1) + fetched.specials.sum(1)).tolist() == [20, 7, 0, 3, 16]


def test_the_memory_of_copies_is_used_again_after_they_are_counted(tensors):
    buffers = Buffers()
    places = []
    for _ in range(3):
        batch = Batch(buffers)
        copies = batch.copy(tensors)
        batch.add(copies)
        places.append([copy.data_ptr() for copy in copies if copy.numel()])
        batch.fetch()
    assert places[0] == places[1] == places[2]


def test_memory_that_still_waits_to_be_counted_is_not_used_again(tensors):
    buffers = Buffers()
    first, second = Batch(buffers), Batch(buffers)
    assert first.copy(tensors)[0].data_ptr() != second.copy(tensors)[0].data_ptr()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.uint8, torch.float64, torch.complex64])
def test_a_difference_is_counted_exactly_in_every_dtype(dtype, kernel):
    torch.manual_seed(0)
    before, after = ((torch.rand(3, 70) * 50).to(dtype) for _ in range(2))
    wide = torch.complex128 if dtype.is_complex else torch.float64
    expected = after.numpy() - before.numpy() if dtype.is_complex else (after.to(wide) - before.to(wide)).numpy()
    measured = measure_tensors([Difference(after, before), torch.ones(2)], kernel)
    np.testing.assert_array_equal(measured.counts[0].numpy(), measure(expected).counts)
    np.testing.assert_array_equal(measured.specials[0].numpy(), measure(expected).specials)


@pytest.mark.parametrize("layout", ["to_sparse_csr", "to_mkldnn"])
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_layouts_without_plain_values_are_refused(layout):
    with pytest.raises(TypeError, match="cannot be counted"):
        values_of(getattr(torch.eye(3), layout)())
