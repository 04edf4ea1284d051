"""FLOPs are those that one counts by hand: 2 * multiply-adds of matrix products and convolutions."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from multiboard_torch.graph import graph

N, S, E, H = 2, 5, 16, 4


def flops(model, *args, backward=False, **kwargs):
    """Return the FLOPs of one call, and of its backward pass."""
    if not backward:
        recording = graph(model)
        model(*args, **kwargs)
    else:
        with graph(model, backward=True) as recording:
            model(*args, **kwargs).sum().backward()
    assert not any("FLOPs" in note for note in recording.graph.notes)
    own = [node for node in recording.graph.nodes if not (node.scope and node.scope[0].name == "backward")]
    forward = sum(node.flops for node in own)
    return (forward, sum(node.flops for node in recording.graph.nodes) - forward) if backward else forward


def of_convolutions(model, x):
    """Return the FLOPs of all convolutions and dense layers of a model, from the sizes that each of them returns."""
    total = []

    def add(layer, _, out):
        kernel = layer.weight[0].numel()  # inputs of one output value
        total.append(2 * kernel * out.numel())

    handles = [layer.register_forward_hook(add) for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    model(x)
    for handle in handles:
        handle.remove()
    return sum(total)


def bottleneck(before, inside, stride):
    """Return a block of ResNet-50 without its shortcut."""
    return nn.Sequential(
        *(nn.Conv2d(before, inside, 1, bias=False), nn.BatchNorm2d(inside), nn.ReLU()),
        *(nn.Conv2d(inside, inside, 3, stride, 1, bias=False), nn.BatchNorm2d(inside), nn.ReLU()),
        *(nn.Conv2d(inside, 4 * inside, 1, bias=False), nn.BatchNorm2d(4 * inside)),
    )


class ResNet50(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, before = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()), 64
        self.blocks, self.shortcuts = nn.ModuleList(), nn.ModuleList()
        for number, depth in enumerate((3, 4, 6, 3)):
            for index in range(depth):
                stride, inside = 2 if number and not index else 1, 64 * 2**number
                self.blocks.append(bottleneck(before, inside, stride))
                self.shortcuts.append(nn.Identity() if index else nn.Conv2d(before, 4 * inside, 1, stride, bias=False))
                before = 4 * inside
        self.fc = nn.Linear(before, 1000)

    def forward(self, x):
        x = functional.max_pool2d(self.stem(x), 3, 2, 1)
        for block, shortcut in zip(self.blocks, self.shortcuts, strict=True):
            x = functional.relu(block(x) + shortcut(x))
        return self.fc(x.mean((2, 3)))


def test_an_mlp():
    model = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2))
    assert flops(model, torch.ones(3, 12), backward=True) == (2 * 3 * (12 * 8 + 8 * 2), 2 * 3 * (12 * 8 + 2 * 8 * 2))


def test_a_small_convolution():
    assert flops(nn.Conv2d(4, 6, 3, groups=2), torch.ones(2, 4, 8, 8)) == 2 * (2 * 6 * 6 * 6) * (2 * 3 * 3)


def test_a_resnet_50():
    model, x = ResNet50().eval(), torch.ones(1, 3, 64, 64)
    with torch.no_grad():
        assert flops(model, x) == of_convolutions(model, x)


def test_a_resnet_50_for_pictures_of_224_pixels_has_the_known_number():
    with torch.device("meta"):
        model, x = ResNet50(), torch.ones(1, 3, 224, 224)
    assert flops(model, x) == 8_178_368_512  # 2 * 4.09 G, stride in the second convolution


@pytest.mark.parametrize("training", [True, False], ids=["math", "fused"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_attention(training, batch_first):
    model = nn.MultiheadAttention(E, H, batch_first=batch_first).train(training)
    x = torch.ones(N, S, E) if batch_first else torch.ones(S, N, E)
    with torch.set_grad_enabled(training):
        found = flops(model, x, x, x)
    assert found == 2 * (4 * N * S * E * E + 2 * N * S * S * E)


def test_a_fused_encoder_layer_counts_as_one_of_many_operators():
    model = nn.TransformerEncoderLayer(E, H, 3 * E, dropout=0.0, batch_first=True)
    x, expected = torch.ones(N, S, E), 2 * (4 * N * S * E * E + 2 * N * S * S * E + 2 * N * S * E * 3 * E)
    assert flops(model, x) == expected
    with torch.no_grad():
        recording = graph(model.eval())
        model(x)
    assert "aten::_transformer_encoder_layer_fwd" in {node.op for node in recording.graph.nodes}
    assert sum(node.flops for node in recording.graph.nodes) == expected


def test_scaled_dot_product_attention_and_its_gradients():
    class Attention(nn.Module):
        def forward(self, x):
            return functional.scaled_dot_product_attention(x, x, x, is_causal=True)

    product = 2 * N * H * S * S * E
    assert flops(Attention(), torch.ones(N, H, S, E, requires_grad=True), backward=True) == (2 * product, 5 * product)


@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")  # of torch.backends.mkldnn.flags
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_a_recurrent_layer(kind, gates, fused):
    model = kind(E, 7, num_layers=2, bidirectional=True, batch_first=True)
    expected = 2 * N * S * 2 * gates * 7 * ((E + 7) + (2 * 7 + 7))
    with torch.backends.mkldnn.flags(enabled=fused), torch.set_grad_enabled(not fused):
        assert flops(model.train(not fused), torch.ones(N, S, E)) == expected


def test_products_with_vectors_and_batches():
    class Products(nn.Module):
        def forward(self, a, v):
            return torch.mv(a, v), torch.dot(v, v), torch.addmv(v[:3], a, v), a[None] @ v, torch.einsum("ij,kj->ik", a, a)

    assert flops(Products(), torch.ones(3, 4), torch.ones(4)) == 2 * (12 + 4 + 12 + 12 + 3 * 3 * 4)
