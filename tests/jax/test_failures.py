"""What goes wrong in a capture never reaches the training loop; it is counted and said once."""

import jax
import jax.numpy as jnp
import optax
import pytest

import multiboard.jax as mbj

X = jnp.ones(3)


def test_a_step_that_cannot_be_measured_trains_without(run, causes, written, warned):
    traces = []

    def train_step(x):
        traces.append(x)
        if len(traces) == 1:  # the measured variant is traced first
            raise RuntimeError("cannot be traced now")
        return mbj.tag("x", x).sum()

    step = mbj.wrap_train_step(train_step, run, every=2)
    with run:
        assert [float(step(X)) for _ in range(5)] == [3.0] * 5
    assert [cause for cause, _ in causes] == ["measured step"] * 3 + ["summary"]
    assert "runs without: RuntimeError: cannot be traced now" in str(warned[0].message)
    assert len(warned) == 2
    assert written().scalars["train/loss"].step.tolist() == [0, 1, 2, 3, 4]
    assert written().scalars["multiboard/errors"].value.tolist() == [1, 2, 3]
    assert list(written().histograms) == []


def test_an_error_of_the_step_itself_reaches_the_caller_and_is_not_counted_as_an_update(run, written):
    step = mbj.wrap_train_step(lambda x: mbj.tag("x", x @ X), run)
    with run:
        with pytest.raises(TypeError, match="dot_general"):
            step(jnp.ones(4))
        assert step.step == 0
        assert step(X) == 3
    assert written().scalars["activations/x"].step.tolist() == [0]


@pytest.mark.parametrize("updates_before", [0, 3])
def test_a_run_that_is_closed_before_or_in_the_training_does_not_end_it(updates_before, run, causes, warned):
    step = mbj.wrap_train_step(lambda x: mbj.tag("x", x).sum(), run, every=2)
    for i in range(6):
        if i == updates_before:
            run.close()
        assert step(X) == 3
    assert len(causes) >= 6 - updates_before
    assert all("ClosedRunError" in cause for cause, _ in causes)
    assert len(warned) == len({cause for cause, _ in causes})


def test_a_tag_that_has_another_kind_costs_the_capture_and_not_the_training(run, causes, written, warned):
    run.scalar("params/x", 1.0, 0)
    step = mbj.wrap_train_step(lambda x: mbj.tag("params/x", x).sum(), run, every=2)
    with run:
        assert [float(step(X)) for _ in range(4)] == [3.0] * 4
    assert written().scalars["train/loss"].step.tolist() == [0, 1, 2, 3]
    assert "'params/x' is a scalar in this run" in str(warned[0].message)
    assert any("TagKindError" in cause for cause, _ in causes)


def test_an_error_after_the_state_was_donated_is_the_error_that_the_caller_sees(run):
    def fail(_):
        raise ValueError("from inside the step")

    def train_step(x):
        total = mbj.tag("x", x).sum()
        return x * 2, jax.pure_callback(fail, jax.ShapeDtypeStruct((), jnp.float32), total)

    x = jnp.ones(3)
    step = mbj.wrap_train_step(train_step, run, donate_argnums=0)
    with run, pytest.raises(jax.errors.JaxRuntimeError, match="from inside the step"):
        step(x)
    assert x.is_deleted()
    assert step.step == 0


def test_what_goes_wrong_in_captures_is_counted_in_the_run(run, written, warned):
    step = mbj.wrap_train_step(lambda x: mbj.tag("x/y", x).sum(), run, every=2)
    step(X)
    with run:
        run.scalar("train/learning_rate", 1.0, 0)
        step._rate = lambda _: 1 / 0
        for _ in range(4):
            step(X)
    assert written().scalars["multiboard/errors"].value.tolist() == [1, 2]
    assert str(warned[0].message).startswith("the learning rate of step 2 was left out: ZeroDivisionError")


def test_a_wrong_layer_pattern_is_said_once_and_ends_nothing(run, causes, warned, linen_training, train):
    training = linen_training(optax.sgd(0.1))
    with run:
        train(training, mbj.wrap_train_step(training.step, run, every=2, activations=["nowhere.*"]), 4)
    assert len([cause for cause, _ in causes if cause != "summary"]) == 2
    assert len({str(w.message) for w in warned}) == 2
    assert "nowhere" in str(warned[0].message)
