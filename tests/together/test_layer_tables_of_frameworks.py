"""One transformer in PyTorch, linen, NNX and Keras: runs without a graph tell which layers belong together, without a guess."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest
import torch
from flax import linen, nnx
from torch import nn

import multiboard as mb
import multiboard.jax as mbj
import multiboard.keras as mbk
import multiboard.torch as mbt
from multiboard.compare.align import align
from multiboard.compare.containers import HELD
from multiboard.compare.layer_table import layer_table, logged_rows
from multiboard.compare.tensor_matches import contents, match_tensors
from multiboard.transforms import canonical
from multiboard_torch.layer_info import layer_rows

WORDS, WIDTH, HEADS, DEPTH, LENGTH = 11, 24, 4, 2, 6
TOKENS = np.arange(2 * LENGTH).reshape(2, LENGTH) % WORDS
BLOCK = ("norm1", "attn", "norm2", "wide", "narrow")
"""The layers of a block in the order of their calls."""
PARTS = ("query", "key", "value")


class TorchBlock(nn.Module):
    """Its layers are defined in another order than they are called."""

    def __init__(self):
        super().__init__()
        self.fc2 = nn.Linear(4 * WIDTH, WIDTH)
        self.fc1 = nn.Linear(WIDTH, 4 * WIDTH)
        self.ln_2, self.ln_1 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y)[0]
        return x + self.fc2(nn.functional.gelu(self.fc1(self.ln_2(x))))


class TorchModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.lm_head = nn.Linear(WIDTH, WORDS)
        self.h = nn.ModuleList(TorchBlock() for _ in range(DEPTH))
        self.wte = nn.Embedding(WORDS, WIDTH)
        self.conv = nn.Conv1d(WIDTH, WIDTH, 3, padding=1)

    def forward(self, tokens):
        x = self.conv(self.wte(tokens).transpose(1, 2)).transpose(1, 2)
        for block in self.h:
            x = block(x)
        return self.lm_head(x)


class LinenBlock(linen.Module):
    """Its layers have the names that linen counts."""

    @linen.compact
    def __call__(self, x):
        x = x + linen.MultiHeadDotProductAttention(HEADS)(linen.LayerNorm()(x))
        return x + linen.Dense(WIDTH)(linen.gelu(linen.Dense(4 * WIDTH)(linen.LayerNorm()(x))))


class LinenModel(linen.Module):
    @linen.compact
    def __call__(self, tokens):
        x = linen.Conv(WIDTH, (3,))(linen.Embed(WORDS, WIDTH)(tokens))
        for _ in range(DEPTH):
            x = LinenBlock()(x)
        return linen.Dense(WORDS)(x)


class NnxBlock(nnx.Module):
    def __init__(self, rngs):
        self.down, self.up = nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs), nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(HEADS, WIDTH, decode=False, rngs=rngs)
        self.before_mlp, self.before_attention = nnx.LayerNorm(WIDTH, rngs=rngs), nnx.LayerNorm(WIDTH, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.before_attention(x))
        return x + self.down(nnx.gelu(self.up(self.before_mlp(x))))


class NnxModel(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(WORDS, WIDTH, rngs=rngs)
        self.conv = nnx.Conv(WIDTH, WIDTH, (3,), rngs=rngs)
        for number in range(DEPTH):
            setattr(self, f"block{number}", NnxBlock(rngs))
        self.output = nnx.Linear(WIDTH, WORDS, rngs=rngs)

    def __call__(self, tokens):
        x = self.conv(self.embed(tokens))
        for number in range(DEPTH):
            x = getattr(self, f"block{number}")(x)
        return self.output(x)


def keras_model():
    """Return the model with the names that Keras counts, over all models of the process."""
    layers = keras.layers
    tokens = keras.Input((LENGTH,), dtype="int32")
    x = layers.Conv1D(WIDTH, 3, padding="same")(layers.Embedding(WORDS, WIDTH)(tokens))
    for _ in range(DEPTH):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(y, y)])
        wide = layers.Dense(4 * WIDTH, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(WIDTH)(wide)])
    return keras.Model(tokens, layers.Dense(WORDS)(x))


def in_torch(run):
    model = TorchModel()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mbt.watch(model, optimizer, run, histograms=False):
        model(torch.tensor(TOKENS)).square().mean().backward()
        optimizer.step()
    block = {"norm1": "ln_1", "norm2": "ln_2", "wide": "fc1", "narrow": "fc2"}
    found = {(n, name): f"h/{n}/{own}" for n in range(DEPTH) for name, own in block.items()}
    found |= {(n, part): f"h/{n}/attn" for n in range(DEPTH) for part in PARTS}
    found |= {(n, "out"): f"h/{n}/attn/out_proj" for n in range(DEPTH)}
    return found | {"embed": "wte", "conv": "conv", "head": "lm_head"}


def in_linen(run):
    model, tx = LinenModel(), mbj.tap(optax.sgd(0.1))
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.asarray(TOKENS))
    params = jax.tree.map(lambda one: np.full(one.shape, 0.1, one.dtype), shapes)

    def step(params, state, tokens):
        loss, grads = jax.value_and_grad(lambda params: jnp.square(model.apply(params, tokens)).mean())(params)
        changes, state = tx.update(grads, state, params)
        return optax.apply_updates(params, changes), state, loss

    mbj.wrap_train_step(step, run, histograms=False, log=("params",))(params, tx.init(params), jnp.asarray(TOKENS))
    block = {
        "norm1": "LayerNorm_0",
        "norm2": "LayerNorm_1",
        "wide": "Dense_1",
        "narrow": "Dense_0",
    }  # the outer one is made first
    found = {(n, name): f"LinenBlock_{n}/{own}" for n in range(DEPTH) for name, own in block.items()}
    attention = "LinenBlock_{}/MultiHeadDotProductAttention_0/{}"
    found |= {(n, part): attention.format(n, part) for n in range(DEPTH) for part in (*PARTS, "out")}
    return found | {"embed": "Embed_0", "conv": "Conv_0", "head": "Dense_0"}


def in_nnx(run):
    model = NnxModel(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)

    def step(model, optimizer, tokens):
        loss, grads = nnx.value_and_grad(lambda model: jnp.square(model(tokens)).mean())(model)
        optimizer.update(model, grads)
        return loss

    mbj.wrap_train_step(step, run, histograms=False, log=("params",))(model, optimizer, jnp.asarray(TOKENS))
    block = {"norm1": "before_attention", "norm2": "before_mlp", "wide": "up", "narrow": "down"}
    found = {(n, name): f"block{n}/{own}" for n in range(DEPTH) for name, own in block.items()}
    found |= {(n, part): f"block{n}/attention/{part}" for n in range(DEPTH) for part in (*PARTS, "out")}
    return found | {"embed": "embed", "conv": "conv", "head": "output"}


def in_keras(run):
    model = keras_model()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    targets = np.zeros((2, LENGTH, WORDS), np.float32)
    model.fit(TOKENS, targets, verbose=0, callbacks=[mbk.TensorBoard(run=run, every=1, write_graph=False)])
    names = [layer.name for layer in model.layers]
    dense, norms = ([name for name in names if name.startswith(start)] for start in ("dense", "layer_normalization"))
    attentions = [name for name in names if name.startswith("multi_head_attention")]
    found = {}
    for n in range(DEPTH):
        found |= {
            (n, "norm1"): norms[2 * n],
            (n, "norm2"): norms[2 * n + 1],
            (n, "wide"): dense[2 * n],
            (n, "narrow"): dense[2 * n + 1],
        }
        found |= {(n, part): f"{attentions[n]}/{part}" for part in PARTS} | {(n, "out"): f"{attentions[n]}/attention_output"}
    first = {start: next(name for name in names if name.startswith(start)) for start in ("embedding", "conv1d")}
    return found | {"embed": first["embedding"], "conv": first["conv1d"], "head": dense[-1]}


TRAININGS = {"torch": in_torch, "linen": in_linen, "nnx": in_nnx, "keras": in_keras}
SIDES = [("torch", "linen"), ("torch", "nnx"), ("torch", "keras"), ("linen", "nnx"), ("linen", "keras"), ("nnx", "keras")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """By framework: what its run holds, and its paths by what a layer is."""
    found = {}
    for name, train in TRAININGS.items():
        directory = tmp_path_factory.mktemp(name)
        with mb.Run(directory) as run:
            paths = train(run)
        found[name] = mb.read(directory)["."], paths
    return found


@pytest.mark.parametrize(("one", "other"), [*SIDES, *(pair[::-1] for pair in SIDES)])
def test_all_layers_find_their_partners_without_a_guess(trained, one, other):
    (a, ours), (b, theirs) = trained[one], trained[other]
    found = align(layer_table(a), layer_table(b))
    weighty = {layer.path for layer in layer_table(a) if layer.roles}
    pairs = [pair for pair in found.pairs if pair.a in weighty and pair.evidence != (HELD,)]
    assert {(pair.a, pair.b) for pair in pairs} == {(ours[layer], theirs[layer]) for layer in ours}
    assert {pair.level for pair in pairs} <= {"certain", "agreed"}
    assert not [layer for layer in (*found.only_a, *found.only_b) if layer.roles]


@pytest.mark.parametrize("name", TRAININGS)
def test_layers_stand_in_the_order_in_which_they_are_called(trained, name):
    run, paths = trained[name]
    order = {layer.path: layer.order for layer in layer_table(run)}
    blocks = [(n, layer) for n in range(DEPTH) for layer in ("norm1", *PARTS, "out", "norm2", "wide", "narrow")]
    called = [order[path] for path in dict.fromkeys(paths[layer] for layer in ("embed", "conv", *blocks, "head"))]
    assert all(earlier < later for earlier, later in pairwise(called))
    assert logged_rows(run).order_from == "calls"


@pytest.mark.parametrize(("one", "other"), SIDES)
def test_tensors_of_partners_have_one_shape_in_the_compared_layout(trained, one, other):
    tables = [layer_table(trained[name][0]) for name in (one, other)]
    found = match_tensors((tables[0], tables[1]), align(*tables), tuple(contents(trained[name][0]) for name in (one, other)))
    roles = [{role.tag: role for layer in table for role in layer.roles} for table in tables]
    assert not found.sizes
    whole = [match for match in found.matches if len(match.a) == len(match.b) == 1 and match.kind == "params"]
    assert len(whole) >= 20
    for match in whole:
        assert roles[0][match.a[0]].canonical == roles[1][match.b[0]].canonical, match


def test_gradients_of_all_frameworks_are_seen_at_one_stage(trained):
    assert {logged_rows(run).gradients for run, _ in trained.values()} == {"as the optimizer gets it"}


@pytest.mark.parametrize(
    ("in_torch", "in_keras"), [(nn.LSTM, keras.layers.LSTM), (nn.GRU, keras.layers.GRU)], ids=["lstm", "gru"]
)
def test_the_gates_of_a_recurrent_layer_lie_as_in_keras(in_torch, in_keras):
    layer, other = in_torch(3, 4, batch_first=True), in_keras(4)
    own = {role.name: role.transform for role in layer_rows(layer).layers[0].roles}
    found = {name: canonical(values.detach().numpy(), own[name]) for name, values in layer.named_parameters()}
    biases = found["bias_ih_l0"], found["bias_hh_l0"]
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    other.build(x.shape)
    both = np.stack(biases) if in_torch is nn.GRU else sum(biases)
    other.set_weights([found["weight_ih_l0"], found["weight_hh_l0"], both])
    np.testing.assert_allclose(np.asarray(other(x)), layer(torch.tensor(x))[0][:, -1].detach(), atol=1e-5)
