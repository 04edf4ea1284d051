"""A wrong argument is an error where it is written."""

import jax
import pytest

import multiboard as mb
import multiboard.jax as mbj


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"every": 0}, "every"),
        ({"every": 2.5}, "every"),
        ({"start_step": -1}, "start_step"),
        ({"start_step": True}, "start_step"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"learning_rate": True}, "learning_rate"),
        ({"static_argnums": "x"}, "static_argnums"),
        ({"donate_argnums": (0, "state")}, "donate_argnums"),
        ({"static_argnums": True}, "static_argnums"),
        ({"static_argnames": 1}, "static_argnames"),
        ({"donate_argnames": ("state", 0)}, "donate_argnames"),
        ({"log": ("params", "gradients")}, "log"),
        ({"log": None}, "log"),
        ({"histograms": 1}, "histograms"),
        ({"histograms": False, "norms": False}, "histograms"),
        ({"norms": "yes"}, "norms"),
        ({"metrics": None}, "metrics"),
        ({"activations": 3}, "activations"),
    ],
)
def test_a_wrong_option_is_refused_by_name(arguments, named, run):
    with run, pytest.raises(mb.ArgumentError, match=f"argument '{named}'"):
        mbj.wrap_train_step(lambda x: x, run, **arguments)


@pytest.mark.parametrize("wrong", ["runs/first", None])
def test_something_that_is_no_run_is_refused(wrong):
    with pytest.raises(mb.ArgumentError, match=r"multiboard\.Run"):
        mbj.wrap_train_step(lambda x: x, wrong)


def test_something_that_is_no_step_is_refused(run):
    with run, pytest.raises(mb.ArgumentError, match="train_step"):
        mbj.wrap_train_step(None, run)


def test_a_step_that_is_wrapped_already_is_refused(run):
    with run, pytest.raises(mb.ArgumentError, match="wrapped already"):
        mbj.wrap_train_step(mbj.wrap_train_step(lambda x: x, run), run)


def test_an_option_that_is_nearly_right_gets_a_hint(run):
    with run, pytest.raises(mb.ArgumentError, match="Did you mean 'params'"):
        mbj.wrap_train_step(lambda x: x, run, log="param")


@pytest.mark.parametrize("name", ["", 3, None])
def test_a_name_that_is_no_tag_is_refused(name):
    with pytest.raises(mb.TagError):
        mbj.tag(name, 1.0)


def test_a_tree_in_place_of_an_array_is_refused():
    with pytest.raises(mb.ArgumentError, match="one array of numbers at a time"):
        mbj.tag("hidden", {"a": 1.0})


def test_keys_of_a_random_generator_are_refused():
    with pytest.raises(mb.ArgumentError, match="one array of numbers at a time"):
        mbj.tag("key", jax.random.key(0))
