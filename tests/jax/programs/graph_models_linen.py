"""Models of linen whose graphs are traced in the tests; each is made by a function that returns what `graph` takes."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen

X = jax.ShapeDtypeStruct((2, 6, 8), "float32")
ROWS = jax.ShapeDtypeStruct((4, 8), "float32")
IMAGES = jax.ShapeDtypeStruct((2, 8, 8, 3), "float32")
TOKENS = jax.ShapeDtypeStruct((2, 6), "int32")


class Case(NamedTuple):
    """What is traced.

    Attributes:
        target: as `graph` takes it.
        args: likewise.
        kwargs: likewise.
        count: number of trained values, as the framework counts them.
    """

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    count: int


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def linen_case(model, *inputs, method=None, **kwargs):
    keys = {name: jax.random.key(i) for i, name in enumerate(("params", "dropout"))}
    method = {} if method is None else {"method": method}
    variables = jax.eval_shape(lambda *inputs: model.init(keys, *inputs, **kwargs, **method), *inputs)
    return Case(model, (variables, *inputs), {**kwargs, **method}, size(variables["params"]))


class Mlp(linen.Module):
    dtype: Any = jnp.float32

    @linen.compact
    def __call__(self, x):
        return linen.Dense(4, dtype=self.dtype)(linen.relu(linen.Dense(16, dtype=self.dtype)(x)))


class Cnn(linen.Module):
    @linen.compact
    def __call__(self, x, *, train):
        x = linen.Conv(4, (3, 3), use_bias=False, name="conv")(x)
        x = linen.relu(linen.BatchNorm(use_running_average=not train, name="norm")(x))
        x = linen.max_pool(x, (2, 2), (2, 2)).reshape(x.shape[0], -1)
        return linen.Dense(5, name="head")(linen.Dropout(0.5, deterministic=not train)(x))


class Residual(linen.Module):
    width: int
    stride: int = 1

    @linen.compact
    def __call__(self, x):
        y = linen.Conv(self.width, (3, 3), (self.stride, self.stride), use_bias=False, name="conv1")(x)
        y = linen.relu(linen.BatchNorm(use_running_average=True, name="bn1")(y))
        y = linen.BatchNorm(use_running_average=True, name="bn2")(linen.Conv(self.width, (3, 3), name="conv2")(y))
        if self.stride > 1:
            x = linen.Conv(self.width, (1, 1), (self.stride, self.stride), name="shortcut")(x)
        return linen.relu(x + y)


class ResNet(linen.Module):
    def setup(self):
        self.stem = linen.Conv(4, (3, 3))
        self.stages = [[Residual(4), Residual(4)], [Residual(8, 2), Residual(8)]]
        self.head = linen.Dense(3)

    def __call__(self, x):
        x = self.stem(x)
        for stage in self.stages:
            for block in stage:
                x = block(x)
        return self.head(x.mean((1, 2)))


class Encoder(linen.Module):
    @linen.compact
    def __call__(self, batch, *, train):
        x = linen.Embed(20, 8, name="embed")(batch["tokens"])
        mask = linen.make_attention_mask(batch["keep"], batch["keep"])
        x = x + linen.MultiHeadDotProductAttention(2, dropout_rate=0.1, deterministic=not train, name="attn")(x, mask=mask)
        return {"hidden": linen.LayerNorm(name="norm")(x), "cache": None, "pooled": (x.mean(1), x.max(1))}


class Scanned(linen.Module):
    @linen.compact
    def __call__(self, x, _):
        return x + linen.Dense(8, name="dense")(linen.LayerNorm(name="norm")(x)), None


class ScanOverLayers(linen.Module):
    @linen.compact
    def __call__(self, x):
        layers = linen.scan(Scanned, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return linen.Dense(2, name="head")(layers(name="layers")(x, None)[0])


class Lifted(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.remat(Mlp)(name="remat")(x)
        x = linen.jit(Mlp)(name="first")(x)
        x = linen.jit(Mlp)(name="second")(jnp.concatenate([x, x], -1)[..., :4])
        heads = linen.vmap(linen.Dense, in_axes=None, axis_size=3, variable_axes={"params": 0}, split_rngs={"params": True})
        return heads(4, name="heads")(x)


class Recurrent(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.RNN(linen.LSTMCell(5), name="lstm")(x)
        return linen.Bidirectional(linen.RNN(linen.GRUCell(4)), linen.RNN(linen.GRUCell(4)), name="both")(x)


class Experts(linen.Module):
    """A mixture in which one expert is chosen for the batch, by a branch."""

    @linen.compact
    def __call__(self, x):
        gate = jnp.argmax(linen.Dense(3, name="gate")(x).mean(0))
        experts = [linen.Dense(8, name=f"expert_{i}") for i in range(3)]
        branches = [lambda _, x, expert=expert: expert(x) for expert in experts]
        if self.is_initializing():
            return sum(expert(x) for expert in experts)
        return linen.switch(gate, branches, self, x)


class Tied(linen.Module):
    def setup(self):
        self.embed = linen.Embed(11, 8)
        self.twice = linen.Dense(8)

    def __call__(self, tokens):
        return self.embed.attend(self.twice(linen.tanh(self.twice(self.embed(tokens)))))

    def encode(self, tokens):
        return self.twice(self.embed(tokens))


class Unused(linen.Module):
    @linen.compact
    def __call__(self, x):
        layers = [linen.Dense(3, name=name) for name in ("used", "idle")]
        return layers[0](x) if not self.is_initializing() else layers[0](x) + layers[1](x)


def tokens_and_mask():
    return {"tokens": TOKENS, "keep": jax.ShapeDtypeStruct((2, 6), "bool")}


CASES = {
    "mlp": lambda: linen_case(Mlp(), ROWS),
    "mlp in bfloat16": lambda: linen_case(Mlp(jnp.bfloat16), ROWS),
    "cnn, evaluated": lambda: linen_case(Cnn(), IMAGES, train=False),
    "cnn, trained": lambda: linen_case(Cnn(), IMAGES, train=True),
    "resnet": lambda: linen_case(ResNet(), IMAGES),
    "encoder with dicts and None": lambda: linen_case(Encoder(), tokens_and_mask(), train=True),
    "scan over layers": lambda: linen_case(ScanOverLayers(), X),
    "remat, jit and vmap": lambda: linen_case(Lifted(), ROWS),
    "lstm and gru": lambda: linen_case(Recurrent(), X),
    "experts by a branch": lambda: linen_case(Experts(), ROWS),
    "tied weights, a layer twice": lambda: linen_case(Tied(), TOKENS),
    "another method": lambda: linen_case(Tied(), TOKENS, method="encode"),
}
