"""The code for CUDA compiles without a device, and reads rows as they are described to it."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from multiboard_torch.cuda import CHUNK, CudaError, as_read, compiled, describe, kernel_on
from multiboard_torch.packs import Difference
from multiboard_torch.statistics import CPU, DEVICE, kernel_for


@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90", "sm_100", "sm_120"])
def test_it_compiles_for_every_architecture_that_pytorch_supports(architecture):
    code = compiled(architecture)
    assert code[:4] == b"\x7fELF"
    assert all(name in code for name in (b"count", b"join", b"count_one", b"join_one"))


def test_an_unknown_architecture_is_refused_with_the_words_of_the_compiler():
    with pytest.raises(CudaError, match="gpu-architecture"):
        compiled("sm_1")


def test_rows_are_described_by_where_they_are_and_by_their_blocks():
    large, empty, half = torch.ones(2 * CHUNK + 1), torch.ones(0), torch.ones(5, dtype=torch.float16)
    change = Difference(torch.ones(3).bfloat16(), torch.zeros(3).bfloat16())
    fields = np.empty((4, 5), np.int64)
    assert describe([large, empty, half, change], fields) == 5
    assert fields[:, 0].tolist() == [large.data_ptr(), empty.data_ptr(), half.data_ptr(), change.after.data_ptr()]
    assert fields[:, 1].tolist() == [0, 0, 0, change.before.data_ptr()]
    assert fields[:, 2:].tolist() == [[2 * CHUNK + 1, 0, 0], [0, 0, 3], [5, 2, 3], [3, 1, 4]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64, torch.int32, torch.bool, torch.float8_e5m2])
def test_other_dtypes_are_cast_before(dtype):
    row = as_read(torch.ones(2, 3).to(dtype))
    assert row.dtype == torch.float32
    assert row.tolist() == [1.0] * 6


def test_differences_of_other_dtypes_are_computed_before():
    row = as_read(Difference(torch.tensor([[3, 1]], dtype=torch.uint8), torch.tensor([[1, 3]], dtype=torch.uint8)))
    assert row.tolist() == [2.0, -2.0]


def test_rows_with_gaps_are_copied_and_others_are_not():
    whole = torch.arange(12.0).view(3, 4)
    assert as_read(whole).data_ptr() == whole.data_ptr()
    assert as_read(whole[:, 1]).tolist() == [1.0, 5.0, 9.0]
    assert as_read(Difference(whole[:, 1], whole[:, 0])).after.tolist() == [1.0, 5.0, 9.0]


def test_only_cuda_has_it():
    assert kernel_on(torch.device("cpu")) is None
    assert kernel_for(torch.device("cpu")) is CPU
    assert kernel_for(torch.device("meta")) is DEVICE


def test_a_watch_needs_neither_bindings_nor_compiler():
    script = (
        "import sys; sys.modules['cuda'] = sys.modules['cuda.bindings'] = None\n"
        "import torch, multiboard.torch; from multiboard_torch.cuda import kernel_on\n"
        "assert kernel_on(torch.device('cuda', 0)) is None"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
