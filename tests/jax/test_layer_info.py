"""A wrapped step writes the table of the layers with its first capture, in the order of their calls, for all kinds of modules."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import multiboard as mb
import multiboard.jax as mbj
from multiboard.compare.layer_table import logged_rows
from multiboard.errors import ArgumentError
from multiboard.transforms import canonical
from multiboard_jax.layer_info import called, transform

X = jnp.ones((2, 5, 8))


class Nested(linen.Module):
    """The outer layer of each pair is made first, so that linen counts against the order of calls."""

    @linen.compact
    def __call__(self, x):
        x = linen.Dense(8)(linen.gelu(linen.Dense(16)(x)))
        x = linen.BatchNorm(use_running_average=False)(linen.MultiHeadDotProductAttention(2)(x))
        return linen.Dense(3, name="a_head")(x)


class Named(nnx.Module):
    def __init__(self, rngs):
        self.a_head = nnx.Linear(8, 3, rngs=rngs)
        self.attn = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.up, self.down = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 8, rngs=rngs)

    def __call__(self, x):
        return self.a_head(self.attn(self.down(nnx.gelu(self.up(x)))))


def linen_step(model, tx):
    """Return a step of a linen model whose parameters are an argument of their own."""

    def step(variables, state, x):
        def loss_of(params):
            output, updated = model.apply(variables | {"params": params}, x, mutable=["batch_stats"])
            return jnp.square(output).mean(), updated

        (loss, updated), grads = jax.value_and_grad(loss_of, has_aux=True)(variables["params"])
        changes, state = tx.update(grads, state, variables["params"])
        return {"params": optax.apply_updates(variables["params"], changes), **updated}, state, loss

    return step


@pytest.fixture
def run_linen(tmp_path):
    """A function that makes updates of a linen model and returns what its run holds."""

    def train(model=None, updates=1, tx=None, x=X, **options):
        model, tx = model or Nested(), tx or mbj.tap(optax.sgd(0.1))
        variables = model.init(jax.random.key(0), x)
        state = tx.init(variables["params"])
        with mb.Run(tmp_path / "run") as run:
            step = mbj.wrap_train_step(linen_step(model, tx), run, **{"histograms": False} | options)
            for _ in range(updates):
                variables, state, _ = step(variables, state, x)
        return mb.read(tmp_path / "run")["."]

    return train


@pytest.fixture
def run_nnx(tmp_path, update_nnx):
    """A function that makes an update of an NNX model and returns its layer table."""

    def train(model, **options):
        optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)

        def step(model, optimizer, x):
            loss, grads = nnx.value_and_grad(lambda model: jnp.square(model(x)).mean())(model)
            update_nnx(optimizer, model, grads)
            return loss

        with mb.Run(tmp_path / "run") as run:
            mbj.wrap_train_step(step, run, histograms=False, **options)(model, optimizer, X)
        return logged_rows(mb.read(tmp_path / "run")["."])

    return train


def in_order(table):
    order = {layer.path: layer.order for layer in table.layers}
    return sorted((path for path in order if order[path] is not None), key=order.get)


ATTENTION = "MultiHeadDotProductAttention_0"
CALLED = [
    "Dense_1",
    "Dense_0",
    ATTENTION,
    *(f"{ATTENTION}/{part}" for part in ("query", "key", "value", "out")),
    "BatchNorm_0",
    "a_head",
]


@pytest.mark.parametrize("activations", [None, "*"])
def test_layers_of_linen_are_numbered_in_the_order_of_their_calls(run_linen, activations):
    table = logged_rows(run_linen(activations=activations))
    assert in_order(table) == CALLED
    assert (table.order_from, table.framework, table.gradients) == ("calls", "jax", "as the optimizer gets it")


@pytest.mark.parametrize("activations", [None, "*"])
def test_layers_of_nnx_are_numbered_in_the_order_of_their_calls(run_nnx, activations):
    table = run_nnx(Named(nnx.Rngs(0)), activations=activations)
    parts = [f"attn/{part}" for part in ("query", "key", "value", "out")]
    assert in_order(table) == ["up", "down", "attn", *parts, "a_head"]
    assert {layer.path: layer.cls for layer in table.layers}["attn/out"] == "LinearGeneral"


def test_roles_have_native_names_shapes_types_and_what_is_trained(run_linen):
    table = logged_rows(run_linen(log=("params", "grads", "buffers")))
    roles = {role.tag: role for layer in table.layers for role in layer.roles}
    assert roles[f"{ATTENTION}/query/kernel"]._asdict() == {
        "name": "kernel", "tag": f"{ATTENTION}/query/kernel", "native": f"{ATTENTION}/query/kernel", "shape": (8, 2, 4),
        "transform": "merge 1", "dtype": "float32", "trainable": True,
    }  # fmt: skip
    shapes = {name: roles[f"{ATTENTION}/{name}"].canonical for name in ("query/kernel", "query/bias", "out/kernel", "out/bias")}
    assert shapes == {"query/kernel": (8, 8), "query/bias": (8,), "out/kernel": (8, 8), "out/bias": (8,)}
    assert {tag for tag, role in roles.items() if not role.trainable} == {"BatchNorm_0/mean", "BatchNorm_0/var"}


def test_the_table_has_what_the_captures_leave_out(run_linen):
    run = run_linen(log=("updates",))
    tags = {role.tag for layer in logged_rows(run).layers for role in layer.roles}
    assert {"Dense_0/kernel", f"{ATTENTION}/out/bias"} <= tags
    assert "norm/params/Dense_0/kernel" not in run.scalars


def test_the_table_is_written_once_and_before_the_first_capture(run_linen):
    run = run_linen(updates=5, every=2, start_step=1)
    assert run.tensors["multiboard/run_info"].step.tolist() == [2]


def test_the_stage_of_a_tap_is_told(run_linen):
    tx = optax.chain(optax.clip(0.1), mbj.tap(optax.sgd(0.1), stage="after clipping (by value)"))
    assert logged_rows(run_linen(tx=tx)).gradients == "after clipping (by value)"


def test_a_tap_refuses_words_of_its_own_for_a_stage():
    with pytest.raises(ArgumentError, match="Did you mean 'after clipping'"):
        mbj.tap(optax.sgd(0.1), stage="after cliping")


def test_a_scan_over_layers_tells_its_layers(run_linen):
    class Scanned(linen.Module):
        @linen.compact
        def __call__(self, x):
            scan = linen.scan(
                lambda block, x, _: (block(x), None), variable_axes={"params": 0}, split_rngs={"params": True}, length=3
            )
            return linen.Dense(2, name="a_head")(scan(linen.Dense(8, name="block"), x, None)[0])

    table = logged_rows(run_linen(Scanned()))
    shapes = {role.tag: role.shape for layer in table.layers for role in layer.roles}
    assert shapes["block/kernel"] == (3, 8, 8)
    assert in_order(table)[-1] == "a_head"


def test_models_of_several_optimizers_have_their_argument_in_front(tmp_path, update_nnx):
    models = [Named(nnx.Rngs(seed)) for seed in range(2)]
    optimizers = [nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param) for model in models]

    def step(model, critic, one, two, x):
        losses = []
        for each, optimizer in ((model, one), (critic, two)):
            loss, grads = nnx.value_and_grad(lambda each: jnp.square(each(x)).mean())(each)
            update_nnx(optimizer, each, grads)
            losses.append(loss)
        return losses[0]

    with mb.Run(tmp_path) as run:
        mbj.wrap_train_step(step, run, histograms=False)(*models, *optimizers, X)
    run = mb.read(tmp_path)["."]
    tags = {role.tag for layer in logged_rows(run).layers for role in layer.roles}
    assert {tag.removeprefix("norm/params/") for tag in run.scalars if tag.startswith("norm/params/")} == tags


def test_an_aligned_run_has_the_names_of_the_other(tmp_path, run_nnx, update_nnx):
    run_nnx(Named(nnx.Rngs(0)), activations="*")

    class Other(Named):
        def __init__(self, rngs):
            super().__init__(rngs)
            for name, other in {"first": "up", "second": "down", "mha": "attn", "last": "a_head"}.items():
                setattr(self, name, getattr(self, other))
                delattr(self, other)

        def __call__(self, x):
            return self.last(self.mha(self.second(nnx.gelu(self.first(x)))))

    model = Other(nnx.Rngs(1))
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)

    def step(model, optimizer, x):
        loss, grads = nnx.value_and_grad(lambda model: jnp.square(model(x)).mean())(model)
        update_nnx(optimizer, model, grads)
        return loss

    with mb.Run(tmp_path / "other", align_to=tmp_path / "run") as run:
        mbj.wrap_train_step(step, run, histograms=False, activations="*")(model, optimizer, X)
    runs = mb.read(tmp_path)
    assert runs["other"].scalars.keys() == runs["run"].scalars.keys()


LAYOUTS = {
    "dense": (lambda r: nnx.Linear(3, 5, rngs=r), (3, 5)),
    "heads": (lambda r: nnx.LinearGeneral(3, (2, 5), rngs=r), (3, 10)),
    "from heads": (lambda r: nnx.LinearGeneral((2, 5), 4, axis=(-2, -1), rngs=r), (10, 4)),
    "conv": (lambda r: nnx.Conv(3, 5, (2, 4), rngs=r), (2, 4, 3, 5)),
    "up": (lambda r: nnx.ConvTranspose(3, 5, (2, 4), rngs=r), (2, 4, 3, 5)),
    "up, turned": (lambda r: nnx.ConvTranspose(3, 5, (2, 4), transpose_kernel=True, rngs=r), (2, 4, 3, 5)),
}


@pytest.mark.parametrize(("make", "shape"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_class_decides_how_a_kernel_lies(make, shape):
    layer = make(nnx.Rngs(0))
    kernel = np.asarray(layer.kernel[...] if hasattr(layer.kernel, "__getitem__") else layer.kernel.value)
    assert canonical(kernel, transform(called(layer), "kernel", kernel.ndim)).shape == shape


def test_both_ways_to_write_a_transposed_convolution_have_one_compared_kernel():
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 3))
    layers = [linen.ConvTranspose(5, (2, 3), (2, 2), use_bias=False, transpose_kernel=turned) for turned in (False, True)]
    kernel = np.asarray(layers[0].init(jax.random.key(1), x)["params"]["kernel"])
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    outputs = [layer.apply({"params": {"kernel": one}}, x) for layer, one in zip(layers, (kernel, turned), strict=True)]
    np.testing.assert_allclose(*outputs, rtol=1e-5)
    found = [canonical(one, transform(called(layer), "kernel", 4)) for layer, one in zip(layers, (kernel, turned), strict=True)]
    np.testing.assert_array_equal(*found)


def test_layers_of_equinox_have_the_output_first():
    equinox = pytest.importorskip("equinox")
    key = jax.random.key(0)
    assert transform(called(equinox.nn.Linear(3, 5, key=key)), "kernel", 2) == "transpose 1 0"
    conv = equinox.nn.Conv2d(3, 5, (2, 4), key=key)
    assert [transform(called(conv), role, axes) for role, axes in (("kernel", 4), ("bias", 3))] == [
        "transpose 2 3 1 0",
        "flatten",
    ]
    assert transform(called(equinox.nn.Embedding(3, 5, key=key)), "embedding", 2) == "identity"
    assert transform(called(equinox.nn.LayerNorm((3, 5))), "bias", 2) == "identity"


def test_how_stacked_layers_lie_is_not_known_where_axes_are_merged_or_moved():
    heads, up = nnx.LinearGeneral(3, (2, 5), rngs=nnx.Rngs(0)), nnx.ConvTranspose(3, 5, (2, 4), rngs=nnx.Rngs(0))
    assert [transform(called(heads), role, axes) for role, axes in (("kernel", 3), ("bias", 2))] == ["merge 1", "flatten"]
    stacked = ((heads, "kernel", 4), (heads, "bias", 3), (up, "kernel", 5))
    assert {transform(called(layer), role, axes) for layer, role, axes in stacked} == {""}


def test_of_a_layer_that_was_never_called_a_kernel_with_heads_is_not_understood():
    assert [transform(None, "kernel", axes) for axes in (2, 3)] == ["identity", ""]
