"""Norms without histograms, histograms without norms, and histograms of samples."""

import numpy as np
import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt

ALL = ("params", "grads", "updates", "optimizer_state")


def scalars_of(network, train, directory, **arguments):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    with mb.Run(directory) as run, mbt.watch(model, optimizer, run, every=2, log=ALL, **arguments):
        train(model, optimizer, 3)
    return mb.read(directory)["."]


def test_norms_alone_are_those_that_go_with_histograms(network, train, tmp_path):
    full = scalars_of(network, train, tmp_path / "full")
    alone = scalars_of(network, train, tmp_path / "alone", histograms=False)
    assert not alone.histograms
    expected = {tag for tag in full.scalars if not tag.startswith("nonfinite/")}
    assert set(alone.scalars) == expected
    for tag in expected:
        assert alone.scalars[tag].step.tolist() == full.scalars[tag].step.tolist()
        assert alone.scalars[tag].value == pytest.approx(full.scalars[tag].value, rel=1e-4), tag


def test_norms_can_be_left_out(network, train, tmp_path):
    data = scalars_of(network, train, tmp_path, norms=False)
    assert not [tag for tag in data.scalars if tag.startswith(("norm/", "update_ratio"))]
    assert len(data.histograms) == 25
    assert "nonfinite/grads" in data.scalars


def test_nothing_at_all_is_refused(network, log_dir):
    model = network()
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError, match=r"histograms.*norms=False"):
        mbt.watch(model, torch.optim.SGD(model.parameters(), lr=0.1), run, histograms=False, norms=False)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.complex64, torch.int32])
def test_norms_of_other_dtypes_are_exact_to_the_digits_of_float32(dtype, log_dir, written):
    torch.manual_seed(0)
    model = nn.Module()
    values = (torch.randn(300) * 100).to(dtype)
    model.weight = nn.Parameter(values, requires_grad=False)
    model.other = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, log="params", histograms=False):
        optimizer.step()
    exact = np.linalg.norm(values.numpy() if dtype.is_complex else values.double().numpy())
    scalars = written().scalars
    assert scalars["norm/params/kernel"].value == pytest.approx([exact], rel=1e-5)
    assert scalars["norm/params"].value == pytest.approx([np.hypot(exact, 2**0.5)], rel=1e-5)


def test_a_sample_is_evenly_spaced_and_its_norm_is_that_of_all_values(network, train, tmp_path):
    full = scalars_of(network, train, tmp_path / "full")
    some = scalars_of(network, train, tmp_path / "some", sample=20)
    kernel = some.histograms["updates/words/embedding"]
    assert {rows[:, 2].sum() for rows in kernel.value} == {17}  # every fourth of 66
    assert kernel.description.endswith("; one in 4 values")
    small = some.histograms["updates/dense/bias"]
    assert small.description == full.histograms["updates/dense/bias"].description
    np.testing.assert_array_equal(small.value[1], full.histograms["updates/dense/bias"].value[1])
    for tag in ("norm/updates/words/embedding", "norm/grads", "update_ratio"):
        assert some.scalars[tag].value == pytest.approx(full.scalars[tag].value, rel=1e-4)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "all"])
def test_a_sample_that_is_no_number_of_values_is_refused(wrong, network, log_dir):
    model = network()
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError, match="sample"):
        mbt.watch(model, torch.optim.SGD(model.parameters(), lr=0.1), run, sample=wrong)
