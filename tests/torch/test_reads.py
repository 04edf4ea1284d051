"""Parameters and gradients are written by one call each, without hooks, under the same tags."""

import numpy as np
import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt
from multiboard.buckets import measure


def test_calls_write_what_a_watch_writes(network, loss_at, log_dir, tmp_path, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mb.Run(tmp_path / "watched") as watched:
        mbt.watch(model, optimizer, watched, every=1, log=("params", "grads"))
        for step in range(2):
            loss_at(model, step).backward()
            mbt.log_params(model, run, step)
            mbt.log_grads(model, run, step)
            optimizer.step()
    expected, found = mb.read(tmp_path / "watched")["."], written()
    assert list(found.histograms) == list(expected.histograms)
    for tag, column in expected.histograms.items():
        assert found.histograms[tag].step.tolist() == [0, 1]
        for mine, theirs in zip(found.histograms[tag].value, column.value, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert set(found.scalars) == set(expected.scalars) - {"train/learning_rate"}


def test_layers_and_norms_can_be_chosen(network, loss_at, log_dir, written):
    model = network()
    loss_at(model, 0).backward()
    with mb.Run(log_dir) as run:
        mbt.log_grads(model, run, 3, layers="dense", histograms=False)
        mbt.log_params(model, run, 3, layers="norm", norms=False)
    data = written()
    assert list(data.histograms) == ["params/norm/scale", "params/norm/bias"]
    assert set(data.scalars) == {"norm/grads/dense/kernel", "norm/grads/dense/bias", "norm/grads", "nonfinite/params"}


def test_later_updates_do_not_reach_what_was_logged(log_dir, written):
    model = nn.Linear(50, 40)
    values = model.weight.detach().numpy().copy()
    with mb.Run(log_dir) as run:
        for step in range(20):
            mbt.log_params(model, run, step)
            model.weight.data.zero_()
    column = written().histograms["params/kernel"]
    np.testing.assert_array_equal(column.value[0], measure(values).rows())
    assert all(rows.tolist() == [[0, 0, 2000]] for rows in column.value[1:])


def test_a_closed_run_and_a_tensor_without_values_do_not_stop_a_loop(log_dir):
    model = nn.ModuleDict({"ghost": nn.Linear(2, 2, device="meta"), "real": nn.Linear(2, 2)})
    with mb.Run(log_dir) as run:
        with pytest.warns(mb.MultiboardWarning, match="params/ghost/kernel was left out"):
            mbt.log_params(model, run, 0)
        mbt.log_params(model, run, 1)
        with pytest.warns(mb.MultiboardWarning, match="TypeError"):
            run.close()
    with pytest.warns(mb.MultiboardWarning, match="closed"):
        mbt.log_params(model, run, 2)


@pytest.mark.parametrize("call", [mbt.log_params, mbt.log_grads])
def test_mistakes_in_a_call_are_refused(call, network, log_dir):
    with mb.Run(log_dir) as run:
        with pytest.raises(mb.ArgumentError, match="model"):
            call("model", run, 0)
        with pytest.raises(mb.ArgumentError, match="run"):
            call(network(), "runs", 0)
        with pytest.raises(mb.StepError, match="step"):
            model = network()
            model(torch.zeros(1, 2, dtype=torch.long)).sum().backward()
            call(model, run, 1.5)
