"""Updates, optimizer state and buffers: the values are those of the framework, at the step of their update."""

import numpy as np
import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt
from multiboard.buckets import measure

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.5, momentum=0.9),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1),
    "AdamW, fused": lambda p: torch.optim.AdamW(p, lr=0.1, fused=True),
    "AdamW, one by one": lambda p: torch.optim.AdamW(p, lr=0.1, foreach=False),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.1),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_update_is_what_the_step_adds_to_the_parameter(make, network, loss_at, log_dir, written):
    model = network()
    optimizer = make(model.parameters())
    before, after = [], []
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=2):
        for step in range(5):
            optimizer.zero_grad()
            loss_at(model, step).backward()
            before.append(model.dense.weight.detach().numpy().copy())
            optimizer.step()
            after.append(model.dense.weight.detach().numpy().copy())
    data = written()
    histogram = data.histograms["updates/dense/kernel"]
    assert histogram.step.tolist() == data.scalars["update_ratio/dense/kernel"].step.tolist() == [0, 2, 4]
    for row, step in enumerate([0, 2, 4]):
        update = after[step] - before[step]
        np.testing.assert_array_equal(histogram.value[row], measure(update).rows())
        ratio = np.linalg.norm(update) / np.linalg.norm(before[step])
        assert data.scalars["update_ratio/dense/kernel"].value[row] == pytest.approx(ratio, rel=1e-5)


def test_updates_alone_are_written_without_ratios(network, train, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, log="updates"):
        train(model, optimizer, 1)
    data = written()
    assert {tag.split("/")[0] for tag in data.histograms} == {"updates"}
    assert not [tag for tag in data.scalars if tag.startswith("update_ratio")]


def test_a_frozen_parameter_has_no_update(network, train, log_dir, written):
    model = network()
    model.words.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        train(model, optimizer, 1)
    histograms = written().histograms
    assert "params/words/embedding" in histograms
    assert "updates/words/embedding" not in histograms
    assert "updates/dense/kernel" in histograms


def test_the_total_ratio_is_that_of_the_parameters_with_updates(network, train, log_dir, written):
    model = network()
    model.words.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        train(model, optimizer, 1)
    scalars = written().scalars
    paths = [tag.removeprefix("update_ratio/") for tag in scalars if tag.startswith("update_ratio/")]
    updates = sum(scalars[f"norm/updates/{path}"].value[0] ** 2 for path in paths)
    params = sum(scalars[f"norm/params/{path}"].value[0] ** 2 for path in paths)
    assert scalars["update_ratio"].value[0] == pytest.approx((updates / params) ** 0.5, rel=1e-5)


def test_the_state_is_the_one_that_the_update_has_used(network, train, log_dir, written):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    kept = []
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, log="optimizer_state"):
        for _ in range(2):
            train(model, optimizer, 1)
            kept.append({name: t.detach().numpy().copy() for name, t in optimizer.state[model.dense.weight].items()})
    data = written()
    for native, name in (("exp_avg", "first_moment"), ("exp_avg_sq", "second_moment")):
        column = data.histograms[f"optimizer_state/dense/kernel/{name}"]
        assert column.step.tolist() == [0, 1]
        assert column.description == f"`dense.weight` of Linear, {native} of Adam"
        for row in (0, 1):
            np.testing.assert_array_equal(column.value[row], measure(kept[row][native]).rows())
    assert len(data.histograms) == 10


def test_state_that_belongs_to_no_single_parameter_is_left_out(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = loss_at(model, 0)
        loss.backward()
        return loss

    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, log=("updates", "optimizer_state")):
        optimizer.step(closure)
    assert {tag.split("/")[0] for tag in written().histograms} == {"updates"}


def test_running_statistics_are_written_on_request(log_dir, written):
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    model.register_buffer("mask", torch.ones(3), persistent=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, log=("params", "buffers")):
        model(torch.randn(8, 4)).sum().backward()
        mean = model[1].running_mean.numpy().copy()
        optimizer.step()
    histograms = written().histograms
    assert [tag for tag in histograms if tag.startswith("buffers/")] == ["buffers/1/mean", "buffers/1/var"]
    np.testing.assert_array_equal(histograms["buffers/1/mean"].value[0], measure(mean).rows())
