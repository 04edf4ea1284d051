"""The same network in three frameworks, element by element: what is equal is 0 apart, and a mistake is named."""

import numpy as np
import pytest

import multiboard as mb

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
nnx = pytest.importorskip("flax.nnx")
optax = pytest.importorskip("optax")

import jax.numpy as jnp  # noqa: E402

import multiboard.jax as mbj  # noqa: E402
import multiboard.torch as mbt  # noqa: E402

SIZES = {"embed": (12, 24), "up": (24, 24), "mid": (24, 24), "down": (24, 24), "head": (24, 6)}
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
NAMES = dict(zip(SIZES, ("embed", "dense_2", "dense", "dense_1", "head"), strict=True))
"""What another program calls them by itself."""
EVERY = mb.Exact(steps=1)


def weights():
    rng = np.random.default_rng(0)
    return {name: (rng.normal(size=size) / np.sqrt(size[0])).astype(np.float32) for name, size in SIZES.items()}


def batches(steps):
    rng = np.random.default_rng(1)
    teacher = rng.normal(size=(12, 6))
    for _ in range(steps):
        x = rng.normal(size=(32, 12)).astype(np.float32)
        yield x, (x @ teacher).argmax(1)


class Network(torch.nn.Module):
    """Dense layers with a residual connection and a norm."""

    def __init__(self):
        super().__init__()
        for name, size in SIZES.items():
            setattr(self, name, torch.nn.Linear(*size))
        self.norm = torch.nn.LayerNorm(24, eps=1e-6)

    def forward(self, x):
        x = self.embed(x)
        y = torch.nn.functional.gelu(self.mid(torch.nn.functional.gelu(self.up(x))))
        return self.head(self.norm(x + self.down(y)))


def train_torch(log_dir, *, dtype="float32", rate=1e-2, steps=2, every=1, exact=EVERY, broken=()):
    """Train; kernels in `broken` are not transposed, as if those of Flax had been copied."""
    kind = getattr(torch, dtype)
    model = Network()
    for name, kernel in weights().items():
        layer = getattr(model, name)
        layer.weight.data = torch.from_numpy((kernel if name in broken else kernel.T).copy())
        layer.bias.data = torch.zeros(kernel.shape[1])
    model = model.to(kind)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=every, activations="*", exact=exact) as watching:
        for x, y in batches(steps):
            optimizer.zero_grad()
            logits = model(torch.from_numpy(x).to(kind))
            loss = torch.nn.functional.cross_entropy(logits if kind == torch.float64 else logits.float(), torch.from_numpy(y))
            loss.backward()
            run.log({"train/loss": loss}, watching.step)
            optimizer.step()
    return log_dir


def train_flax(log_dir, *, dtype="float32", rate=1e-2, steps=2, every=1, exact=EVERY):
    options = {"dtype": DTYPES[dtype], "param_dtype": DTYPES[dtype], "rngs": nnx.Rngs(0)}

    class Ported(nnx.Module):
        def __init__(self):
            for name, size in SIZES.items():
                setattr(self, NAMES[name], nnx.Linear(*size, **options))
            self.norm = nnx.LayerNorm(24, epsilon=1e-6, use_fast_variance=False, **options)

        def __call__(self, x):
            layer = {name: getattr(self, NAMES[name]) for name in SIZES}
            x = layer["embed"](x)
            y = nnx.gelu(layer["mid"](nnx.gelu(layer["up"](x), approximate=False)), approximate=False)
            return layer["head"](self.norm(x + layer["down"](y)))

    model = Ported()
    for name, kernel in weights().items():
        getattr(model, NAMES[name]).kernel[...] = jnp.asarray(kernel, DTYPES[dtype])
    optimizer = nnx.Optimizer(model, optax.adam(rate), wrt=nnx.Param)

    def step(model, optimizer, x, y):
        def loss_of(model):
            logits = model(x.astype(DTYPES[dtype])).astype(jnp.float32)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        loss, grads = nnx.value_and_grad(loss_of)(model)
        optimizer.update(model, grads)
        return {"loss": loss}

    with mb.Run(log_dir) as run:
        wrapped = mbj.wrap_train_step(step, run, every=every, activations="*", exact=exact)
        for x, y in batches(steps):
            wrapped(model, optimizer, x, y)
    return log_dir


def train_keras(log_dir):
    keras = pytest.importorskip("keras")
    import multiboard.keras as mbk

    inputs = keras.Input((12,))
    dense = {name: keras.layers.Dense(size[1], name=name) for name, size in SIZES.items()}
    x = dense["embed"](inputs)
    y = keras.ops.gelu(dense["mid"](keras.ops.gelu(dense["up"](x), approximate=False)), approximate=False)
    outputs = dense["head"](keras.layers.LayerNormalization(epsilon=1e-6, name="norm")(x + dense["down"](y)))
    model = keras.Model(inputs, outputs)
    for name, kernel in weights().items():
        dense[name].kernel.assign(kernel)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2, epsilon=1e-8), loss, jit_compile=False)
    x, y = (np.concatenate(parts) for parts in zip(*batches(2), strict=True))
    callback = mbk.TensorBoard(log_dir, every=1, update_freq="batch", activations="*", exact=EVERY)
    model.fit(x, y, batch_size=32, shuffle=False, verbose=0, callbacks=[callback])
    return log_dir


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("exact")
    return {
        "torch": train_torch(directory / "torch"),
        "flax": train_flax(directory / "flax"),
        "float64": train_torch(directory / "float64", dtype="float64"),
    }


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("framework", ["flax", "keras"])
def test_equal_elements_of_another_framework_are_0_apart_and_gradients_a_few_units(runs, tmp_path, framework):
    found = mb.compare(runs["torch"], runs["flax"] if framework == "flax" else train_keras(tmp_path / "keras"))
    assert found.code == 0, str(found)
    kernels = [row for row in found.exact if row.kind == "params" and row.step == 0]
    assert len(kernels) == 12
    assert max(row.ulp_max for row in kernels) == 0
    grads = [row for row in found.exact if row.kind == "grads" and row.step == 0]
    assert len(grads) == 12
    assert 0 < max(row.relative_l2 for row in grads) < 1e-5
    assert max(row.ulp_median for row in grads) < 100
    assert min(row.cosine for row in grads) > 1 - 1e-9


def test_a_square_kernel_that_was_not_transposed_is_named(runs, tmp_path):
    found = mb.compare(runs["flax"], train_torch(tmp_path / "torch", broken=("mid",), steps=1))
    first = found.divergence[0]
    assert (first.kind, first.name, first.step, first.exact) == ("params", f"{NAMES['mid']}/kernel", 0, True)
    assert not any(row.distance > row.limit for row in found.layers if row.kind == "params" and row.step == 0)


def test_layers_with_other_names_are_found_by_their_weights(runs):
    found = mb.compare(runs["torch"], runs["flax"])
    pairs = {pair.a: pair for pair in found.alignments["flax"].pairs}
    assert {name: pairs[name].b for name in NAMES} == NAMES
    assert {pairs[name].level for name in NAMES} == {"certain"}
    assert "equal weights" in pairs["mid"].evidence


def test_two_frameworks_with_one_mistake_are_the_same_wrong_beside_float64(runs, tmp_path):
    wrong = train_torch(tmp_path / "torch", rate=1.1e-2), train_flax(tmp_path / "flax", rate=1.1e-2)
    assert mb.compare(*wrong).code == 0
    found = mb.compare(*wrong, oracle=runs["float64"])
    assert found.code == 1
    assert {row.kind for row in found.same_wrong if row.step == 0} == {"updates"}
    kernel = next(row for row in found.same_wrong if row.name == "up/kernel")
    assert kernel.error_a == pytest.approx(0.1, rel=0.05)


def test_a_reference_in_float64_is_close_to_correct_runs(runs):
    found = mb.compare(runs["torch"], runs["flax"], oracle=runs["float64"])
    assert found.code == 0, str(found)
    assert {row.verdict for row in found.oracle} == {""}
    assert {row.kind for row in found.oracle} == {"loss", "activations", "params", "grads", "updates"}
    assert max(row.error_a for row in found.oracle) < 1e-3


HALVES = {"dtype": "bfloat16", "steps": 60, "every": 10, "exact": None}


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    return train_flax(tmp_path_factory.mktemp("halves") / "flax", **HALVES)


def test_two_frameworks_in_bfloat16_raise_no_false_alarm(halves, tmp_path):
    found = mb.compare(halves, train_torch(tmp_path / "torch", **HALVES))
    assert "model of bf16 rounding" in found.noise
    assert found.parted == (), str(found)


def test_a_twentieth_of_the_learning_rate_is_found_in_bfloat16(halves, tmp_path):
    assert mb.compare(halves, train_torch(tmp_path / "torch", rate=1.05e-2, **HALVES)).parted
