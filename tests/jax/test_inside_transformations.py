"""A wrapped step that is called inside a transformation is the step itself, and says so."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import multiboard as mb
import multiboard.jax as mbj
from multiboard_jax import _compat

X = jnp.arange(3.0)


def train_step(w, x):
    loss = (mbj.tag("x", w * x) ** 2).sum()
    return w - 0.5 * loss, {"loss": loss}


def scanned(step):
    return lambda w, x: jax.lax.scan(lambda w, _: step(w, x), w, None, length=2)


CALLS = {
    "jit": jax.jit,
    "scan": scanned,
    "vmap": lambda step: jax.vmap(step, in_axes=(None, 0)),
    "grad": lambda step: jax.grad(lambda w, x: step(w, x)[1]["loss"]),
    "eval_shape": lambda step: lambda w, x: str(jax.eval_shape(step, w, x)),
}


@pytest.mark.parametrize("start_step", [0, 1])
@pytest.mark.parametrize("name", CALLS)
def test_it_computes_the_same_and_counts_and_writes_nothing(name, start_step, run, written, causes):
    step = mbj.wrap_train_step(train_step, run, every=2, start_step=start_step)
    with run, jax.checking_leaks(), pytest.warns(mb.MultiboardWarning, match="inside a transformation.* wrap the outermost"):
        results = [jax.tree.leaves(CALLS[name](call)(1.0, X)) for call in (step, train_step)]
    np.testing.assert_array_equal(results[0][-1], results[1][-1])
    assert {cause for cause, _ in causes} == {"step inside a transformation"}
    assert (step.step, step.latest) == (start_step, None)
    assert list(written().scalars) == []


def test_it_logs_when_it_is_called_outside_again(run, written):
    step = mbj.wrap_train_step(train_step, run, every=2)
    with run, pytest.warns(mb.MultiboardWarning):
        jax.jit(step)(1.0, X)
        step(1.0, X)
    assert written().scalars["train/loss"].step.tolist() == [0]
    assert written().histograms["activations/x"].step.tolist() == [0]


def test_a_version_without_the_private_entry_point_looks_at_the_arguments(monkeypatch):
    monkeypatch.setattr(_compat, "_is_outside", None)
    seen = []
    jax.jit(lambda x: seen.append(_compat.is_traced((x,))))(X)
    assert [*seen, _compat.is_traced((X,))] == [True, False]


def test_contexts_of_a_person_are_no_transformation():
    with jax.named_scope("a"), jax.debug_nans(True), jax.default_device(jax.devices()[0]):
        assert not _compat.is_traced(())
