"""An ensemble and a stack of blocks, which PyTorch has as layers and Flax as one layer with an axis more, belong together."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import linen
from torch import nn

import multiboard as mb
import multiboard.jax as mbj
import multiboard.torch as mbt

WIDTH, MEMBERS, DEPTH = 12, 2, 3
INPUT = np.linspace(-1, 1, 2 * WIDTH, dtype=np.float32).reshape(2, WIDTH)


class TorchModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(WIDTH, WIDTH + 2)
        self.blocks = nn.ModuleList(nn.Linear(WIDTH + 2, WIDTH + 2) for _ in range(DEPTH))
        self.critics = nn.ModuleList(nn.Sequential(nn.Linear(WIDTH + 2, 7), nn.Linear(7, 1)) for _ in range(MEMBERS))

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = torch.tanh(block(x))
        return torch.stack([critic(x) for critic in self.critics])


class Critic(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.Dense(7)(x)
        return linen.Dense(1)(x)


class Block(linen.Module):
    @linen.compact
    def __call__(self, x, _):
        return jnp.tanh(linen.Dense(WIDTH + 2)(x)), None


class LinenModel(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.Dense(WIDTH + 2, name="stem")(x)
        loop = linen.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=DEPTH)
        x, _ = loop(name="blocks")(x, None)
        several = linen.vmap(Critic, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=None, axis_size=MEMBERS)
        return several(name="critics")(x)


def parameters(model):
    """Return the parameters of a model of PyTorch as linen has them."""

    def of(*layers):
        kernels, biases = zip(*((layer.weight.detach().numpy().T, layer.bias.detach().numpy()) for layer in layers), strict=True)
        one = len(layers) == 1
        return {"kernel": kernels[0] if one else np.stack(kernels), "bias": biases[0] if one else np.stack(biases)}

    critics = {f"Dense_{at}": of(*(critic[at] for critic in model.critics)) for at in range(2)}
    return {"params": {"stem": of(model.stem), "blocks": {"Dense_0": of(*model.blocks)}, "critics": critics}}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Both models, trained for a step with the same weights and compared."""
    torch.manual_seed(0)
    model = TorchModel()
    params = jax.tree.map(jnp.asarray, parameters(model))
    directories = [tmp_path_factory.mktemp(name) for name in ("torch", "linen")]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(directories[0]) as run, mbt.watch(model, optimizer, run, every=1, exact=True):
        model(torch.tensor(INPUT)).square().mean().backward()
        optimizer.step()
    tx = mbj.tap(optax.sgd(0.1))

    def step(params, state, x):
        loss, grads = jax.value_and_grad(lambda params: jnp.square(LinenModel().apply(params, x)).mean())(params)
        changes, state = tx.update(grads, state, params)
        return optax.apply_updates(params, changes), state, loss

    with mb.Run(directories[1]) as run:
        mbj.wrap_train_step(step, run, every=1, exact=True)(params, tx.init(params), jnp.asarray(INPUT))
    return mb.compare(*directories)


def test_all_layers_find_the_one_that_holds_them(compared):
    (found,) = compared.alignments.values()
    pairs = {(pair.a, pair.b): pair.level for pair in found.pairs}
    expected = {("stem", "stem"), *((f"blocks/{at}", "blocks/Dense_0") for at in range(DEPTH))}
    expected |= {(f"critics/{member}/{at}", f"critics/Dense_{at}") for member in range(MEMBERS) for at in range(2)}
    assert expected <= pairs.keys()
    assert "guess" not in {pairs[pair] for pair in expected}


def test_their_tensors_are_the_same_element_by_element(compared):
    exact = {row.other: row.relative_l2 for row in compared.exact if row.kind == "params"}
    assert {"blocks/Dense_0/kernel", "critics/Dense_0/kernel", "critics/Dense_0/bias"} <= exact.keys()
    assert max(exact.values()) < 1e-6
    assert compared.code == 0, str(compared)
