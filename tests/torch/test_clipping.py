"""Clipping through multiboard is PyTorch's clipping, and its norms are written where captures are."""

import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt


def test_gradients_are_exactly_those_of_pytorch(network, loss_at):
    models = [network(), network()]
    for model, clip in zip(models, (nn.utils.clip_grad_norm_, mbt.clip_grad_norm_), strict=True):
        loss_at(model, 0).backward()
        norm = clip(model.parameters(), 0.05)
        assert norm > 0.05
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("max_norm", [0.05, 1000.0])
def test_the_norms_before_and_after_are_written_at_captured_steps(max_norm, network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before, after = [], []
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=2):
        for step in range(4):
            optimizer.zero_grad()
            loss_at(model, step).backward()
            before.append(mbt.clip_grad_norm_(model.parameters(), max_norm).item())
            after.append(torch.stack([p.grad.norm() for p in model.parameters()]).norm().item())
            optimizer.step()
    scalars = written().scalars
    assert scalars["train/grad_norm_before_clip"].step.tolist() == [0, 2]
    assert scalars["train/grad_norm_before_clip"].value == pytest.approx(before[::2], rel=1e-6)
    assert scalars["train/grad_norm_after_clip"].value == pytest.approx(after[::2], rel=1e-5)
    assert scalars["norm/grads"].value == pytest.approx(after[::2], rel=1e-5)


def test_the_description_says_that_gradients_are_clipped(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        loss_at(model, 0).backward()
        mbt.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
    assert written().histograms["grads/dense/kernel"].description == "`dense.weight` of Linear, after clipping (to a norm of 0.5)"


def test_it_works_without_a_watch_and_after_its_end(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run:
        mbt.watch(model, optimizer, run, every=1).remove()
        loss_at(model, 0).backward()
        assert mbt.clip_grad_norm_(model.dense.weight, 0.5) > 0
    assert "train/grad_norm_before_clip" not in written().scalars
    with mb.Run(log_dir.parent / "closed") as run:
        mbt.watch(model, optimizer, run, every=1)
    with pytest.warns(mb.MultiboardWarning, match="closed"):
        mbt.clip_grad_norm_(model.parameters(), 0.5)


def test_the_other_arguments_are_those_of_pytorch():
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.full((3,), float("inf"))
    with pytest.raises(RuntimeError, match="non-finite"):
        mbt.clip_grad_norm_([weight], 1.0, error_if_nonfinite=True)
    weight.grad = torch.tensor([3.0, -4.0, 0.0])
    assert mbt.clip_grad_norm_([weight], 2.0, norm_type=float("inf"), foreach=False) == 4.0
    assert weight.grad.tolist() == pytest.approx([1.5, -2.0, 0.0])
