"""Tensors kept element by element are those of the model, in the compared layout, and keeping them changes nothing."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt
from multiboard import exact_samples
from multiboard.errors import ArgumentError

ALL = ("params", "grads", "updates", "activations")


class Picture(nn.Module):
    """A convolution whose outputs have their channels in front, and a dense layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.dense = nn.Linear(16, 5)

    def forward(self, x):
        return self.dense(self.conv(x).flatten(1))


@pytest.fixture
def trained(log_dir, written):
    """A function that trains a model for three steps, and returns it and what was written; `look` sees it before an update."""

    def run(exact, look=None, **options):
        torch.manual_seed(0)
        model = Picture()
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, exact=exact, **options):
            for step in range(3):
                optimizer.zero_grad()
                model(torch.linspace(-1, 1, 96).reshape(2, 3, 4, 4) + step).square().mean().backward()
                if look:
                    look(step, model)
                optimizer.step()
        return model, written()

    return run


def test_all_elements_of_parameters_gradients_and_updates_are_kept_in_the_compared_layout(trained):
    seen = {}

    def look(step, model):
        seen[step] = {name: (p.detach().clone(), p.grad.clone()) for name, p in model.named_parameters()}

    _, written = trained(mb.Exact(steps=[0, 1], kinds=ALL), look)
    tensors = written.tensors
    weight, grad = seen[0]["dense.weight"]
    np.testing.assert_array_equal(tensors["exact/params/dense/kernel"].value[0], weight.T)
    np.testing.assert_array_equal(tensors["exact/grads/dense/kernel"].value[0], grad.T)
    np.testing.assert_array_equal(tensors["exact/updates/dense/kernel"].value[0], (seen[1]["dense.weight"][0] - weight).T)
    np.testing.assert_array_equal(tensors["exact/params/conv/kernel"].value[1], seen[1]["conv.weight"][0].permute(2, 3, 1, 0))
    assert {tag for tag in tensors if tag.startswith("exact/")} == {
        f"exact/{kind}/{layer}/{role}" for kind in ALL[:3] for layer in ("conv", "dense") for role in ("kernel", "bias")
    }
    assert {tuple(column.step) for tag, column in tensors.items() if tag.startswith("exact/")} == {(0, 1)}


def test_outputs_have_their_channels_last(trained):
    outputs = []
    hook = nn.modules.module.register_module_forward_hook(
        lambda module, _, output: outputs.append(output.detach().clone()) if isinstance(module, nn.Conv2d) else None
    )
    with hook:
        _, written = trained(mb.Exact(kinds=["activations"]), activations="*")
    kept = written.tensors["exact/activations/conv"]
    np.testing.assert_array_equal(kept.value[0], outputs[0].permute(0, 2, 3, 1))
    assert kept.description.endswith("; float32 [2, 2, 2, 4]")
    assert "exact/activations/dense" in written.tensors


def test_the_training_is_the_same_bit_for_bit(trained):
    plain, _ = trained(None)
    kept, _ = trained(mb.Exact(steps=1, kinds=ALL, limit=20), activations="*")
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), kept.parameters(), strict=True))


def test_of_large_tensors_a_sample_is_kept(trained):
    first = {}
    _, written = trained(
        mb.Exact(limit=20), lambda step, model: first.setdefault(step, model.dense.weight.detach().clone().numpy())
    )
    column = written.tensors["exact/params/dense/kernel"]
    assert column.value[0].tolist() == first[0].T.reshape(-1)[exact_samples.sample(80, 20)].tolist()
    assert exact_samples.parse(column.description).limit == 20
    assert written.tensors["exact/params/dense/bias"].value[0].shape == (5,)


def test_no_tensor_is_held_after_the_last_step_that_is_kept(log_dir, network, train):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, exact=mb.Exact(limit=5, kinds=ALL)) as watching:
        train(model, optimizer, 2)
        kept = watching._exact
        assert not any((kept._places, kept._before, kept._taken))


def test_true_keeps_parameters_and_gradients_of_step_0(trained):
    _, written = trained(True)
    kept = {tag: column for tag, column in written.tensors.items() if tag.startswith("exact/")}
    assert {tag.split("/")[1] for tag in kept} == {"params", "grads"}
    assert all(column.step.tolist() == [0] for column in kept.values())


def test_only_the_layers_and_groups_that_are_captured_are_kept(trained):
    _, written = trained(mb.Exact(layers="dense", kinds=["params", "grads"]), log=["params"])
    assert {tag for tag in written.tensors if tag.startswith("exact/")} == {
        "exact/params/dense/kernel", "exact/params/dense/bias",
    }  # fmt: skip


def test_halves_keep_their_values_and_tell_their_type(log_dir, written):
    model = nn.Linear(4, 3).bfloat16()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    weight = model.weight.detach().clone()
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, exact=True):
        model(torch.ones(2, 4, dtype=torch.bfloat16)).float().sum().backward()
        optimizer.step()
    column = written().tensors["exact/params/kernel"]
    assert exact_samples.parse(column.description).dtype == "bfloat16"
    np.testing.assert_array_equal(column.value[0], weight.float().T)


def test_a_sparse_gradient_is_left_out_and_the_rest_is_kept(log_dir, written):
    model = nn.Embedding(10, 4, sparse=True)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with (
        pytest.warns(mb.MultiboardWarning, match="exact/grads/embedding was left out"),
        mb.Run(log_dir) as run,
        mbt.watch(model, optimizer, run, every=1, exact=True),
    ):
        model(torch.tensor([1, 2])).sum().backward()
        optimizer.step()
    kept = written()
    assert "exact/params/embedding" in kept.tensors
    assert "exact/grads/embedding" not in kept.tensors
    assert "grads/embedding" in kept.histograms


def test_an_update_that_is_given_up_keeps_nothing(log_dir, written, network):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, exact=True) as watching:
        model(torch.zeros(2, 3, dtype=torch.long)).sum().backward()
        watching.remove()
        optimizer.step()
        run.log({"train/loss": 1.0}, 0)
    assert not any(tag.startswith("exact/") for tag in written().tensors)


def test_a_step_that_no_capture_takes_is_refused(network, log_dir):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with mb.Run(log_dir) as run, pytest.raises(ArgumentError, match="step 5"):
        mbt.watch(model, optimizer, run, every=10, exact=mb.Exact(steps=[0, 5]))


def test_a_copy_of_a_watched_model_keeps_nothing(log_dir, written, network, train):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, exact=mb.Exact(kinds=ALL), activations="*"):
        copy.deepcopy(model)(torch.zeros(2, 3, dtype=torch.long)).sum().backward()
        train(model, optimizer, 1)
    assert written().tensors["exact/activations/dense"].value[0].shape == (16, 3)
