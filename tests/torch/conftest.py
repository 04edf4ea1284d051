"""Fixtures of the PyTorch tests: a small model, its training by hand, and cases as tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import multiboard as mb


class Network(nn.Module):
    """One layer of each role: kernel, bias, scale and embedding."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(11, 6)
        self.norm = nn.LayerNorm(6)
        self.dense = nn.Linear(6, 3)

    def forward(self, x):
        return self.dense(self.norm(self.words(x)).mean(1))


@pytest.fixture
def log_dir(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def written(log_dir):
    """A function that reads what the run in `log_dir` has written."""
    return lambda: mb.read(log_dir)["."]


@pytest.fixture
def network():
    """A function that makes the same model each time."""

    def make():
        torch.manual_seed(0)
        return Network()

    return make


@pytest.fixture
def loss_at():
    """A function `loss_at(model, step)`: the loss of the batch of a step."""

    def compute(model, step):
        generator = torch.Generator().manual_seed(step)
        x = torch.randint(0, 11, (16, 5), generator=generator)
        return model(x).square().mean() + model(x)[:, 0].mean()

    return compute


@pytest.fixture
def train(loss_at):
    """A function `train(model, optimizer, steps)` that trains and returns the losses."""

    def run_loop(model, optimizer, steps):
        losses = []
        for step in range(steps):
            optimizer.zero_grad()
            loss = loss_at(model, step)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return run_loop


@pytest.fixture
def as_tensor():
    """A function that makes a tensor of a bucket case."""

    def convert(case):
        if case.dtype == "bfloat16":
            return torch.from_numpy(case.array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(case.array)

    return convert


@pytest.fixture(params=["HOST", "DEVICE"])
def kernel(request):
    """Both kernels; the one for devices runs on the CPU here."""
    from multiboard_torch import statistics

    return getattr(statistics, request.param)


@pytest.fixture
def assert_measured():
    """A function that compares row `row` of a measurement with the expected statistics."""

    def compare(measured, row, expected, values):
        np.testing.assert_array_equal(measured.counts[row].numpy(), expected.counts)
        np.testing.assert_array_equal(measured.specials[row].numpy(), expected.specials)
        total, squares, smallest, largest = measured.moments[row].numpy().astype(np.float64)
        assert smallest == expected.moments[2]
        assert largest == expected.moments[3]
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.float32(values[np.isfinite(np.float32(values))]).astype(np.float64)
            magnitude = np.abs(finite).sum()
            if np.float32(magnitude) < np.inf:
                np.testing.assert_allclose(total, finite.sum(), atol=1e-5 * magnitude, rtol=0)
            np.testing.assert_allclose(squares, np.float32(np.square(np.float32(finite)).sum(dtype=np.float64)), rtol=1e-4)

    return compare
