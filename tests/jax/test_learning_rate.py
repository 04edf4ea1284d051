"""The learning rate is written at captured steps, wherever it is kept."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import multiboard.jax as mbj

SCHEDULE = optax.join_schedules([optax.linear_schedule(0.0, 0.1, 4), optax.cosine_decay_schedule(0.1, 10)], [4])


def descend(tx, run, steps, **options):
    """Minimise the square of two parameters."""

    def train_step(params, opt_state):
        updates, opt_state = tx.update(params, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, {}

    params = {"fast": jnp.ones(2), "slow": jnp.ones(3)}
    step, args = mbj.wrap_train_step(train_step, run, every=3, **options), (params, tx.init(params))
    with run:
        for _ in range(steps):
            args = step(*args)[:2]


@pytest.mark.parametrize(
    ("rate", "expected"), [(0.25, [0.25] * 3), (SCHEDULE, [float(SCHEDULE(n)) for n in (0, 3, 6)])], ids=["number", "schedule"]
)
def test_a_given_learning_rate_is_written_at_captured_steps(rate, expected, run, written):
    descend(mbj.tap(optax.sgd(rate)), run, 7, learning_rate=rate)
    column = written().scalars["train/learning_rate"]
    assert column.step.tolist() == [0, 3, 6]
    np.testing.assert_array_equal(column.value, np.float32(expected))


def test_an_injected_schedule_is_found_with_the_rate_that_made_the_update(run, written):
    descend(mbj.tap(optax.inject_hyperparams(optax.sgd)(SCHEDULE)), run, 7)
    column = written().scalars["train/learning_rate"]
    assert column.step.tolist() == [0, 3, 6]
    np.testing.assert_allclose(column.value, [float(SCHEDULE(n)) for n in (0, 3, 6)], rtol=1e-6)


def test_several_injected_rates_are_numbered(run, written):
    inject = optax.inject_hyperparams(optax.sgd)
    descend(mbj.tap(optax.multi_transform({"fast": inject(0.5), "slow": inject(0.25)}, {"fast": "fast", "slow": "slow"})), run, 1)
    scalars = written().scalars
    assert scalars["train/learning_rate"].value.tolist() == [0.5]
    assert scalars["train/learning_rate/1"].value.tolist() == [0.25]


def test_a_schedule_that_fails_is_reported_and_costs_nothing_else(run, causes, written, warned):
    def schedule(step):
        raise ZeroDivisionError(f"no rate at {step}")

    descend(mbj.tap(optax.sgd(0.1)), run, 4, learning_rate=schedule)
    assert {cause for cause, _ in causes} == {"capture ZeroDivisionError", "summary"}
    assert "no rate at 0" in str(warned[0].message)
    assert written().histograms["params/slow"].step.tolist() == [0, 3]
    assert written().scalars["multiboard/errors"].value.tolist() == [1, 2]
