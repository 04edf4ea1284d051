"""Models whose parameters have the shapes of well-known ones, with values like those of trained ones; and small ones for loops.

They are written here, so that the benchmarks need PyTorch and nothing else.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

EXPANSION = 4
"""Channels at the end of a bottleneck by those inside."""


class Bottleneck(nn.Module):
    """Three convolutions around a shortcut.

    Args:
        before: input channels.
        inside: channels of the first two convolutions.
        stride: of the second one and the shortcut.
    """

    def __init__(self, before: int, inside: int, stride: int) -> None:
        super().__init__()
        after = EXPANSION * inside
        self.conv1, self.bn1 = nn.Conv2d(before, inside, 1, bias=False), nn.BatchNorm2d(inside)
        self.conv2, self.bn2 = nn.Conv2d(inside, inside, 3, stride, 1, bias=False), nn.BatchNorm2d(inside)
        self.conv3, self.bn3 = nn.Conv2d(inside, after, 1, bias=False), nn.BatchNorm2d(after)
        self.downsample = (
            nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)) if before != after else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features `[N, 4 * inside, H / stride, W / stride]`."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu(self.bn3(self.conv3(y)) + shortcut)


class ResNet50(nn.Module):
    """ResNet-50 for 1000 classes: 161 parameters of 25.6 million values (arXiv 1512.03385)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        before = 64
        for number, (inside, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
            layer = []
            for block in range(blocks):
                layer.append(Bottleneck(before, inside, 2 if number > 1 and block == 0 else 1))
                before = EXPANSION * inside
            self.add_module(f"layer{number}", nn.Sequential(*layer))
        self.fc = nn.Linear(before, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `[N, 1000]` of pictures `[N, 3, H, W]`."""
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for number in (1, 2, 3, 4):
            x = self.get_submodule(f"layer{number}")(x)
        return self.fc(x.mean((2, 3)))


class Block(nn.Module):
    """A transformer block with its norms in front.

    Args:
        width: of the features, a multiple of 64.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // 64
        self.ln_1, self.c_attn, self.attn_proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.ln_2, self.c_fc, self.mlp_proj = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return features `[N, T, width]`."""
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.c_attn(self.ln_1(x)).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_proj(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp_proj(functional.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class GPT2(nn.Module):
    """GPT-2 small with tied embeddings: 148 parameters of 124 million values; fewer layers or a smaller width on request."""

    def __init__(self, layers: int = 12, width: int = 768, words: int = 50_257, positions: int = 1024) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(words, width), nn.Embedding(positions, width)
        self.h = nn.ModuleList(Block(width) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, words: Tensor) -> Tensor:
        """Return logits `[N, T, words]` of word numbers `[N, T]`."""
        x = self.wte(words) + self.wpe(torch.arange(words.shape[1], device=words.device))
        for block in self.h:
            x = block(x)
        return functional.linear(self.ln_f(x), self.wte.weight)


class ManySmall(nn.Module):
    """1000 layers of 1024 values each: what a call per tensor costs."""

    def __init__(self, layers: int = 1000) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32, 32, bias=False) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """Return features `[N, 32]`."""
        for layer in self.layers:
            x = functional.relu(layer(x))
        return x


class SmallNetwork(nn.Module):
    """A convolutional network of 105 thousand values for pictures of 16 x 16 in ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(3, 16, 3, 1, 1), nn.Conv2d(16, 32, 3, 1, 1), nn.Conv2d(32, 64, 3, 1, 1)
        self.norm = nn.BatchNorm2d(64)
        self.fc1, self.fc2 = nn.Linear(64 * 4 * 4, 78), nn.Linear(78, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `[N, 10]` of pictures `[N, 3, 16, 16]`."""
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        x = functional.relu(self.norm(self.conv3(x)))
        return self.fc2(functional.relu(self.fc1(x.flatten(1))))


def perceptron(*widths: int) -> nn.Sequential:
    """Return linear layers with tanh between; two parameters each."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


LISTS: dict[str, Callable[[], nn.Module]] = {
    "ResNet-50, 161 tensors, 25.6M": ResNet50,
    "GPT-2, 148 tensors, 124M": GPT2,
    "1000 tensors of 1k": ManySmall,
    "6 tensors, 5.2M": lambda: perceptron(1024, 2048, 1500, 10),
}
"""Parameter lists by title. The last one is for short runs."""


def trained(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """Return a new model with values like trained ones: normal, scaled by fan-in and a factor per layer; always the same.

    Scales of norms are near 1, biases near 0, a hundredth of each kernel is exactly 0 as after pruning.
    """
    torch.manual_seed(seed)
    model = make()
    with torch.no_grad():
        for parameter in model.parameters():
            factor = 2 ** torch.randn(()).item()
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape), alpha=0.02 * factor)
            else:
                parameter.normal_(0, factor * parameter[0].numel() ** -0.5)
                parameter.view(-1)[::100] = 0
    return model
