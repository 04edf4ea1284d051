"""What `models` is for PyTorch, for JAX: parameters with the shapes of well-known models, and models for loops.

Needs JAX, Flax and optax, and not PyTorch.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

if TYPE_CHECKING:
    from collections.abc import Callable

Tree: TypeAlias = "dict[str, dict[str, Any]]"
"""Parameters by layer and name."""


def _convolution(size: int, before: int, after: int) -> dict[str, tuple[int, ...]]:
    return {"kernel": (size, size, before, after)}


def _norm(width: int) -> dict[str, tuple[int, ...]]:
    return {"scale": (width,), "bias": (width,)}


def resnet50_shapes() -> dict[str, dict[str, tuple[int, ...]]]:
    """Return the shapes of the 161 parameters of a ResNet-50 for 1000 classes (arXiv 1512.03385), 25.6 million values."""
    shapes = {"conv1": _convolution(7, 3, 64), "bn1": _norm(64)}
    before = 64
    for number, (inside, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
        for block in range(blocks):
            layers = [(1, before, inside), (3, inside, inside), (1, inside, 4 * inside)]
            if before != 4 * inside:
                layers.append((1, before, 4 * inside))
            for part, (size, entering, leaving) in enumerate(layers, 1):
                shapes[f"layer{number}/{block}/conv{part}"] = _convolution(size, entering, leaving)
                shapes[f"layer{number}/{block}/bn{part}"] = _norm(leaving)
            before = 4 * inside
    return shapes | {"fc": {"kernel": (before, 1000), "bias": (1000,)}}


def perceptron_shapes(*widths: int) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return the shapes of dense layers."""
    return {f"dense{n}": {"kernel": (before, after), "bias": (after,)} for n, (before, after) in enumerate(pairwise(widths), 1)}


def many_small_shapes() -> dict[str, dict[str, tuple[int, ...]]]:
    """Return the shapes of 1000 kernels of 1024 values each: what a call per tensor costs."""
    return {f"layer{n}": {"kernel": (32, 32)} for n in range(1000)}


LISTS: dict[str, Callable[[], dict[str, dict[str, tuple[int, ...]]]]] = {
    "ResNet-50, 161 tensors, 25.6M": resnet50_shapes,
    "1000 tensors of 1k": many_small_shapes,
    "6 tensors, 5.2M": lambda: perceptron_shapes(1024, 2048, 1500, 10),
}
"""Parameter lists by title. The last one is for short runs."""


def trained(shapes: dict[str, dict[str, tuple[int, ...]]], seed: int = 0) -> Tree:
    """Return float32 parameters with values like trained ones: normal, scaled by fan-in and a factor per tensor; always the same.

    Scales of norms are near 1, biases near 0, a hundredth of each kernel is exactly 0 as after pruning.
    """
    rng = np.random.default_rng(seed)

    def values(name: str, shape: tuple[int, ...]) -> jax.Array:
        factor, normal = 2 ** rng.standard_normal(), rng.standard_normal(shape, np.float32)
        if name != "kernel":
            return jnp.asarray((name == "scale") + np.float32(0.02 * factor) * normal)
        normal *= np.float32(factor * np.prod(shape[:-1]) ** -0.5)
        normal.reshape(-1)[::100] = 0
        return jnp.asarray(normal)

    return {layer: {name: values(name, shape) for name, shape in arrays.items()} for layer, arrays in shapes.items()}


def perceptron(params: Tree, x: jax.Array) -> jax.Array:
    """Return the output of dense layers with tanh between, `[N, widths[-1]]`."""
    *inner, last = params.values()
    for layer in inner:
        x = jnp.tanh(x @ layer["kernel"] + layer["bias"])
    return x @ last["kernel"] + last["bias"]


class Block(linen.Module):
    """A transformer block with its norms in front.

    Attributes:
        width: of the features, a multiple of 64.
        dtype: of parameters and features.
    """

    width: int
    dtype: Any

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return features `[N, T, width]`."""
        norm = partial(linen.LayerNorm, dtype=self.dtype, param_dtype=self.dtype)
        dense = partial(linen.Dense, dtype=self.dtype, param_dtype=self.dtype)
        parts = jnp.split(dense(3 * self.width, name="c_attn")(norm(name="ln_1")(x)), 3, axis=-1)
        q, k, v = (part.reshape(*x.shape[:2], -1, 64) for part in parts)
        mixed = jax.nn.dot_product_attention(q, k, v, is_causal=True).reshape(x.shape)
        x += dense(self.width, name="attn_proj")(mixed)
        inner = jax.nn.gelu(dense(4 * self.width, name="c_fc")(norm(name="ln_2")(x)))
        return x + dense(self.width, name="mlp_proj")(inner)


class GPT2(linen.Module):
    """GPT-2 small with tied embeddings: 148 parameters of 124 million values; fewer layers or a smaller width on request.

    Attributes:
        dtype: of parameters and features.
    """

    layers: int = 12
    width: int = 768
    words: int = 50_257
    positions: int = 1024
    dtype: Any = jnp.float32

    @linen.compact
    def __call__(self, words: jax.Array) -> jax.Array:
        """Return logits `[N, T, words]` of word numbers `[N, T]`."""
        embed = partial(linen.Embed, features=self.width, dtype=self.dtype, param_dtype=self.dtype)
        wte = embed(self.words, name="wte")
        x = wte(words) + embed(self.positions, name="wpe")(jnp.arange(words.shape[1]))
        for number in range(self.layers):
            x = Block(self.width, self.dtype, name=f"h{number}")(x)
        return wte.attend(linen.LayerNorm(dtype=self.dtype, param_dtype=self.dtype, name="ln_f")(x))
