"""The kernel for devices never asks for a value: on the meta device there are none, and asking raises."""

import pytest
import torch

from multiboard_torch.statistics import DEVICE, measure

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.complex64, torch.int64, torch.bool]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_device_kernel_works_without_reading_any_value(dtype):
    tensors = [torch.empty(shape, dtype=dtype, device="meta") for shape in [(3, 4), (0,), (), (500, 3)]]
    measured = measure(tensors, DEVICE._replace(elements=1000))
    assert [tuple(array.shape) for array in measured] == [(4, 1024), (4, 4), (4, 4)]
    assert {array.device.type for array in measured} == {"meta"}


def test_a_device_other_than_the_cpu_gets_the_device_kernel():
    assert measure([torch.empty(5, device="meta")]).counts.device.type == "meta"


def test_counting_as_on_the_host_would_ask():
    with pytest.raises((NotImplementedError, RuntimeError)):
        torch.bincount(torch.empty(5, dtype=torch.int32, device="meta"), minlength=10)
