"""NaN and infinite gradients are counted, and the training goes on."""

import math

import torch

import multiboard as mb
import multiboard.torch as mbt


def test_nan_gradients_are_counted_and_the_training_goes_on(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        for step in range(3):
            optimizer.zero_grad()
            loss_at(model, step).backward()
            if step == 1:
                model.dense.weight.grad[0, :4] = torch.tensor([math.nan, math.inf, -math.inf, math.nan])
            optimizer.step()
    scalars = written().scalars
    assert scalars["nonfinite/grads/dense/kernel"].step.tolist() == [1, 2]
    assert scalars["nonfinite/grads/dense/kernel"].value[0] == 4
    assert scalars["nonfinite/grads"].value[:2].tolist() == [0, 4]
    assert scalars["nonfinite/params/dense/kernel"].value.tolist() == [4]
    assert scalars["norm/params/dense/kernel"].step.tolist() == [0, 1, 2]
