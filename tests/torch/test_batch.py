"""The values of a step stay those of the step, and both ways to the host give the same."""

import numpy as np
import pytest
import torch

from multiboard.buckets import measure
from multiboard_torch.batch import Batch, Enqueued, Snapshot, values_of


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    return [torch.randn(5, 4), torch.randn(7).bfloat16(), torch.zeros(0), torch.arange(3), torch.randn(4, 4).T]


@pytest.mark.parametrize("part", [Snapshot, Enqueued])
def test_later_updates_in_place_do_not_reach_the_capture(part, tensors):
    expected = [measure(tensor.float().numpy().copy()) for tensor in tensors]
    taken = part(tensors)
    for tensor in tensors:
        tensor.add_(5)
    fetched = taken.fetch()
    np.testing.assert_array_equal(fetched.counts, [one.counts for one in expected])
    np.testing.assert_array_equal(fetched.specials, [one.specials for one in expected])
    np.testing.assert_array_equal(fetched.moments[:, 2:], [one.moments[2:] for one in expected])


def test_one_tensor_is_copied_too():
    tensor = torch.ones(3)
    taken = Snapshot([tensor])
    tensor.zero_()
    assert taken.fetch().specials[0, 0] == 0


def test_both_ways_to_the_host_give_the_same(tensors):
    copied, enqueued = Snapshot(tensors).fetch(), Enqueued(tensors).fetch()
    np.testing.assert_array_equal(copied.counts, enqueued.counts)
    np.testing.assert_array_equal(copied.specials, enqueued.specials)
    np.testing.assert_allclose(copied.moments, enqueued.moments, rtol=1e-5)


def test_rows_are_in_the_order_of_adding(tensors):
    batch = Batch()
    batch.add(tensors[:2])
    batch.add([])
    batch.add(tensors[2:])
    fetched = batch.fetch()
    assert (fetched.counts.sum(1) + fetched.specials.sum(1)).tolist() == [20, 7, 0, 3, 16]


@pytest.mark.parametrize("layout", ["to_sparse_csr", "to_mkldnn"])
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_layouts_without_plain_values_are_refused(layout):
    with pytest.raises(TypeError, match="cannot be counted"):
        values_of(getattr(torch.eye(3), layout)())
