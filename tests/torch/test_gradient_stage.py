"""Gradients are seen as the optimizer uses them: accumulated, clipped, unscaled, computed by a closure."""

import numpy as np
import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt


def test_accumulated_gradients_are_one_capture(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    norms = []
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        for step in range(6):
            loss_at(model, step).backward()
            if step % 3 == 2:
                norms.append(model.dense.weight.grad.norm().item())
                optimizer.step()
                optimizer.zero_grad()
    column = written().scalars["norm/grads/dense/kernel"]
    assert column.step.tolist() == [0, 1]
    np.testing.assert_allclose(column.value, norms, rtol=1e-5)


def test_clipped_gradients_are_seen(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        loss_at(model, 0).backward()
        assert nn.utils.clip_grad_norm_(model.parameters(), 0.01) > 0.1
        optimizer.step()
    assert written().scalars["norm/grads"].value == pytest.approx([0.01], rel=1e-3)


@pytest.mark.parametrize("keyword", [True, False])
def test_gradients_of_a_closure_belong_to_the_same_step(keyword, network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    params, grads = [], []

    def closure():
        optimizer.zero_grad()
        loss = loss_at(model, len(grads))
        loss.backward()
        params.append(model.dense.weight.norm().item())
        grads.append(model.dense.weight.grad.norm().item())
        return loss

    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        for _ in range(3):
            optimizer.step(closure=closure) if keyword else optimizer.step(closure)
    scalars = written().scalars
    assert scalars["norm/grads/dense/kernel"].step.tolist() == [0, 1, 2]
    np.testing.assert_allclose(scalars["norm/grads/dense/kernel"].value, grads, rtol=1e-5)
    np.testing.assert_allclose(scalars["norm/params/dense/kernel"].value, params, rtol=1e-5)


def test_lbfgs_is_one_capture_per_step(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)

    def closure():
        optimizer.zero_grad()
        loss = loss_at(model, 0)
        loss.backward()
        return loss

    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        optimizer.step(closure)
        optimizer.step(closure)
    assert written().histograms["grads/dense/kernel"].step.tolist() == [0, 1]


@pytest.mark.parametrize("fused", [True, False])
def test_the_loss_scale_is_taken_off(fused, network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    (expected,) = torch.autograd.grad(loss_at(model, 0), model.dense.weight)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        scaler.scale(loss_at(model, 0)).backward()
        scaler.step(optimizer)
        scaler.update()
    assert written().scalars["norm/grads/dense/kernel"].value == pytest.approx([expected.norm().item()], rel=1e-5)
