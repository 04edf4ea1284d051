"""Several tags and kinds of tags in one step."""

import jax
import jax.numpy as jnp

import multiboard.jax as mbj

X = jnp.array([1.0, 2.0, 4.0])


def test_numbers_scalars_and_iterations_are_told_apart(run, written):
    def nested(x):
        rows = jax.lax.scan(lambda c, _: (c, jax.lax.map(lambda r: mbj.tag("twice", r) * 2, x)), 0.0, length=2)[1]
        return rows.sum()

    def train_step(x):
        once = mbj.tag("name", x)
        again = mbj.tag("name", once * 2)
        return again.sum() + mbj.tag("train/scale", x.sum()) + nested(x)

    step = mbj.wrap_train_step(train_step, run)
    with run:
        assert step(X) == 49
    data = written()
    assert data.histograms["activations/name"].value[0][:, 0].tolist() == [1, 2, 4]
    assert data.histograms["activations/name#1"].value[0][:, 0].tolist() == [2, 4, 8]
    assert data.histograms["activations/twice"].value[0][:, 2].tolist() == [2, 2, 2]
    assert data.scalars["train/scale"].value.tolist() == [7]
    assert list(data.histograms) == ["activations/name", "activations/name#1", "activations/twice"]


def test_no_value_takes_the_place_of_another_that_has_its_number_in_the_name(run, written):
    def train_step(x):
        for i, name in enumerate(["q/a#1", "q/a", "q/a", "q/a", "q/a#1"]):
            x = mbj.tag(name, x + i)
        return x.sum()

    with run:
        mbj.wrap_train_step(train_step, run)(jnp.zeros(1))
    smallest = {tag: column.value[0][0, 0].item() for tag, column in written().histograms.items()}
    assert smallest == {"q/a#1": 0, "q/a": 1, "q/a#2": 3, "q/a#3": 6, "q/a#1#1": 10}


def test_effects_in_a_step_stay_in_their_order(run, capfd):
    def train_step(x):
        jax.debug.print("first {}", x[0], ordered=True)
        y = mbj.tag("x", x) * 2
        jax.debug.print("second {}", y[0], ordered=True)
        return y.sum()

    with run:
        mbj.wrap_train_step(train_step, run)(X).block_until_ready()
        jax.effects_barrier()
    assert capfd.readouterr().out == "first 1.0\nsecond 2.0\n"
