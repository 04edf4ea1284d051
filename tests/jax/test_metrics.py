"""What a step returns is logged at every step, and never waited for."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import multiboard as mb
import multiboard.jax as mbj


class Metrics(NamedTuple):
    loss: Any
    val: Any


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (lambda x: x.sum(), {"train/loss": 3.0}),
        (lambda x: {"loss": x.sum(), "val/aux": x[:1], "top5": x[0] > 0}, {"train/loss": 3.0, "val/aux": 1.0, "train/top5": 1.0}),
        (lambda x: (x, {"a": x.max()}), {"train/a": 1.0}),
        (lambda x: (x, x, x.min()), {"train/loss": 1.0}),
        (lambda x: (x, {}), {}),
        (
            lambda x: {"loss": x.sum(), "val": {"loss": x[0], "by": {"head": x[1]}}},
            {"train/loss": 3.0, "val/loss": 1.0, "val/by/head": 1.0},
        ),
        (lambda x: (x, Metrics(x.sum(), {"top": x[0]})), {"train/loss": 3.0, "val/top": 1.0}),
        (lambda x: [x, x, {"a": x.max()}], {"train/a": 1.0}),
        (lambda x: (x, None), {}),
        (lambda _: None, {}),
        (lambda x: {"loss": x.sum(), "skipped": None, "val": {"loss": None, "top": x[0]}}, {"train/loss": 3.0, "val/top": 1.0}),
    ],
    ids=[
        "loss",
        "dict",
        "tuple with dict",
        "tuple with loss",
        "no metrics",
        "nested",
        "named tuple",
        "list",
        "tuple with None",
        "nothing",
        "None in dicts",
    ],
)
def test_scalars_dicts_and_tuples_that_end_with_one_are_logged(result, expected, run, written):
    step = mbj.wrap_train_step(lambda x: result(mbj.tag("x", x)), run, every=2)
    with run:
        for _ in range(3):
            step(jnp.ones(3))
    scalars = {tag: column for tag, column in written().scalars.items() if tag.startswith(("train/", "val/"))}
    assert {tag: column.value[0] for tag, column in scalars.items()} == expected
    assert all(column.step.tolist() == [0, 1, 2] for column in scalars.values())


@pytest.mark.parametrize(
    ("result", "named"),
    [
        (lambda x: x, r"'train_step -> loss' got 'loss of shape \[3\]'"),
        (lambda x: {"loss": x.sum(), "logits": x}, r"logits of shape \[3\]"),
        (lambda x: (x.sum(), [x.sum()]), "'train_step -> loss' got"),
        (lambda x: {"nested": {"logits": x}}, r"'train_step -> nested/logits' got 'nested/logits of shape \[3\]'"),
        (lambda x: {0: x.sum()}, "'train_step -> 0' got 0 .int.; name metrics with strings"),
        (lambda x: {"loss": x.sum(), "state": (x, x)}, "'train_step -> state' got"),
        (lambda _: {"key": jax.random.key(0)}, "'key of dtype key<fry>'"),
        (lambda x: {"phase": x.sum() * 1j}, "'phase of dtype complex64'"),
        (lambda x: {"loss": x.sum(), "train/loss": x[0]}, r"\['loss'\] and \['train/loss'\] are both 'train/loss'"),
        (lambda x: {"a": {"b": x[0]}, "a/b": x[1]}, r"\['a'\]\['b'\] and \['a/b'\] are both 'a/b': rename one of them"),
    ],
    ids=[
        "array",
        "array in dict",
        "list",
        "nested",
        "number as name",
        "tuple in dict",
        "key",
        "complex",
        "same tag",
        "same tag nested",
    ],
)
@pytest.mark.parametrize("start_step", [0, 1])
def test_another_result_is_an_error_at_the_first_call_that_names_it_before_the_update(result, named, start_step, run):
    step = mbj.wrap_train_step(lambda state, x: (state + 1, result(x)), run, donate_argnums=0, start_step=start_step)
    state = jnp.zeros(3)
    with run:
        for _ in range(2):
            with pytest.raises(mb.ArgumentError, match=named):
                step(state, jnp.ones(3))
    assert step.step == start_step
    assert not state.is_deleted()


def test_with_metrics_false_any_result_is_returned_and_nothing_logged(run, written):
    step = mbj.wrap_train_step(lambda x: [mbj.tag("x", x), x.sum()], run, metrics=False)
    with run:
        assert step(jnp.ones(3))[0].tolist() == [1, 1, 1]
    assert not any(tag.startswith("train/") for tag in written().scalars)


def test_the_call_returns_before_the_device_is_done(run, written):
    def slow(x):
        return jax.lax.fori_loop(0, 60, lambda _, y: jnp.tanh(x @ y), x).sum()

    step = mbj.wrap_train_step(lambda x: slow(mbj.tag("x", x)), run, every=1)
    x = jnp.eye(700)
    with run:
        step(x).block_until_ready()
        assert not step(x).is_ready()
    assert written().scalars["train/loss"].step.tolist() == [0, 1]


def test_a_traced_value_given_to_the_run_inside_a_step_says_what_to_do(run):
    def train_step(x):
        run.log({"train/inside": x.sum()}, 0)
        return x.sum()

    step = mbj.wrap_train_step(train_step, run)
    with run, pytest.raises(mb.ValueKindError, match="traced value exists only inside jit; return it from the step"):
        step(jnp.ones(3))


def test_metrics_of_several_classes_are_written_while_jit_is_disabled(run, written):
    kept = np.zeros(())

    def train_step(x):
        return {"array": x.sum(), "number": 2.5, "numpy": kept}

    with jax.disable_jit(), run:
        step = mbj.wrap_train_step(train_step, run)
        for number in range(4):
            kept[...] = number
            step(jnp.ones(2))
    scalars = {tag: series.value.tolist() for tag, series in written().scalars.items() if tag.startswith("train/")}
    assert scalars == {"train/array": [2.0] * 4, "train/number": [2.5] * 4, "train/numpy": [0, 1, 2, 3]}


def test_metrics_may_change_during_the_training_and_never_end_it(run, written, causes):
    results = [{"loss": 1.0}, {"loss": 2.0, "more": {"a": 3.0}}, {"loss": jnp.ones(3)}, ["x"], None, {3: 1.0}, {"loss": 4.0}]

    @jax.jit
    def train_step(x):
        return mbj.tag("x", x).sum()

    def changing(x):
        train_step(x)
        return results.pop(0)

    step = mbj.wrap_train_step(changing, run)
    step._plain = changing
    step.step = 1
    with pytest.warns(mb.MultiboardWarning), run:
        for _ in range(7):
            step(jnp.ones(2))
    scalars = written().scalars
    assert (scalars["train/loss"].step.tolist(), scalars["train/loss"].value.tolist()) == ([1, 2, 7], [1, 2, 4])
    assert scalars["more/a"].step.tolist() == [2]
    assert step.step == 8
    assert causes


def test_a_step_that_cannot_be_looked_at_before_its_update_keeps_it_and_reports(nnx_training, run, causes, batch_at):
    training = nnx_training(optax.sgd(0.1))

    def step(model, optimizer, x, y):
        training.step(model, optimizer, x, y)
        return {"logits": model(x)}

    wrapped = mbj.wrap_train_step(step, run)
    args = training.start()
    before = jax.tree.map(np.array, training.params(args))
    with run, pytest.warns(mb.MultiboardWarning, match=r"metrics of step 0 were left out: .*'logits of shape \[6, 7\]'"):
        assert wrapped(*args, *batch_at(0))["logits"].shape == (6, 7)
    assert wrapped.step == 1
    assert not np.array_equal(before["dense1"]["kernel"], training.params(args)["dense1"]["kernel"])
    assert {cause for cause, _ in causes} == {"ArgumentError"}


def test_a_metric_that_is_donated_to_the_next_step_is_reported_with_what_to_do(run, causes):
    step = mbj.wrap_train_step(lambda total, x: {"total": total["total"] + x.sum()}, run, donate_argnums=0, log=())
    total = {"total": jnp.zeros(())}
    with run, pytest.warns(mb.MultiboardWarning, match="donated to the next step and cannot be read: return it apart, or a copy"):
        for _ in range(3):
            total = step(total, jnp.ones(3))
    assert total["total"] == 9
    assert [cause for cause, _ in causes].count("metric train/total donated") == 1


@pytest.mark.parametrize("copied", [jnp.copy, lambda x: x], ids=["copy", "returned apart"])
def test_a_metric_that_is_returned_beside_the_donated_one_is_written(copied, run, written):
    def train_step(total, x):
        total = total + x.sum()
        return total, {"total": copied(total)}

    step = mbj.wrap_train_step(train_step, run, donate_argnums=0, log=())
    total = jnp.zeros(())
    with run:
        for _ in range(4):
            total, _ = step(total, jnp.ones(3))
    assert written().scalars["train/total"].value.tolist() == [3, 6, 9, 12]


def test_numbers_of_many_steps_are_those_that_the_host_has_and_a_lost_one_costs_no_other(log_dir):
    arrays = {
        "half": lambda step: jnp.float16(step / 8),
        "brain": lambda step: jnp.bfloat16(step / 8),
        "single": lambda step: jnp.float32(np.nan if step == 7 else step / 3),
        "row": lambda step: jnp.full(1, step, jnp.int8),
        "flag": lambda step: jnp.bool_(step % 2),
    }
    with mb.Run(log_dir, facts=False, on_drop=lambda *_: None) as run:
        for step in range(100):
            metrics = {name: array(step) for name, array in arrays.items()}
            if step == 20:
                metrics["half"].delete()
            run.log(metrics, step)
    data = mb.read(log_dir)["."]
    for name, array in arrays.items():
        steps = [step for step in range(100) if (name, step) != ("half", 20)]
        assert data.scalars[name].step.tolist() == steps
        np.testing.assert_array_equal(data.scalars[name].value, [np.float32(np.asarray(array(step)).item()) for step in steps])
    assert data.scalars["nonfinite/single"].value.tolist() == [1.0]
    assert data.scalars["multiboard/dropped/scalar"].value[-1] == 1
