"""The backward pass mirrors the modules of the forward pass, and the optimizer is one region."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import multiboard.torch as mbt
from multiboard.graph.ir import BACKWARD, OPTIMIZER, layer_path

X = torch.ones(3, 4)


class Blocks(nn.Module):
    def __init__(self, reentrant=None):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(2))
        self.head, self.reentrant = nn.Linear(4, 2), reentrant

    def forward(self, x):
        for block in self.blocks:
            x = block(x) if self.reentrant is None else checkpoint(block, x, use_reentrant=self.reentrant)
        return self.head(x)


def region(node):
    return node.scope[0].name if node.scope and node.scope[0].kind == "region" else ""


def step(model, optimizer):
    loss = model(X.clone().requires_grad_()).square().mean()
    loss.backward()
    optimizer.step()
    return loss


def observed(make, optimizer_class=torch.optim.Adam):
    torch.manual_seed(0)
    plain, model = make(), make()
    model.load_state_dict(plain.state_dict())
    step(plain, optimizer_class(plain.parameters()))
    with mbt.graph(model, backward=True) as recording:
        step(model, optimizer_class(model.parameters()))
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one.grad, other.grad)
    assert recording.graph.notes == ()
    return recording.graph


@pytest.mark.parametrize("reentrant", [None, False, True], ids=["plain", "checkpoint", "reentrant checkpoint"])
def test_each_layer_has_its_gradients_below_backward(reentrant, check_graph):
    found = observed(lambda: Blocks(reentrant))
    check_graph(found)
    backward = [node for node in found.nodes if region(node) == BACKWARD]
    paths = {layer_path(node.scope) for node in backward if node.flops}
    assert {"blocks/0/0", "blocks/1/0", "head"} <= paths
    assert {node.scope[1].name for node in backward if len(node.scope) > 1} <= {"Blocks", "mean", "square", "accumulate_grad"}
    mirrored = {frame.uid for node in backward for frame in node.scope}
    assert not mirrored & {frame.uid for node in found.nodes if region(node) != BACKWARD for frame in node.scope}


def test_a_backward_pass_has_twice_the_flops(check_graph):
    found = observed(Blocks)
    check_graph(found)
    forward = sum(node.flops for node in found.nodes if not region(node))
    assert forward == 2 * 3 * (16 + 16 + 8)
    assert sum(node.flops for node in found.nodes if region(node) == BACKWARD) == 2 * forward


def test_a_checkpointed_block_is_computed_again_in_the_backward_pass():
    twice = observed(lambda: Blocks(reentrant=False))
    assert sum(node.flops for node in twice.nodes if region(node) == BACKWARD) == 3 * 2 * 3 * 32 + 2 * 2 * 3 * 8


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.LBFGS], ids=lambda one: one.__name__)
def test_the_operators_of_an_optimizer_are_in_its_region(optimizer, check_graph):
    def run(model, chosen):
        def closure():
            chosen.zero_grad()
            loss = model(X).square().mean()
            loss.backward()
            return loss

        chosen.step(closure)

    model = Blocks()
    with mbt.graph(model, backward=True) as recording:
        run(model, optimizer(model.parameters(), lr=0.1))
    check_graph(recording.graph)
    nodes = recording.graph.nodes
    updates = [node for node in nodes if region(node) == OPTIMIZER]
    assert updates
    assert not any(frame.kind == "module" for node in updates for frame in node.scope)
    assert any(node.scope and node.scope[0].name == "Blocks" for node in nodes)
    assert sum(node.params for node in nodes) == sum(one.numel() for one in model.parameters())
    assert len([node for node in nodes if node.op == "Const_Parameter" and not node.scope]) == 0


def test_inputs_of_a_block_are_named_and_what_the_model_returns_is_an_output():
    model, target = Blocks(), torch.zeros(3, 2)
    with mbt.graph(model, backward=True) as recording:
        nn.functional.mse_loss(model(x=X), target).backward()
    nodes = recording.graph.nodes
    assert [(node.op, node.name) for node in nodes if node.op in {"Input", "Output"}] == [
        ("Input", "x"),
        ("Output", "output"),
        ("Input", "input"),
    ]


def test_two_models_of_one_block_have_a_frame_each(check_graph):
    generator, critic = nn.Sequential(nn.Linear(4, 2)), nn.Sequential(nn.Linear(2, 1), nn.Tanh())
    with mbt.graph(generator, backward=True) as recording:
        critic(generator(X)).mean().backward()
    check_graph(recording.graph)
    assert [(node.scope[0].uid, node.attrs["path"], node.params) for node in recording.graph.nodes if node.params] == [
        (1, "0/kernel", 8),
        (1, "0/bias", 2),
        (4, "0/kernel", 2),
        (4, "0/bias", 1),
    ]


def test_an_example_is_derived_without_gradients_in_the_model(check_graph):
    model = Blocks()
    recording = mbt.graph(model, example=X, backward=True)
    check_graph(recording.graph)
    assert all(one.grad is None for one in model.parameters())
    assert any(region(node) == BACKWARD and node.flops for node in recording.graph.nodes)


def test_an_error_in_the_block_reaches_the_user_and_what_came_before_is_kept():
    model = Blocks()
    with pytest.raises(ZeroDivisionError), mbt.graph(model, backward=True) as recording:
        model(X)
        _ = 1 / 0
    assert recording.graph.notes == ("It ends where ZeroDivisionError was raised.",)
    assert sum(node.params for node in recording.graph.nodes) == 50
