"""What fails under tracers is recorded as it ran: own control flow, other frameworks' detours, wrapped and transformed code."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from multiboard_torch.graph import graph


def module(*layers, forward):
    """Return a module with some layers and a function of `self` and the inputs."""

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(layers)

        def forward(self, *args, **kwargs):
            return forward(self.layers, *args, **kwargs)

    return Module()


def until_small(layers, x):
    turns = 0
    while x.abs().mean().item() > 0.2 and turns < 4:
        x, turns = layers[0](x).tanh() * 0.5, turns + 1
    return x if turns % 2 else -x


def only_positive(layers, x):
    rows = torch.nonzero(x[:, 0] > 0).squeeze(1)
    return layers[0](x[rows]), torch.unique(rows), x.masked_select(x > 1)


def numpy_detour(layers, pictures):
    features = [layers[0](picture) for picture in pictures]
    largest = np.argmax([feature.detach().numpy().sum() for feature in features])
    return features[largest] + torch.from_numpy(features[0].detach().numpy() * 2)


class Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(-1, 1)

    @staticmethod
    def backward(ctx, grad):  # noqa: ARG004
        return grad * 0.5


def in_place(layers, x):
    x = layers[0](x)
    x[:, 0] = 0
    x[:, 1].mul_(2)
    view = x.view(-1)
    view += 1
    torch.relu_(x)
    return x, torch.add(x.detach(), 1, out=torch.empty_like(x))


class Tree(nn.Module):
    """Calls itself."""

    def __init__(self):
        super().__init__()
        self.join = nn.Linear(8, 4)

    def forward(self, tree):
        return tree if isinstance(tree, torch.Tensor) else self.join(torch.cat([self(part) for part in tree], -1))


class Mixed(nn.Module):
    """Holds parameters of its own, complex ones, and a state that is no buffer."""

    def __init__(self):
        super().__init__()
        self.filter = nn.Parameter(torch.randn(3, dtype=torch.complex64))
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))])
        self.calls, self.fixed = 0, torch.ones(4)

    def forward(self, x):
        self.calls += 1
        x = torch.fft.irfft(torch.fft.rfft(x) * self.filter, n=4)
        return torch.einsum("bi,i,i->b", x, self.scales[0], self.fixed) + self.scales[1].sum()


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 2)
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        return self.head(self.body(x - self.mean))


def twice_the_gradient(layers, x):
    def energy(x):
        return layers[0](x).square().sum()

    return torch.func.vmap(torch.func.grad(energy))(x)


def linear():
    return nn.Linear(4, 4)


def bf16(layers, x):
    with torch.autocast("cpu", torch.bfloat16):
        return layers[1](functional.gelu(layers[0](x)))


torch.manual_seed(0)
X = torch.randn(3, 4)
MODELS = {
    "while over a value": lambda: module(linear(), forward=until_small),
    "shapes that depend on values": lambda: module(linear(), forward=only_positive),
    "module called three times": lambda: module(linear(), forward=lambda layers, x: layers[0](layers[0](layers[0](x)))),
    "the same module by two names": lambda: nn.Sequential(*[linear()] * 2),
    "checkpoint": lambda: module(linear(), forward=lambda layers, x: checkpoint(layers[0], x, use_reentrant=False)),
    "reentrant checkpoint": lambda: module(
        linear(), forward=lambda layers, x: checkpoint(layers[0], x.clone().requires_grad_(), use_reentrant=True)
    ),
    "autograd.Function": lambda: module(linear(), forward=lambda layers, x: Clip.apply(layers[0](x))),
    "vmap": lambda: module(linear(), forward=lambda layers, x: torch.vmap(layers[0])(x)),
    "per-example gradients": lambda: module(linear(), forward=twice_the_gradient),
    "bfloat16": lambda: module(linear(), linear(), forward=bf16),
    "half of the model in bfloat16": lambda: module(
        linear().bfloat16(), forward=lambda layers, x: layers[0](x.bfloat16()).float()
    ),
    "scripted part": lambda: module(torch.jit.script(linear()), forward=lambda layers, x: layers[0](x)),
    "in place": lambda: module(linear(), forward=in_place),
    "complex": Mixed,
    "frozen part, buffer replaced": Frozen,
    "random": lambda: module(linear(), forward=lambda layers, x: layers[0](x) * torch.rand(4) + torch.randn_like(x)),
    "compiled part": lambda: module(torch.compile(linear(), backend="eager"), forward=lambda layers, x: layers[0](x)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.jit.script
@pytest.mark.filterwarnings("ignore:Using `torch.compile:UserWarning")  # of the hooks of these tests
def test_a_model_that_fails_under_tracers_is_recorded_as_it_ran(name, observe):
    observe(MODELS[name], X)


def test_a_list_and_a_detour_over_numpy_are_recorded(observe):
    observe(lambda: module(linear(), forward=numpy_detour), [X, X + 1])


def test_a_module_that_calls_itself_is_recorded(observe):
    observe(Tree, [[X, X], X])


def test_a_lazy_model_is_recorded_with_the_parameters_that_it_gets_in_its_first_call():
    model = nn.Sequential(nn.LazyLinear(5), nn.ReLU(), nn.LazyBatchNorm1d())
    recording = graph(model)
    model(X)
    paths = {node.attrs["path"] for node in recording.graph.nodes if node.op == "Const_Parameter"}
    assert paths == {"0/kernel", "0/bias", "2/scale", "2/bias"}
    assert recording.graph.notes == ()
    assert sum(node.params for node in recording.graph.nodes) == sum(one.numel() for one in model.parameters())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_model_is_recorded_without_gradients_as_with_them(mode, observe):
    with mode():
        found = observe(lambda: nn.Sequential(linear(), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval(), X)
    assert sum(node.flops for node in found.nodes) == 2 * 3 * (16 + 8)


@pytest.mark.filterwarnings("ignore:Using `torch.compile:UserWarning")  # of the hooks of these tests
def test_a_compiled_model_shows_its_layers(observe):
    torch.compiler.reset()
    found = observe(
        lambda: torch.compile(nn.Sequential(linear(), nn.Tanh()), backend="eager"), X, inner=lambda model: model._orig_mod
    )
    assert [node.scope[0].name for node in found.nodes if node.scope] == ["Sequential"] * 5
