"""Step times are those of the device, although a call returns before the device has begun; nothing is waited for."""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import multiboard as mb
import multiboard.jax as mbj

SIDE = 300


@pytest.fixture
def heavy():
    """A training step of some milliseconds, a function of its own in each test: JAX remembers what it has compiled."""

    def step(weights, x):
        weights = lax.fori_loop(0, 12, lambda _, w: jnp.tanh(w @ x), weights)
        return weights, {"loss": weights.sum()}

    return step


def start():
    return jnp.ones((SIDE, SIDE)), np.full((SIDE, SIDE), 0.01, np.float32)


@pytest.fixture
def device_ms(heavy):
    """The shortest time of a step of `heavy`, waited for."""
    step, (weights, x), times = jax.jit(functools.partial(heavy)), start(), []
    for _ in range(12):
        began = time.perf_counter()
        jax.block_until_ready(step(weights, x))
        times.append(1000 * (time.perf_counter() - began))
    return min(times)


def test_the_means_of_a_loop_that_runs_ahead_are_times_of_the_device(heavy, device_ms, run, written):
    weights, x = start()
    step = mbj.wrap_train_step(heavy, run, every=1000, log=())
    returned = []
    for batch in mbj.loop([x] * 60, run, every=5, watching=step, examples=7):
        weights, _ = step(weights, batch)
        returned.append(time.perf_counter())
    under_way = not step.latest.is_ready()
    run.close()
    scalars = written().scalars
    assert under_way, "the device kept up: this loop proves nothing"
    assert 1000 * np.median(np.diff(returned[2:20])) < device_ms / 5
    assert scalars["perf/step_ms"].value.min() > device_ms / 5
    np.testing.assert_allclose(scalars["perf/examples_per_s"].value * scalars["perf/step_ms"].value, 7000, rtol=1e-5)


def test_the_means_of_a_loop_that_waits_for_every_loss_are_times_of_the_device_too(heavy, device_ms, run, written):
    weights, x = start()
    step = mbj.wrap_train_step(heavy, run, every=1000, log=())
    for batch in mbj.loop([x] * 12, run, every=5, watching=step):
        weights, metrics = step(weights, batch)
        float(metrics["loss"])
    run.close()
    times = written().scalars["perf/step_ms"]
    assert times.step.tolist() == [6, 11]
    assert times.value.min() > device_ms / 5


def test_a_loop_that_only_counts_batches_comes_to_the_time_of_the_device_when_the_queue_is_full(heavy, device_ms, run, written):
    """JAX lets so many calls run ahead and no more: then a call takes as long as a step."""
    weights, x = start()
    step = jax.jit(heavy)
    for batch in mbj.loop([x] * 80, run, every=10):
        weights, _ = step(weights, batch)
    run.close()
    assert written().scalars["perf/step_ms"].value[-1] > device_ms / 5


def test_the_loop_waits_for_no_device(heavy, device_ms, run):
    weights, x = start()
    step = mbj.wrap_train_step(heavy, run, every=1000, log=())
    loop = mbj.loop([x] * 22, run, every=1, watching=step)
    for batch in loop:
        weights, _ = step(weights, batch)
        if loop.step == 1:
            began = time.perf_counter()  # both variants are compiled
    assert 1000 * (time.perf_counter() - began) < 20 * device_ms / 2
    run.close()


def test_steps_that_compile_are_written_apart(run, written):
    def train(weights, x):
        return weights + x.mean(), x.sum()

    step, weights = mbj.wrap_train_step(train, run, every=3, log=()), jnp.zeros(2)
    sizes = [4] * 9 + [5] * 3
    for batch in mbj.loop([np.ones(size, np.float32) for size in sizes], run, every=2, watching=step):
        weights, loss = step(weights, batch)
        float(loss)
    run.close()
    scalars = written().scalars
    assert scalars["perf/first_step_ms"].step.tolist() == [0, 1, 9, 10]
    assert scalars["perf/step_ms"].step.tolist() == [3, 5, 7, 11]


def test_steps_are_those_of_the_wrapped_step(run, written):
    step, seen = mbj.wrap_train_step(lambda w, x: (w, x.sum()), run, every=1000, log=(), start_step=40), []
    loop = mbj.loop((np.ones(3, np.float32) for _ in range(6)), run, every=2, watching=step)
    for batch in loop:
        float(step(0.0, batch)[1])
        seen.append(loop.step)
    run.close()
    assert seen == list(range(40, 46))
    assert written().scalars["perf/first_step_ms"].step.tolist() == [40]
    assert written().scalars["perf/step_ms"].step.tolist() == [42, 44, 45]


@pytest.mark.parametrize("metrics", [False, True], ids=["not logged", "donated to the next step"])
def test_a_step_whose_metrics_cannot_be_asked_is_finished_when_its_call_is(metrics, run, written):
    def train(loss, x):
        return {"loss": loss + x.sum()}

    step = mbj.wrap_train_step(train, run, every=1000, log=(), metrics=metrics, donate_argnums=0)
    result = {"loss": jnp.float32(0)}
    for batch in mbj.loop([np.ones(3, np.float32)] * 7, run, every=2, watching=step):
        result = step(result["loss"], batch)
    run.close()
    assert written().scalars["perf/step_ms"].step.tolist()[-1] in {5, 6}


def test_losses_and_weights_are_those_of_the_loop_without_it(run, plain, batch_at, train):
    import optax

    style = plain(optax.adam(0.1))
    losses, params = train(style, jax.jit(style.step), 5)
    step = mbj.wrap_train_step(style.step, run, every=2, log=())
    args, seen = style.start(), []
    for x, y in mbj.loop([batch_at(i) for i in range(5)], run, every=1, watching=step):
        result = step(*args, x, y)
        args = style.follow(args, result)
        seen.append(float(result[-1]["loss"]))
    run.close()
    assert seen == losses
    jax.tree.map(np.testing.assert_array_equal, style.params(args), params[-1])


def test_a_closed_run_does_not_end_the_loop_and_is_said_once(log_dir):
    run = mb.Run(log_dir)
    run.close()
    with pytest.warns(mb.MultiboardWarning, match="is closed") as said:
        assert len(list(mbj.loop([np.ones(2)] * 3, run, every=1))) == 3
    assert len(said) == 1


def test_a_process_without_a_run_gets_the_batches_and_the_steps():
    loop = mbj.loop([jnp.ones(2)] * 3, None, every=1)
    assert [(loop.step, len(batch)) for batch in loop] == [(0, 2), (1, 2), (2, 2)]


WRONG = {
    "loader": (7, "iterable"),
    "run": ("runs/first", "multiboard.Run"),
    "every": (0, "at least 1"),
    "start_step": (-1, "at least 0"),
    "watching": (jax.jit(lambda x: x), "wrap_train_step"),
    "examples": ("eight", "a function of the batch"),
    "memory": (1, "True or False"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named_with_its_remedy(name, log_dir):
    value, remedy = WRONG[name]
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError, match=remedy) as raised:
        mbj.loop(**{"loader": [], "run": run, name: value})
    assert raised.value.name == name
