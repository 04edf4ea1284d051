"""What goes wrong in a capture never reaches the training loop; it is counted and said once."""

import jax
import jax.numpy as jnp
import optax
import pytest

import multiboard.jax as mbj
from multiboard_jax._compat import is_collecting

X = jnp.ones(3)


def fails_while(is_failing):
    """A step that raises when it is traced to be measured, as long as a person says so."""

    def train_step(x):
        if is_collecting() and is_failing():
            raise RuntimeError("cannot be traced now")
        return mbj.tag("x/y", x).sum()

    return train_step


def test_a_step_that_cannot_be_measured_trains_without_and_is_tried_at_ever_longer_intervals(run, causes, written, warned):
    step = mbj.wrap_train_step(fails_while(lambda: True), run, every=2)
    with run:
        assert [float(step(X)) for _ in range(20)] == [3.0] * 20
    assert [cause for cause, _ in causes] == ["measured step"] * 4 + ["summary"]
    assert str(warned[0].message).endswith("runs without: RuntimeError: cannot be traced now")
    assert len(warned) == 2
    assert written().scalars["train/loss"].step.tolist() == list(range(20))
    errors = written().scalars["multiboard/errors"]
    assert (errors.step.tolist(), errors.value.tolist()) == ([0, 2, 6, 14], [1, 2, 3, 4])
    assert list(written().histograms) == []


def test_captures_go_on_when_the_cause_is_gone(run, written, warned):
    failing = [True, True]
    step = mbj.wrap_train_step(fails_while(lambda: failing and failing.pop()), run, every=1)
    with run:
        for _ in range(6):
            step(X)
    assert written().histograms["x/y"].step.tolist() == [3, 4, 5]
    assert written().scalars["multiboard/errors"].step.tolist() == [0, 1]
    assert warned


def test_a_jitted_step_that_cannot_be_measured_is_told_to_repeat_its_static_arguments(run, warned):
    jitted = jax.jit(lambda x, factor: mbj.tag("x", x * factor).sum() if factor > 1 else x.sum(), static_argnums=1)
    with run:
        assert mbj.wrap_train_step(jitted, run)(X, 2) == 6
    assert "if its own jit has static_argnums or static_argnames, repeat them in wrap_train_step" in str(warned[0].message)


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
        step._delivery._rate = lambda _: 1 / 0
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
