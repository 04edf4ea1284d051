"""At the steps between captures the program is the one that the person wrote."""

import jax
import optax
from flax import nnx

import multiboard.jax as mbj


def program(step, args):
    return str(jax.make_jaxpr(step)(*args))


def test_the_plain_variant_has_the_jaxpr_of_the_step_without_multiboard(plain, batch_at, run):
    tx = optax.sgd(0.1, 0.9)
    untouched, tapped = plain(tx), plain(mbj.tap(tx))
    step = mbj.wrap_train_step(tapped.step, run, every=2)
    args = tapped.start()
    with run:
        for i in range(2):  # the measured variant comes first, and must leave no trace of its own behind
            args = tapped.follow(args, step(*args, *batch_at(i)))
    expected = program(jax.jit(untouched.step), (*untouched.start(), *batch_at(0)))
    assert program(step._plain, (*untouched.start(), *batch_at(0))) == expected


def test_a_tag_is_free_outside_a_measured_variant():
    assert program(lambda x: mbj.tag("hidden", x) * 2, [1.0]) == program(lambda x: x * 2, [1.0])


def test_a_tag_returns_the_value_itself_in_an_ordinary_program():
    value = [1.0][0]
    assert mbj.tag("hidden", value) is value


def test_inner_jit_functions_show_their_tags_although_the_plain_variant_was_traced_first(run, written):
    @jax.jit
    def inner(x):
        return mbj.tag("inner", x + 1)

    step = mbj.wrap_train_step(lambda x: inner(x).sum(), run, every=1, start_step=0)
    inner(jax.numpy.ones(3))
    with run:
        step(jax.numpy.ones(3))
    assert written().histograms["activations/inner"].value[0].tolist() == [[2.0, 2.25, 3.0]]


def test_the_plain_variant_of_modules_is_the_same_program_with_the_names_of_layers_in_its_metadata(nnx_training, batch_at, run):
    training = nnx_training(optax.sgd(0.1, 0.9))
    args = (*training.start(), *batch_at(0))
    step = mbj.wrap_train_step(training.step, run, every=2)
    with run:
        step(*args)
    program, expected = step.lower(*args), nnx.jit(training.step).lower(*args)
    assert program.as_text() == expected.as_text()
    assert "(dense1)" in program.as_text(debug_info=True)
    assert "(dense1)" not in expected.as_text(debug_info=True)
