"""`log`, `histograms` and `norms` say what of each array is written."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx
from flax.training.train_state import TrainState

import multiboard as mb
import multiboard.jax as mbj

BATCH = jnp.linspace(-1, 1, 12).reshape(4, 3)


@pytest.mark.parametrize("log", [("params",), ("grads", "updates"), "updates", ("optimizer_state",), ()])
def test_only_the_groups_asked_for_are_written(log, linen_training, train, run, written, layers, causes):
    training = linen_training(optax.adam(1e-3))
    with run:
        train(training, mbj.wrap_train_step(training.step, run, log=log), 1)
    groups = (log,) if isinstance(log, str) else log
    moments = ("/first_moment", "/second_moment") if groups == ("optimizer_state",) else ("",)
    assert sorted(written().histograms) == sorted(f"{g}/{layer}{m}" for g in groups for layer in layers for m in moments)
    assert causes == []


def test_the_state_of_an_optimizer_is_that_which_made_the_update(linen_training, batch_at, run, written):
    training = linen_training(optax.chain(optax.clip_by_global_norm(0.1), optax.adam(1e-2)))
    step = mbj.wrap_train_step(training.step, run, log=["optimizer_state"], every=2)
    (state,), seen = training.start(), {}
    with run:
        for i in range(3):
            state, _ = step(state, *batch_at(i))
            seen[i] = state.opt_state[1][0]
    for name, field in (("first_moment", "mu"), ("second_moment", "nu")):
        column = written().scalars[f"norm/optimizer_state/dense1/kernel/{name}"]
        assert column.step.tolist() == [0, 2]
        np.testing.assert_allclose(
            column.value, [np.linalg.norm(getattr(seen[i], field)["dense1"]["kernel"]) for i in (0, 2)], rtol=1e-5
        )
    description = written().histograms["optimizer_state/dense1/kernel/first_moment"].description
    assert description == "`dense1/kernel`, mu of ScaleByAdamState"


def test_without_histograms_norms_and_ratios_are_the_same(style, train, tmp_path):
    found = {}
    for histograms in (True, False):
        training = style(mbj.tap(optax.sgd(0.1, 0.9)))
        with mb.Run(tmp_path / str(histograms), facts=False) as run:
            train(training, mbj.wrap_train_step(training.step, run, every=2, histograms=histograms), 3)
        found[histograms] = mb.read(tmp_path / str(histograms))["."]
    assert list(found[False].histograms) == []
    names = [tag for tag in found[True].scalars if tag.startswith(("norm/", "update_ratio"))]
    assert names == [tag for tag in found[False].scalars if tag.startswith(("norm/", "update_ratio"))]
    assert len(names) == 12 + 3 + 5
    for tag in names:
        np.testing.assert_allclose(found[False].scalars[tag].value, found[True].scalars[tag].value, rtol=1e-5)


def test_norms_alone_tell_nan_and_infinity_from_numbers(run, written):
    def train_step(x):
        tagged = [mbj.tag(f"x/{name}", value) for name, value in (("nan", x / x), ("inf", 1 / x), ("number", x))]
        return sum(value.sum() for value in tagged)

    step = mbj.wrap_train_step(train_step, run, histograms=False)
    with pytest.warns(match="not finite"), run:
        step(jnp.array([0.0, 3.0, 4.0]))
    norms = [written().scalars[f"norm/x/{name}"].value[0] for name in ("nan", "inf", "number")]
    np.testing.assert_array_equal(norms, [np.nan, np.inf, 5])


def test_without_norms_histograms_are_written_alone(linen_training, train, run, written, layers):
    training = linen_training(optax.sgd(0.1))
    with run:
        train(training, mbj.wrap_train_step(training.step, run, norms=False), 1)
    assert len(written().histograms) == 3 * len(layers)
    assert not [tag for tag in written().scalars if tag.startswith(("norm/", "update_ratio"))]


class LinenNormed(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.Dense(2, name="dense")(x)
        x = linen.BatchNorm(use_running_average=False, name="norm")(x)
        return linen.Dropout(0.5, deterministic=False)(x)


class State(TrainState):
    batch_stats: dict


def linen_step(state, x, key):
    def loss(params):
        variables = {"params": params, "batch_stats": state.batch_stats}
        y, new = LinenNormed().apply(variables, x, mutable=["batch_stats"], rngs={"dropout": key})
        return (y**2).mean(), new["batch_stats"]

    (value, stats), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
    return state.apply_gradients(grads=grads, batch_stats=stats), value


def linen_state():
    variables = LinenNormed().init({"params": jax.random.key(0), "dropout": jax.random.key(1)}, BATCH)
    return State.create(apply_fn=None, tx=optax.sgd(0.1), **variables)


def test_batch_statistics_of_a_training_state_are_those_after_the_step(run, written, causes):
    state = linen_state()
    step = mbj.wrap_train_step(linen_step, run, every=2, log=["buffers", "grads"])
    means = []
    with run:
        for i in range(3):
            state, _ = step(state, BATCH, jax.random.key(i))
            means.append(np.linalg.norm(state.batch_stats["norm"]["mean"]))
    assert sorted(tag for tag in written().histograms if tag.startswith("buffers/")) == ["buffers/norm/mean", "buffers/norm/var"]
    np.testing.assert_allclose(written().scalars["norm/buffers/norm/mean"].value, means[::2], rtol=1e-5)
    assert causes == []


def test_batch_statistics_that_are_an_argument_are_found_by_its_name(run, written):
    def train_step(params, batch_stats, x):
        return params * x.sum(), jax.tree.map(lambda m: m + 1, batch_stats), (mbj.tag("y", params) * x).sum()

    step = mbj.wrap_train_step(train_step, run, log=["buffers"])
    with run:
        step(jnp.ones(3), {"norm": {"mean": jnp.full(2, 3.0)}}, BATCH)
    column = written().histograms["buffers/norm/mean"]
    assert column.value[0][:, [0, 2]].tolist() == [[3.0, 2.0]]
    assert column.description == "`norm/mean`, before the step"


def test_batch_statistics_of_an_nnx_module_are_those_after_the_step(update_nnx, run, written):
    class Normed(nnx.Module):
        def __init__(self, rngs):
            self.dense = nnx.Linear(3, 2, rngs=rngs)
            self.norm = nnx.BatchNorm(2, rngs=rngs)
            self.drop = nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x):
            return self.drop(self.norm(self.dense(x)))

    def train_step(model, optimizer, x):
        loss, grads = nnx.value_and_grad(lambda model: (model(x) ** 2).mean())(model)
        update_nnx(optimizer, model, grads)
        return loss

    model = Normed(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    step = mbj.wrap_train_step(train_step, run, every=2, log=["buffers"])
    means = []
    with run:
        for _ in range(3):
            step(model, optimizer, BATCH)
            means.append(np.linalg.norm(model.norm.mean[...]))
    assert list(written().histograms) == ["buffers/norm/mean", "buffers/norm/var"]
    np.testing.assert_allclose(written().scalars["norm/buffers/norm/mean"].value, means[::2], rtol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_model_inside_its_optimizer_has_the_same_names(run, written):
    class Normed(nnx.Module):
        def __init__(self, rngs):
            self.dense = nnx.Linear(3, 2, rngs=rngs)
            self.norm = nnx.BatchNorm(2, rngs=rngs)

        def __call__(self, x):
            return self.norm(self.dense(x))

    def train_step(optimizer, x):
        loss, grads = nnx.value_and_grad(lambda model: (model(x) ** 2).mean())(optimizer.model)
        optimizer.update(grads)
        return loss

    cls = getattr(nnx, "ModelAndOptimizer", nnx.Optimizer)  # of Flax 0.10 every optimizer holds its model
    optimizer = cls(Normed(nnx.Rngs(0)), optax.sgd(0.1), wrt=nnx.Param)
    with run:
        mbj.wrap_train_step(train_step, run, log=("params", "grads", "buffers"))(optimizer, BATCH)
    trained = [f"{group}/{name}" for group in ("params", "grads") for name in
               ("dense/bias", "dense/kernel", "norm/bias", "norm/scale")]  # fmt: skip
    assert list(written().histograms) == [*trained, "buffers/norm/mean", "buffers/norm/var"]
