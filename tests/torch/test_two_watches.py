"""Two optimizers on one run: each writes what it updates, and nothing is written twice."""

import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt


def test_each_watch_writes_the_parameters_of_its_optimizer(network, loss_at, log_dir, written):
    model = network()
    model.words.requires_grad_(False)
    first = torch.optim.SGD(model.dense.parameters(), lr=0.5)
    second = torch.optim.Adam(model.norm.parameters(), lr=0.25)
    with mb.Run(log_dir) as run:
        mbt.watch(model, first, run, every=2)
        mbt.watch(model, second, run, every=3)
        for step in range(6):
            loss_at(model, step).backward()
            first.step()
            second.step()
    data = written()
    steps = {tag: column.step.tolist() for tag, column in data.histograms.items()}
    assert steps["params/dense/kernel"] == steps["grads/dense/bias"] == steps["params/words/embedding"] == [0, 2, 4]
    assert steps["params/norm/scale"] == steps["grads/norm/bias"] == [0, 3]
    assert data.scalars["train/learning_rate"].value.tolist() == [0.5, 0.5, 0.5]
    assert data.scalars["train/learning_rate/1"].value.tolist() == [0.25, 0.25]


def test_a_removed_watch_leaves_its_parameters_to_others(network, loss_at, log_dir, written):
    model = network()
    model.words.requires_grad_(False)
    first = torch.optim.SGD(model.dense.parameters(), lr=0.5)
    second = torch.optim.SGD(model.norm.parameters(), lr=0.25)
    with mb.Run(log_dir) as run:
        mbt.watch(model, first, run, every=1).remove()
        mbt.watch(model, second, run, every=1)
        loss_at(model, 0).backward()
        second.step()
    assert {"params/words/embedding", "params/dense/kernel", "grads/norm/scale"} <= set(written().histograms)
    assert written().scalars["train/learning_rate"].value.tolist() == [0.25]


def test_other_parameters_under_the_same_tags_are_refused(log_dir):
    models = [nn.Sequential(nn.Linear(2, 2)) for _ in range(2)]
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
    with mb.Run(log_dir) as run:
        mbt.watch(models[0], optimizers[0], run)
        with pytest.raises(mb.ArgumentError, match=r"writes other parameters as '0/kernel'.*run\.child"):
            mbt.watch(models[1], optimizers[1], run)
        mbt.watch(models[1], optimizers[1], run.child("second"))


def test_models_side_by_side_in_one_dictionary_share_a_run(log_dir, written):
    both = nn.ModuleDict({"generator": nn.Linear(2, 2), "critic": nn.Linear(2, 2)})
    with mb.Run(log_dir) as run:
        optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in both.values()]
        for optimizer in optimizers:
            mbt.watch(both, optimizer, run, every=1, log="params")
        for optimizer in optimizers:
            optimizer.step()
    steps = {tag: column.step.tolist() for tag, column in written().histograms.items()}
    assert steps == {f"params/{name}/{role}": [0] for name in both for role in ("kernel", "bias")}
