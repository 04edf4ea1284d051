"""Every kind of parameter is written, or left out for a reason, and never changed."""

import numpy as np
import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt
from multiboard.buckets import measure


@pytest.fixture
def capture_once(log_dir, written):
    """A function that takes one watched step of a model whose gradients are there, and reads the run."""

    def step(model, parameters=None):
        optimizer = torch.optim.SGD(parameters or model.parameters(), lr=0.1)
        with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
            optimizer.step()
        return written()

    return step


def test_a_frozen_parameter_is_written_without_a_gradient(network, loss_at, capture_once):
    model = network()
    model.words.requires_grad_(False)
    loss_at(model, 0).backward()
    histograms = capture_once(model, [p for p in model.parameters() if p.requires_grad]).histograms
    assert "params/words/embedding" in histograms
    assert "grads/words/embedding" not in histograms
    assert "grads/dense/kernel" in histograms


def test_a_parameter_without_gradient_is_left_out_of_the_gradients(network, capture_once):
    model = network()
    model.dense(torch.ones(1, 6)).sum().backward()
    histograms = capture_once(model).histograms
    assert {tag for tag in histograms if tag.startswith("grads/")} == {"grads/dense/kernel", "grads/dense/bias"}


def test_gradients_that_the_optimizer_does_not_use_are_left_out(network, loss_at, capture_once):
    model = network()
    loss_at(model, 0).backward()
    histograms = capture_once(model, model.dense.parameters()).histograms
    assert {tag for tag in histograms if tag.startswith("grads/")} == {"grads/dense/kernel", "grads/dense/bias"}
    assert "params/norm/scale" in histograms


def test_tied_parameters_are_written_once(capture_once):
    model = nn.ModuleDict({"words": nn.Embedding(5, 4), "head": nn.Linear(4, 5, bias=False)})
    model["head"].weight = model["words"].weight
    model["head"](model["words"](torch.arange(5))).sum().backward()
    assert list(capture_once(model).histograms) == [f"{group}/words/embedding" for group in ("params", "grads", "updates")]


def test_a_sparse_gradient_is_counted_by_its_coalesced_values_and_stays_as_it_is(capture_once):
    model = nn.Sequential(nn.Embedding(100, 4, sparse=True))
    model(torch.tensor([3, 7, 3])).square().sum().backward()
    gradient = model[0].weight.grad
    values = gradient.clone().coalesce().values().numpy()
    assert not gradient.is_coalesced()
    data = capture_once(model)
    assert model[0].weight.grad is gradient
    assert not gradient.is_coalesced()
    np.testing.assert_array_equal(data.histograms["grads/0/embedding"].value[0], measure(values).rows())
    assert values.size == 8


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.complex64])
def test_other_dtypes_are_counted_by_their_exact_values(dtype, capture_once):
    torch.manual_seed(0)
    model = nn.Linear(40, 30, dtype=dtype)
    values = model.weight.detach().clone()
    model.weight.grad = torch.randn(30, 40).to(dtype)
    exact = values.numpy() if dtype.is_complex else values.double().numpy()
    data = capture_once(model)
    np.testing.assert_array_equal(data.histograms["params/kernel"].value[0], measure(exact).rows())
    assert data.histograms["grads/kernel"].value[0][:, 2].sum() == 1200


def test_integer_and_empty_parameters_are_written(capture_once):
    model = nn.Linear(2, 2)
    model.table = nn.Parameter(torch.arange(6), requires_grad=False)
    model.nothing = nn.Parameter(torch.zeros(0))
    histograms = capture_once(model).histograms
    np.testing.assert_array_equal(histograms["params/table"].value[0], measure(np.arange(6)).rows())
    assert histograms["params/nothing"].value[0].shape == (0, 3)


def test_the_other_names_of_tied_parameters_are_in_the_description(capture_once):
    model = nn.ModuleDict({"words": nn.Embedding(5, 4), "head": nn.Linear(4, 5, bias=False)})
    model["head"].weight = model["words"].weight
    described = capture_once(model).histograms["params/words/embedding"].description
    assert described == "`words.weight` of Embedding (also `head.weight`)"


def test_float8_parameters_are_counted_by_their_exact_values(capture_once):
    model = nn.Linear(2, 2)
    values = torch.tensor([0.5, -448.0, 0.0, 1.125]).to(torch.float8_e4m3fn)
    model.table = nn.Parameter(values, requires_grad=False)
    histograms = capture_once(model).histograms
    np.testing.assert_array_equal(histograms["params/table"].value[0], measure(values.float().numpy()).rows())


PARAMETRIZED = {
    "weight_norm": (nn.utils.parametrizations.weight_norm, ["dense/bias", "dense/kernel/original0", "dense/kernel/original1"]),
    "spectral_norm": (nn.utils.parametrizations.spectral_norm, ["dense/bias", "dense/kernel"]),
    "orthogonal": (nn.utils.parametrizations.orthogonal, ["dense/bias", "dense/kernel"]),
}


@pytest.mark.parametrize(("parametrize", "expected"), PARAMETRIZED.values(), ids=PARAMETRIZED)
def test_a_parametrized_weight_is_named_after_the_weight(parametrize, expected, capture_once):
    model = nn.ModuleDict({"dense": parametrize(nn.Linear(4, 4))})
    model["dense"](torch.ones(1, 4)).sum().backward()
    histograms = capture_once(model).histograms
    assert [tag for tag in histograms if tag.startswith("params/")] == [f"params/{path}" for path in expected]
    assert [tag for tag in histograms if tag.startswith("updates/")] == [f"updates/{path}" for path in expected]
    assert " of Linear" in histograms[f"params/{expected[-1]}"].description


def test_a_parametrized_model_itself_is_named_without_a_layer(capture_once):
    model = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))
    assert [tag for tag in capture_once(model).histograms if tag.startswith("params/")] == ["params/bias", "params/kernel"]


def test_a_lazy_model_is_written_once_it_has_its_parameters(log_dir, written):
    model = nn.Sequential(nn.LazyLinear(3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        model(torch.ones(2, 5)).sum().backward()
        optimizer.step()
    assert list(written().histograms) == [
        f"{group}/0/{role}" for group in ("params", "grads", "updates") for role in ("kernel", "bias")
    ]


def test_a_parameter_group_that_is_added_later_is_written(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.dense.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        for step in range(2):
            loss_at(model, step).backward()
            optimizer.step()
            if step == 0:
                optimizer.add_param_group({"params": list(model.norm.parameters())})
    histograms = written().histograms
    assert histograms["grads/dense/kernel"].step.tolist() == [0, 1]
    assert histograms["grads/norm/scale"].step.tolist() == [1]


def test_a_layer_that_is_replaced_during_training_is_written(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        loss_at(model, 0).backward()
        optimizer.step()
        model.dense = nn.Linear(6, 3)
        optimizer.add_param_group({"params": list(model.dense.parameters())})
        loss_at(model, 1).backward()
        expected = model.dense.weight.detach().numpy().copy()
        optimizer.step()
    column = written().histograms["params/dense/kernel"]
    assert column.step.tolist() == [0, 1]
    np.testing.assert_array_equal(column.value[1], measure(expected).rows())
