"""The tap changes neither the state nor the arithmetic of an optimizer, whatever it is made of, and sees what passes it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest
from flax.training.train_state import TrainState

import multiboard as mb
import multiboard.jax as mbj

PARAMS = {"dense": {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}}
ROLES = ("bias", "kernel")
SOME = {"dense": {"kernel": True, "bias": False}}
partition = getattr(optax, "partition", None) or optax.multi_transform  # the name before optax 0.2.5

OPTIMIZERS = {
    "adamw": lambda: optax.adamw(1e-3),
    "chain": lambda: optax.chain(optax.clip_by_global_norm(0.1), optax.trace(0.9), optax.scale(-0.1)),
    "injected": lambda: optax.inject_hyperparams(optax.sgd)(0.1, momentum=0.9),
    "masked": lambda: optax.masked(optax.adam(1e-3), SOME),
    "partition": lambda: partition({True: optax.adam(1e-3), False: optax.sgd(0.1)}, SOME),
    "accumulated": lambda: optax.MultiSteps(optax.adam(1e-3), every_k_schedule=2),
    "if finite": lambda: optax.apply_if_finite(optax.adam(1e-3), max_consecutive_errors=3),
    "schedule-free": lambda: optax.contrib.schedule_free(optax.sgd(0.1), 0.1, b1=0.9),
    "factored": lambda: optax.adafactor(1e-3),
}
STATES = {
    "adamw": [f"{role}/{state}" for role in ROLES for state in ("first_moment", "second_moment")],
    "chain": [f"{role}/momentum" for role in ROLES],
    "injected": [f"{role}/momentum" for role in ROLES],
    "masked": ["kernel/first_moment", "kernel/second_moment"],
    "partition": ["kernel/first_moment", "kernel/second_moment"],
    "accumulated": [f"{role}/{state}" for role in ROLES for state in ("acc_grads", "first_moment", "second_moment")],
    "if finite": [f"{role}/{state}" for role in ROLES for state in ("first_moment", "second_moment")],
    "schedule-free": [f"{role}/z" for role in ROLES],
    "factored": [f"{role}/v" for role in ROLES],
}


def grads_at(i):
    return jax.tree.map(lambda p: p * 0.1 + (i + 1) * 0.5, PARAMS)


def updated(tx, wrap, steps=4):
    """Return the parameters and states of some updates, compiled as `wrap` does it."""

    def train_step(params, opt_state, grads):
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, {}

    step, state, seen = wrap(train_step), (PARAMS, tx.init(PARAMS)), []
    for i in range(steps):
        state = step(*state, grads_at(i))[:2]
        seen.append(state)
    return seen


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_states_and_weights_are_the_same_as_without_and_everything_is_seen(name, run, written):
    make, log = OPTIMIZERS[name], ("params", "grads", "updates", "optimizer_state")
    expected = updated(make(), jax.jit)
    with run:
        tapped = updated(mbj.tap(make()), lambda step: mbj.wrap_train_step(step, run, every=2, log=log))
    assert jax.tree.structure(tapped) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, tapped, expected)
    groups = [f"{group}/dense/{role}" for group in log[:3] for role in ROLES]
    found = [tag for tag in written().histograms if not _is_constant(tag)]
    assert sorted(found) == sorted(groups + [f"optimizer_state/dense/{state}" for state in STATES[name]])


def _is_constant(tag):
    return tag.endswith(("/v_row", "/v_col"))


def test_accumulated_gradients_are_those_of_a_micro_step_and_updates_zero_until_applied(run, written):
    with run:
        tx = mbj.tap(optax.MultiSteps(optax.sgd(0.1), every_k_schedule=2))
        updated(tx, lambda step: mbj.wrap_train_step(step, run, every=1))
    data = written()
    norms = [float(jnp.linalg.norm(grads_at(i)["dense"]["kernel"])) for i in range(4)]
    np.testing.assert_allclose(data.scalars["norm/grads/dense/kernel"].value, norms, rtol=1e-5)
    assert (data.scalars["norm/updates/dense/kernel"].value > 0).tolist() == [False, True, False, True]
    assert data.histograms["grads/dense/kernel"].description == "`dense/kernel`, of one micro-batch"
    assert data.histograms["updates/dense/kernel"].description.endswith("zero until what is accumulated is applied")


def test_a_tap_inside_accumulation_sees_what_is_applied(run, written, causes):
    with run:
        tx = optax.MultiSteps(mbj.tap(optax.sgd(0.1)), every_k_schedule=2)
        updated(tx, lambda step: mbj.wrap_train_step(step, run, every=1))
    column = written().scalars["norm/grads/dense/kernel"]
    at = dict(zip(column.step.tolist(), column.value.tolist(), strict=True))
    for i in (0, 2):
        mean = (grads_at(i)["dense"]["kernel"] + grads_at(i + 1)["dense"]["kernel"]) / 2
        np.testing.assert_allclose(at[i + 1], float(jnp.linalg.norm(mean)), rtol=1e-5)
    assert causes == []


def test_a_tap_behind_clipping_sees_clipped_gradients_and_says_where_it_is(run, written):
    with run:
        tx = optax.chain(optax.clip(0.25), mbj.tap(optax.sgd(0.1), stage="after clipping"))
        updated(tx, lambda step: mbj.wrap_train_step(step, run), steps=1)
    assert written().histograms["grads/dense/kernel"].value[0][:, [0, 2]].tolist() == [[0.25, 6.0]]
    assert written().histograms["grads/dense/kernel"].description == "`dense/kernel`, after clipping"


def test_several_optimizers_are_told_apart_by_name(run, written):
    encoder, head = mbj.tap(optax.sgd(0.1), name="encoder"), mbj.tap(optax.sgd(0.1), name="head")

    def train_step(params):
        for tx in (encoder, head):
            updates, _ = tx.update(params, tx.init(params), params)
        return updates["dense"]["bias"].sum()

    with run:
        mbj.wrap_train_step(train_step, run)(PARAMS)
    groups = ("params", "grads", "updates")
    assert list(written().histograms) == [f"{g}/{who}/dense/{r}" for g in groups for who in ("encoder", "head") for r in ROLES]


def test_slow_and_fast_weights_of_lookahead_are_seen_by_name(run, written):
    tx = mbj.tap(optax.lookahead(optax.sgd(0.1), sync_period=2, slow_step_size=0.5))

    def train_step(params, opt_state):
        updates, opt_state = tx.update(params.fast, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, {}

    params = optax.LookaheadParams.init_synced(PARAMS)
    with run:
        mbj.wrap_train_step(train_step, run)(params, tx.init(params))
    names = [f"{speed}/dense/{role}" for speed in ("fast", "slow") for role in ROLES]
    expected = [f"{group}/{name}" for group in ("params", "updates") for name in names] + [f"grads/dense/{r}" for r in ROLES]
    assert sorted(written().histograms) == sorted(expected)


def test_a_line_search_gets_the_function_that_it_needs(run, written, causes):
    tx = mbj.tap(optax.lbfgs())

    def value(params):
        return sum(jnp.sum((leaf - 2.0) ** 2) for leaf in jax.tree.leaves(params))

    def train_step(params, opt_state):
        loss, grads = jax.value_and_grad(value)(params)
        updates, opt_state = tx.update(grads, opt_state, params, value=loss, grad=grads, value_fn=value)
        return optax.apply_updates(params, updates), opt_state, loss

    step, state = mbj.wrap_train_step(train_step, run), (PARAMS, tx.init(PARAMS))
    expected = jax.jit(train_step)(*state)
    with run:
        jax.tree.map(np.testing.assert_array_equal, step(*state), expected)
    assert [tag for tag in written().histograms if tag.startswith("grads/")] == [f"grads/dense/{role}" for role in ROLES]
    assert causes == []


@pytest.mark.filterwarnings("ignore")
def test_checkpoints_load_with_and_without_a_tap(tmp_path):
    from orbax import checkpoint

    make = OPTIMIZERS["chain"]
    for i, (write, read) in enumerate([(make(), mbj.tap(make())), (mbj.tap(make()), make())]):
        state = updated(write, jax.jit, steps=2)[-1][1]
        checkpointer = checkpoint.StandardCheckpointer()
        checkpointer.save(tmp_path / str(i), state)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / str(i), read.init(PARAMS))
        assert jax.tree.structure(restored) == jax.tree.structure(state)
        jax.tree.map(np.testing.assert_array_equal, restored, state)


def test_further_arguments_of_update_reach_the_optimizer():
    def update(updates, state, params=None, *, factor):
        del params
        return jax.tree.map(lambda u: u * factor, updates), state

    tapped = mbj.tap(optax.GradientTransformationExtraArgs(optax.identity().init, update))
    changes, _ = tapped.update({"a": jnp.ones(2)}, tapped.init(PARAMS), factor=3.0)
    assert changes["a"].tolist() == [3.0, 3.0]


def test_something_that_is_no_optimizer_is_refused():
    with pytest.raises(mb.ArgumentError, match="optax transformation"):
        mbj.tap(1e-3)


@pytest.mark.parametrize("argument", ["name", "stage"])
def test_a_name_or_stage_that_is_no_text_is_refused(argument):
    with pytest.raises(mb.ArgumentError, match=f"argument '{argument}' got 3"):
        mbj.tap(optax.sgd(0.1), **{argument: 3})


@pytest.mark.parametrize("wrap", [mbj.tap, lambda tx: tx], ids=["tapped", "found in a TrainState"])
def test_an_optimizer_keeps_what_it_has_besides_init_and_update(wrap, run, written, causes):
    tx = wrap(optax.MultiSteps(optax.sgd(0.1), every_k_schedule=2))

    def train_step(state, grads):
        state = state.apply_gradients(grads=grads)
        return state, {"updated": state.tx.has_updated(state.opt_state)}

    step = mbj.wrap_train_step(train_step, run, every=1)
    state = TrainState.create(apply_fn=None, params=PARAMS, tx=tx)
    with run:
        for i in range(4):
            state, _ = step(state, grads_at(i))
    assert causes == []
    assert written().scalars["train/updated"].value.tolist() == [0, 1, 0, 1]
    assert written().histograms["grads/dense/kernel"].step.tolist() == [0, 1, 2, 3]


def test_a_tapped_optimizer_says_what_it_does_not_have():
    tx = mbj.tap(optax.MultiSteps(optax.sgd(0.1), every_k_schedule=2))
    with pytest.raises(AttributeError, match="'MultiSteps' object has no attribute 'missing'"):
        tx.missing()
