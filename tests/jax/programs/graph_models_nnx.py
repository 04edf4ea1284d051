"""Models of NNX and equinox whose graphs are traced in the tests; each is made by a function that returns what `graph` takes."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox
import jax
import optax
from flax import nnx

X = jax.ShapeDtypeStruct((2, 6, 8), "float32")
ROWS = jax.ShapeDtypeStruct((4, 8), "float32")
IMAGES = jax.ShapeDtypeStruct((2, 8, 8, 3), "float32")
TOKENS = jax.ShapeDtypeStruct((2, 6), "int32")
LIST = getattr(nnx, "List", list)


class Case(NamedTuple):
    """What is traced; see `graph_models_linen`."""

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    count: int


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def nnx_case(model, *inputs):
    return Case(model, inputs, {}, size(nnx.state(model, nnx.Param)))


class Mlp(nnx.Module):
    def __init__(self, rngs, before=8):
        self.first = nnx.Linear(before, 16, rngs=rngs)
        self.second = nnx.Linear(16, 8, rngs=rngs)

    def __call__(self, x):
        return self.second(nnx.relu(self.first(x)))


class Cnn(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 4, (3, 3), use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(64, 5, rngs=rngs)

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.norm(self.conv(x))), (2, 2), (2, 2))
        return self.head(self.dropout(x.reshape(x.shape[0], -1)))


class Encoder(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(20, 8, rngs=rngs)
        self.attn = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.layers = {"norm": nnx.LayerNorm(8, rngs=rngs)} if LIST is list else nnx.Dict(norm=nnx.LayerNorm(8, rngs=rngs))

    def __call__(self, batch):
        x = self.embed(batch["tokens"])
        x = x + self.attn(x, mask=nnx.make_attention_mask(batch["keep"], batch["keep"]))
        return {"hidden": self.layers["norm"](x), "cache": None}


class Stacked(nnx.Module):
    """Three layers whose parameters are stacked, run by a scan."""

    def __init__(self, rngs):
        self.layers = nnx.split_rngs(splits=3)(nnx.vmap(Mlp, in_axes=0))(rngs)

    def __call__(self, x):
        return nnx.scan(lambda x, layer: layer(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)(x, self.layers)


class Shared(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(8, 8, rngs=rngs)
        self.again = self.first
        self.blocks = LIST([Mlp(rngs), Mlp(rngs)])

    def __call__(self, x):
        x = self.again(nnx.gelu(self.first(x)))
        for block in self.blocks:
            x = nnx.remat(lambda block, x: block(x))(block, x) + x
        return x


class Recurrent(nnx.Module):
    def __init__(self, rngs):
        self.lstm = nnx.RNN(nnx.OptimizedLSTMCell(8, 5, rngs=rngs))

    def __call__(self, x):
        return self.lstm(x)


class Experts(nnx.Module):
    def __init__(self, rngs):
        self.gate = nnx.Linear(8, 1, rngs=rngs)
        self.large, self.small = nnx.Linear(8, 8, rngs=rngs), nnx.Linear(8, 8, rngs=rngs)

    def __call__(self, x):
        choice = self.gate(x).mean() > 0
        return nnx.cond(choice, lambda model, x: model.large(x), lambda model, x: model.small(x), self, x)


class EquinoxNet(equinox.Module):
    layers: list[Any]
    norm: equinox.nn.LayerNorm

    def __init__(self, key):
        keys = jax.random.split(key)
        self.layers = [equinox.nn.Linear(8, 8, key=key) for key in keys]
        self.norm = equinox.nn.LayerNorm(8)

    def __call__(self, x):
        for layer in self.layers:
            x = x + jax.nn.gelu(jax.vmap(layer)(x))
        return jax.vmap(self.norm)(x)


def equinox_case():
    model = EquinoxNet(jax.random.key(0))
    return Case(model, (ROWS,), {}, size(equinox.filter(model, equinox.is_inexact_array)))


def equinox_step_case():
    model, tx = EquinoxNet(jax.random.key(0)), optax.adam(1e-3)

    @equinox.filter_jit
    def step(model, opt_state, x):
        loss, grads = equinox.filter_value_and_grad(lambda model: model(x).mean())(model)
        updates, opt_state = tx.update(grads, opt_state, equinox.filter(model, equinox.is_inexact_array))
        return equinox.apply_updates(model, updates), opt_state, loss

    params = equinox.filter(model, equinox.is_inexact_array)
    return Case(step, (model, tx.init(params), ROWS), {}, size(params))


def without_the_root(model, x):
    return model.second(nnx.relu(model.first(x)))


def two_models(teacher, student, x):
    return ((teacher(x) - student(x)) ** 2).mean()


@nnx.jit
def jitted(model, x):
    return model(x)


class Alike(nnx.Module):
    def __init__(self, rngs):
        self.first, self.second = Mlp(rngs), Mlp(rngs)

    def __call__(self, x):
        return jitted(self.second, jitted(self.first, x))


def function_case(function, *args):
    models = [arg for arg in args if isinstance(arg, nnx.Module)]
    return Case(function, args, {}, sum(size(nnx.state(model, nnx.Param)) for model in models))


def functional_case():
    graph, state = nnx.split(Mlp(nnx.Rngs(0)))
    return Case(lambda graph, state, x: nnx.merge(graph, state)(x), (graph, state, ROWS), {}, size(state))


def encoder_inputs():
    return {"tokens": TOKENS, "keep": jax.ShapeDtypeStruct((2, 6), "bool")}


def abstract(make):
    """Return a model that holds only shapes."""
    return nnx.eval_shape(lambda: make(nnx.Rngs(0)))


CASES = {
    "mlp": lambda: nnx_case(Mlp(nnx.Rngs(0)), ROWS),
    "mlp of shapes": lambda: nnx_case(abstract(Mlp), ROWS),
    "cnn": lambda: nnx_case(Cnn(nnx.Rngs(0)), IMAGES),
    "encoder with dicts and None": lambda: nnx_case(Encoder(nnx.Rngs(0)), encoder_inputs()),
    "scan over layers": lambda: nnx_case(Stacked(nnx.Rngs(0)), ROWS),
    "shared layer and remat": lambda: nnx_case(Shared(nnx.Rngs(0)), ROWS),
    "lstm": lambda: nnx_case(Recurrent(nnx.Rngs(0)), X),
    "experts by a branch": lambda: nnx_case(Experts(nnx.Rngs(0)), ROWS),
    "equinox": equinox_case,
    "step of equinox": equinox_step_case,
    "layers called without their model": lambda: function_case(without_the_root, Mlp(nnx.Rngs(0)), ROWS),
    "two models": lambda: function_case(two_models, Mlp(nnx.Rngs(0)), Mlp(nnx.Rngs(1)), ROWS),
    "jitted modules alike": lambda: nnx_case(Alike(nnx.Rngs(0)), ROWS),
    "graph and state": functional_case,
}
