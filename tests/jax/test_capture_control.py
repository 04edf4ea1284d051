"""Captures can be paused, resumed and asked for; the step tells what it is, and lowers as a jitted function does."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import multiboard as mb
import multiboard.jax as mbj

X = jnp.ones(3)


def tagged(x):
    return mbj.tag("x/y", x).sum()


def steps(written):
    return written().histograms["x/y"].step.tolist()


def test_nothing_is_captured_in_a_pause_and_metrics_and_steps_go_on(run, written):
    step = mbj.wrap_train_step(tagged, run, every=2)
    with run:
        for i in range(8):
            if i == 1:
                step.pause()
            if i == 5:
                step.resume()
            step(X)
    assert steps(written) == [0, 6]
    assert written().scalars["train/loss"].step.tolist() == list(range(8))


def test_the_next_step_can_be_captured_even_in_a_pause(run, written):
    step = mbj.wrap_train_step(tagged, run, every=100)
    step.pause()
    with run:
        for i in range(5):
            if i in {1, 3}:
                step.log_now()
            step(X)
    assert steps(written) == [1, 3]


def test_a_number_set_after_restoring_a_checkpoint_is_that_of_the_next_step(run, written):
    step = mbj.wrap_train_step(tagged, run, every=5)
    step.step = 14
    with run:
        for _ in range(2):
            step(X)
    assert steps(written) == [15]
    assert written().scalars["train/loss"].step.tolist() == [14, 15]


@pytest.mark.parametrize("number", [7, np.int64(7), np.array(7, np.uint8), jnp.array(7)], ids=["int", "NumPy", "array", "device"])
def test_a_number_of_any_kind_of_integer_is_set(number, run, written):
    step = mbj.wrap_train_step(tagged, run, every=7)
    step.step = number
    with run, jax.transfer_guard("disallow"):
        step(X)
    assert type(step.step) is int
    assert steps(written) == [7]


@pytest.mark.parametrize("number", [-1, 1.0, True, None, "3", np.ones(2, np.int32), jnp.ones(())])
def test_another_number_is_an_error_that_changes_nothing(number, run):
    step = mbj.wrap_train_step(tagged, run, start_step=3)
    with run, pytest.raises(mb.ArgumentError, match=r"'step' got .* pass the number of updates taken before"):
        step.step = number
    assert step.step == 3


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_cannot_be_copied_or_pickled_and_says_what_to_do(copied, run):
    step = mbj.wrap_train_step(tagged, run)
    with run, pytest.raises(TypeError, match="neither copied nor pickled; wrap the training step again"):
        copied(step)


def test_the_plain_variant_can_be_lowered_and_makes_no_update(run):
    def untagged(x):
        return x.sum()

    step = mbj.wrap_train_step(tagged, run)
    with run:
        assert step.lower(X).as_text() == jax.jit(untagged).lower(X).as_text().replace("jit_untagged", "jit_tagged")
    assert step.step == 0
    assert repr(step) == "WrappedStep('tagged', step=0)"


def test_a_run_that_is_closed_costs_no_measured_variant(run, causes):
    step = mbj.wrap_train_step(tagged, run, metrics=False)
    run.close()
    assert step(X) == 3
    assert step._measured == {}
    assert causes == []


@pytest.mark.parametrize("every", [1, 2])
def test_the_measured_variant_is_traced_once_for_the_same_shapes(every, run):
    traced = []

    def train_step(x):
        traced.append(x.shape)
        return tagged(x)

    step = mbj.wrap_train_step(train_step, run, every=every)
    with run:
        for shape in (3, 3, 3, 3, 5, 5, 5, 3):
            step(jnp.ones(shape))
    assert sorted(traced) == sorted([(3,), (5,)] * (1 if every == 1 else 2))
