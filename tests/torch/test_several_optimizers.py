"""Several optimizers that make one update together, and optimizers that step inside the backward pass."""

import numpy as np
import pytest
import torch

import multiboard as mb
import multiboard.torch as mbt
from multiboard.buckets import measure


def test_two_optimizers_make_one_update(network, loss_at, log_dir, written):
    model = network()
    optimizers = [
        torch.optim.SGD(model.words.parameters(), lr=0.5),
        torch.optim.Adam([*model.norm.parameters(), *model.dense.parameters()], lr=0.1),
    ]
    steps = []
    with mb.Run(log_dir) as run, mbt.watch(model, optimizers, run, every=2) as watching:
        for step in range(4):
            loss_at(model, step).backward()
            for optimizer in optimizers:
                steps.append(watching.step)
                optimizer.step()
            for optimizer in optimizers:
                optimizer.zero_grad()
    assert steps == [0, 0, 1, 1, 2, 2, 3, 3]
    data = written()
    assert all(column.step.tolist() == [0, 2] for column in data.histograms.values())
    for group in ("params", "grads", "updates"):
        assert {f"{group}/words/embedding", f"{group}/dense/kernel"} <= set(data.histograms)
    assert data.scalars["train/learning_rate/1"].value.tolist() == pytest.approx([0.1, 0.1])


@pytest.fixture
def in_backward(network, loss_at):
    """A function that trains with one optimizer per parameter, inside the backward pass, and returns what it saw."""

    def train(steps, attach=lambda _model, _optimizers: None):
        model = network()
        optimizers = {parameter: torch.optim.SGD([parameter], lr=0.5) for parameter in model.parameters()}
        seen = []

        def step_now(parameter):
            seen[-1][id(parameter)] = parameter.grad.numpy().copy()
            optimizers[parameter].step()
            optimizers[parameter].zero_grad()

        for parameter in model.parameters():
            parameter.register_post_accumulate_grad_hook(step_now)
        attach(model, list(optimizers.values()))
        for step in range(steps):
            seen.append({})
            loss_at(model, step).backward()
        return model, seen

    return train


def test_an_optimizer_in_backward_is_captured_as_one_update(in_backward, log_dir, written):
    watches = []
    with mb.Run(log_dir) as run:
        attach = lambda model, optimizers: watches.append(mbt.watch(model, optimizers, run, every=2))  # noqa: E731
        model, seen = in_backward(3, attach)
        assert watches[0].step == 3
    plain, _ = in_backward(3)
    assert all(map(torch.equal, model.parameters(), plain.parameters()))
    data = written()
    assert len(data.histograms) == 15
    for name, parameter in (("dense/kernel", model.dense.weight), ("norm/bias", model.norm.bias)):
        column = data.histograms[f"grads/{name}"]
        assert column.step.tolist() == data.histograms[f"updates/{name}"].step.tolist() == [0, 2]
        for row, step in enumerate((0, 2)):
            np.testing.assert_array_equal(column.value[row], measure(seen[step][id(parameter)]).rows())


def test_an_update_ends_when_an_optimizer_steps_again(network, loss_at, log_dir, written):
    model = network()
    model.words.requires_grad_(False)
    often = torch.optim.SGD(model.dense.parameters(), lr=0.5)
    seldom = torch.optim.SGD(model.norm.parameters(), lr=0.5)
    with mb.Run(log_dir) as run:
        watching = mbt.watch(model, [often, seldom], run, every=1)
        for step in range(4):
            loss_at(model, step).backward()
            often.step()
            if step == 1:
                seldom.step()
        assert watching.step == 3
        watching.remove()
        assert watching.step == 4
    data = written()
    assert data.histograms["grads/dense/kernel"].step.tolist() == [0, 1, 2, 3]
    assert data.histograms["grads/norm/scale"].step.tolist() == [1]
    assert data.scalars["norm/updates/norm/scale"].value[0] == 0
    assert data.scalars["norm/updates/norm/scale"].value[1] > 0


@pytest.mark.parametrize("wrong", [[], None, "adam", [1], {}])
def test_what_is_no_optimizer_is_refused(wrong, network, log_dir):
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError, match=r"optimizer.*pass the torch\.optim\.Optimizer"):
        mbt.watch(network(), wrong, run)
