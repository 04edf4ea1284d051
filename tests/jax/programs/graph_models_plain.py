"""Functions and training steps whose graphs are traced in the tests; each function below returns what `graph` takes."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen, nnx
from flax.training.train_state import TrainState
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from multiboard_jax._compat import shard_map

ROWS = jax.ShapeDtypeStruct((4, 8), "float32")
LABELS = jax.ShapeDtypeStruct((4,), "int32")
IMAGES = jax.ShapeDtypeStruct((2, 8, 8, 3), "float32")


class Case(NamedTuple):
    """What is traced; see `graph_models_linen`."""

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    count: int


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def array(*shape):
    return jax.ShapeDtypeStruct(shape, "float32")


def case_of(function, params, *inputs):
    return Case(function, (params, *inputs), {}, size(params))


PARAMS = {"first": {"kernel": array(8, 16), "bias": array(16)}, "second": {"kernel": array(16, 8), "bias": array(8)}}


def mlp(params, x):
    x = jax.nn.relu(x @ params["first"]["kernel"] + params["first"]["bias"])
    return x @ params["second"]["kernel"] + params["second"]["bias"]


def iterated(params, x):
    """Apply a model until its output is small: how often is only known when it runs."""
    return lax.while_loop(lambda x: jnp.linalg.norm(x) > 1e-3, lambda x: 0.5 * mlp(params, x), x)


def fixed_rounds(params, x):
    return lax.fori_loop(0, 5, lambda _, x: mlp(params, x), x)


@jax.custom_vjp
def rounded(x):
    return jnp.round(x)


rounded.defvjp(lambda x: (rounded(x), None), lambda _, gradient: (gradient,))


def straight_through(params, x):
    return jax.grad(lambda params: jnp.square(rounded(mlp(params, x))).sum())(params)


def per_example(params, x):
    return jax.vmap(jax.grad(lambda params, x: mlp(params, x).sum()), (None, 0))(params, x)


def in_shards(params, x):
    mesh = Mesh(np.array(jax.devices()[:1]), ("data",))
    return shard_map(lambda params, x: lax.psum(mlp(params, x).sum(), "data"), mesh, (P(), P("data")), P())(params, x)


def chosen_branch(params, x):
    return lax.cond(x.sum() > 0, lambda x: mlp(params, x), lambda x: x, x)


def accumulated(params, opt_state, batches):
    """Make one update with the gradients of several batches."""

    def add(total, x):
        grads = jax.grad(lambda params: mlp(params, x).mean())(params)
        return jax.tree.map(jnp.add, total, grads), None

    grads, _ = lax.scan(add, jax.tree.map(jnp.zeros_like, params), batches)
    updates, opt_state = optax.adam(1e-3).update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state


def by_hand(params, x, y):
    """Make one step of gradient descent without a library."""
    loss, grads = jax.value_and_grad(lambda params: jnp.mean((mlp(params, x) - y) ** 2))(params)
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), loss


def filters(params, images):
    x = lax.conv_general_dilated(images, params["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    x = lax.conv_transpose(x, params["up"], (2, 2), "SAME")
    return jnp.abs(jnp.fft.fft2(x, axes=(1, 2)))


def cross_entropy(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


class LinenNet(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(3, name="head")(linen.relu(linen.Dense(16, name="hidden")(x)))


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.hidden, self.head = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.hidden(x)))


def state_step(state, x, y):
    loss, grads = jax.value_and_grad(lambda params: cross_entropy(state.apply_fn({"params": params}, x), y))(state.params)
    return state.apply_gradients(grads=grads), {"loss": loss}


def linen_state():
    model = LinenNet()
    params = model.init(jax.random.key(0), jnp.zeros((1, 8)))["params"]
    return TrainState.create(apply_fn=model.apply, params=params, tx=optax.adamw(1e-3))


def nnx_step(model, optimizer, x, y):
    loss, grads = nnx.value_and_grad(lambda model: cross_entropy(model(x), y))(model)
    if hasattr(nnx, "ModelAndOptimizer"):
        optimizer.update(model, grads)
    else:
        optimizer.update(grads)
    return {"loss": loss}


def nnx_case(jit):
    model = NnxNet(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adamw(1e-3), wrt=nnx.Param)
    return Case(jit(nnx_step), (model, optimizer, ROWS, LABELS), {}, size(nnx.state(model, nnx.Param)))


def adversarial(generator_params, critic_params, x):
    """Update two models at once."""

    def loss(generator, critic):
        return LinenNet().apply({"params": critic}, mlp(generator, x)).mean()

    first, second = jax.grad(loss, (0, 1))(generator_params, critic_params)
    updates, _ = optax.sgd(0.1).update((first, second), optax.sgd(0.1).init((first, second)))
    return optax.apply_updates((generator_params, critic_params), updates)


def state_case(jit):
    state = linen_state()
    return Case(jit(state_step), (state, ROWS, LABELS), {}, size(state.params))


def accumulating_case():
    state = jax.eval_shape(optax.adam(1e-3).init, PARAMS)
    return Case(accumulated, (PARAMS, state, array(3, 4, 8)), {}, size(PARAMS))


def adversarial_case():
    critic = jax.eval_shape(lambda: LinenNet().init(jax.random.key(0), jnp.zeros((1, 8))))["params"]
    return Case(adversarial, (PARAMS, critic, ROWS), {}, size((PARAMS, critic)))


CASES = {
    "mlp": lambda: case_of(mlp, PARAMS, ROWS),
    "while loop": lambda: case_of(iterated, PARAMS, ROWS),
    "fori loop": lambda: case_of(fixed_rounds, PARAMS, ROWS),
    "custom_vjp": lambda: case_of(straight_through, PARAMS, ROWS),
    "vmap of gradients": lambda: case_of(per_example, PARAMS, ROWS),
    "shard_map": lambda: case_of(in_shards, PARAMS, ROWS),
    "branch": lambda: case_of(chosen_branch, PARAMS, ROWS),
    "filters and fft": lambda: case_of(filters, {"kernel": array(3, 3, 3, 4), "up": array(2, 2, 4, 2)}, IMAGES),
    "gradient descent by hand": lambda: case_of(by_hand, PARAMS, ROWS, ROWS),
    "accumulated gradients": accumulating_case,
    "two models": adversarial_case,
    "step with a TrainState": lambda: state_case(lambda step: step),
    "jitted step with a TrainState": lambda: state_case(jax.jit),
    "step of NNX": lambda: nnx_case(lambda step: step),
    "jitted step of NNX": lambda: nnx_case(nnx.jit),
}
