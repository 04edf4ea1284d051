"""A watched training is bit-identical to one that is not."""

import pytest
import torch

import multiboard as mb
import multiboard.torch as mbt

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw foreach": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=True),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_weights_losses_and_random_numbers_are_bit_identical(make, network, train, log_dir):
    plain = network()
    plain_losses = train(plain, make(plain.parameters()), 12)
    plain_random = torch.rand(3)
    watched = network()
    optimizer = make(watched.parameters())
    with mb.Run(log_dir) as run, mbt.watch(watched, optimizer, run, every=3):
        losses = train(watched, optimizer, 12)
    assert losses == plain_losses
    assert torch.equal(torch.rand(3), plain_random)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))


EVERYTHING = ("params", "grads", "updates", "optimizer_state", "buffers")
OPTIONS = {
    "everything": {"log": EVERYTHING, "activations": "*"},
    "norms alone": {"log": EVERYTHING, "activations": "*", "histograms": False},
    "samples": {"log": EVERYTHING, "sample": 7, "overhead": 0.5},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_weights_are_bit_identical_with_every_option(make, options, network, train, log_dir):
    plain = network()
    train(plain, make(plain.parameters()), 8)
    watched = network()
    optimizer = make(watched.parameters())
    with mb.Run(log_dir) as run, mbt.watch(watched, optimizer, run, every=2, **options):
        train(watched, optimizer, 8)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))


def test_the_hooks_return_nothing(network, loss_at, log_dir):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, activations="*"):
        loss_at(model, 0).backward()
        for hook in (*optimizer._optimizer_step_pre_hooks.values(), *optimizer._optimizer_step_post_hooks.values()):
            assert hook(optimizer, (), {}) is None
        for layer in model.children():
            output = torch.ones(2, 6)
            assert [hook(layer, (), output) for hook in layer._forward_hooks.values()] == [None]


def test_the_hook_leaves_gradients_and_the_grad_mode_alone(network, loss_at, log_dir):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1):
        loss_at(model, 0).backward()
        before = {name: (p.grad, p.grad.clone()) for name, p in model.named_parameters()}
        optimizer.step()
        assert torch.is_grad_enabled()
    for name, parameter in model.named_parameters():
        assert parameter.grad is before[name][0]
        assert torch.equal(parameter.grad, before[name][1])
