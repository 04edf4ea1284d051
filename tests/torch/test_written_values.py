"""What is written has the agreed tags and steps, and the values of the framework at that step."""

import numpy as np
import torch

import multiboard as mb
import multiboard.torch as mbt
from multiboard.buckets import measure

PATHS = {
    "words/embedding": "words.weight",
    "norm/scale": "norm.weight",
    "norm/bias": "norm.bias",
    "dense/kernel": "dense.weight",
    "dense/bias": "dense.bias",
}


def train_and_keep(model, loss_at, run, steps, **arguments):
    """Train by plain SGD and return parameters and gradients of each step as NumPy copies."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    kept = []
    with mbt.watch(model, optimizer, run, **arguments):
        for step in range(steps):
            optimizer.zero_grad()
            loss_at(model, step).backward()
            params = {name: p.detach().numpy().copy() for name, p in model.named_parameters()}
            grads = {name: p.grad.numpy().copy() for name, p in model.named_parameters()}
            optimizer.step()
            kept.append({"params": params, "grads": grads})
    return kept


def test_histograms_and_norms_are_those_of_the_values_before_the_update(network, loss_at, log_dir, written):
    with mb.Run(log_dir) as run:
        kept = train_and_keep(network(), loss_at, run, 5, every=2)
    data = written()
    for group in ("params", "grads"):
        for path, native in PATHS.items():
            histogram, norm = data.histograms[f"{group}/{path}"], data.scalars[f"norm/{group}/{path}"]
            assert histogram.step.tolist() == norm.step.tolist() == [0, 2, 4]
            for row, step in enumerate([0, 2, 4]):
                values = kept[step][group][native]
                np.testing.assert_array_equal(histogram.value[row], measure(values).rows())
                np.testing.assert_allclose(norm.value[row], np.linalg.norm(values), rtol=1e-5)


def test_nothing_else_is_written(network, loss_at, log_dir, written):
    with mb.Run(log_dir) as run:
        train_and_keep(network(), loss_at, run, 1, every=1)
    data = written()
    groups = ("params", "grads", "updates")
    tensors = [f"{group}/{path}" for group in groups for path in PATHS]
    totals = {f"{kind}/{group}" for kind in ("norm", "nonfinite") for group in groups}
    ratios = {"update_ratio"} | {f"update_ratio/{path}" for path in PATHS}
    # The bias of the norm layer is zero at the first step: there is no ratio to it.
    assert list(data.histograms) == tensors
    assert set(data.scalars) == {f"norm/{tag}" for tag in tensors} | totals | ratios - {"update_ratio/norm/bias"} | {
        "train/learning_rate"
    }


def test_log_chooses_the_groups(network, loss_at, log_dir, written):
    with mb.Run(log_dir) as run:
        train_and_keep(network(), loss_at, run, 1, every=1, log="params")
    assert {tag.split("/")[0] for tag in written().histograms} == {"params"}


def test_start_step_continues_the_steps(network, loss_at, log_dir, written):
    with mb.Run(log_dir) as run:
        train_and_keep(network(), loss_at, run, 10, every=4, start_step=7)
    assert written().histograms["grads/dense/bias"].step.tolist() == [8, 12, 16]


def test_the_description_names_the_parameter_its_layer_and_the_stage(network, loss_at, log_dir, written):
    with mb.Run(log_dir) as run:
        train_and_keep(network(), loss_at, run, 1, every=1)
    histograms = written().histograms
    assert histograms["params/norm/scale"].description == "`norm.weight` of LayerNorm"
    assert histograms["grads/norm/scale"].description == "`norm.weight` of LayerNorm, as the optimizer gets it"
