"""The same small transformer in linen and in NNX, to be compared with each other and with its like in other frameworks.

What one of another framework has to do, in this order, for tokens `[B, T]` and a mask `[T, T]` that is True where a token may be
seen:

    embed      embedding of VOCABULARY rows of WIDTH
    blocks     DEPTH times: x = x + attn(ln1(x), mask), then x = x + mlp(ln2(x))
        ln1, ln2   layer norm with scale and bias, epsilon 1e-6
        attn       q, k, v: dense with bias; each reshaped to [B, T, HEADS, WIDTH / HEADS] and transposed to [B, HEADS, T, ...];
                   scores = q @ k transposed, times 1 / sqrt(WIDTH / HEADS); where(mask, scores, -1e9); softmax over the last
                   axis; weights @ v; transposed and reshaped back; out: dense with bias
        mlp        fc: dense to 4 * WIDTH, gelu (tanh), proj: dense to WIDTH
    norm       layer norm
    head       dense with bias to VOCABULARY

All operations outside of layers are single calls of functions, so that every framework makes the same sequence of them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen, nnx

VOCABULARY, WIDTH, HEADS, DEPTH = 50, 16, 2, 2
BATCH, LENGTH = 2, 6
TOKENS = jax.ShapeDtypeStruct((BATCH, LENGTH), "int32")
MASK = jax.ShapeDtypeStruct((LENGTH, LENGTH), "bool")


def attend(q, k, v, mask):
    """Return the attention of `[B, T, WIDTH]` arrays, in one head after the other."""
    batch, length, width = q.shape
    q, k, v = (jnp.transpose(jnp.reshape(x, (batch, length, HEADS, width // HEADS)), (0, 2, 1, 3)) for x in (q, k, v))
    scores = jnp.matmul(q, jnp.transpose(k, (0, 1, 3, 2))) * (width // HEADS) ** -0.5
    weights = jax.nn.softmax(jnp.where(mask, scores, -1e9), axis=-1)
    return jnp.reshape(jnp.transpose(jnp.matmul(weights, v), (0, 2, 1, 3)), (batch, length, width))


class SelfAttention(linen.Module):
    @linen.compact
    def __call__(self, x, mask):
        q, k, v = (linen.Dense(WIDTH, name=name)(x) for name in "qkv")
        return linen.Dense(WIDTH, name="out")(attend(q, k, v, mask))


class FeedForward(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(WIDTH, name="proj")(linen.gelu(linen.Dense(4 * WIDTH, name="fc")(x)))


class Block(linen.Module):
    @linen.compact
    def __call__(self, x, mask):
        x = x + SelfAttention(name="attn")(linen.LayerNorm(name="ln1")(x), mask)
        return x + FeedForward(name="mlp")(linen.LayerNorm(name="ln2")(x))


class Transformer(linen.Module):
    @linen.compact
    def __call__(self, tokens, mask):
        x = linen.Embed(VOCABULARY, WIDTH, name="embed")(tokens)
        for i in range(DEPTH):
            x = Block(name=f"blocks_{i}")(x, mask)
        return linen.Dense(VOCABULARY, name="head")(linen.LayerNorm(name="norm")(x))


class NnxSelfAttention(nnx.Module):
    def __init__(self, rngs):
        self.q, self.k, self.v, self.out = (nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(4))

    def __call__(self, x, mask):
        return self.out(attend(self.q(x), self.k(x), self.v(x), mask))


class NnxFeedForward(nnx.Module):
    def __init__(self, rngs):
        self.fc, self.proj = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs), nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x):
        return self.proj(nnx.gelu(self.fc(x)))


class NnxBlock(nnx.Module):
    def __init__(self, rngs):
        self.ln1, self.ln2 = nnx.LayerNorm(WIDTH, rngs=rngs), nnx.LayerNorm(WIDTH, rngs=rngs)
        self.attn, self.mlp = NnxSelfAttention(rngs), NnxFeedForward(rngs)

    def __call__(self, x, mask):
        x = x + self.attn(self.ln1(x), mask)
        return x + self.mlp(self.ln2(x))


class NnxTransformer(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(VOCABULARY, WIDTH, rngs=rngs)
        self.blocks = getattr(nnx, "List", list)([NnxBlock(rngs) for _ in range(DEPTH)])
        self.norm, self.head = nnx.LayerNorm(WIDTH, rngs=rngs), nnx.Linear(WIDTH, VOCABULARY, rngs=rngs)

    def __call__(self, tokens, mask):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


def linen_transformer():
    """Return the model and what its graph is made of: shapes of its variables, and of its inputs."""
    model = Transformer()
    return model, (jax.eval_shape(model.init, jax.random.key(0), TOKENS, MASK), TOKENS, MASK)


def nnx_transformer():
    """Return the model and shapes of its inputs."""
    return NnxTransformer(nnx.Rngs(0)), (TOKENS, MASK)
