"""Operations in a profile have the layers of the uniform tags, in linen and in NNX alike."""

import functools
import importlib.util
import re
import sys
from collections import Counter
from pathlib import Path

import equinox
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import multiboard as mb
import multiboard.jax as mbj
from multiboard.profile.enrich_jax import enrich
from multiboard.profile.op_names import split_name
from multiboard.profile.tracer import Request
from multiboard.profile.xspace import HOST_PLANE, find_plane, read_space, stats_of
from multiboard_jax.profile import make_tracer
from multiboard_jax.profile_driver import layers_of

_spec = importlib.util.spec_from_file_location("profiled_models", Path(__file__).parent / "programs" / "profiled_models.py")
models = importlib.util.module_from_spec(_spec)
sys.modules["profiled_models"] = models  # for the names of its classes
_spec.loader.exec_module(models)


def profiled(folder, step, arguments):
    """Profile one call of a step that is compiled already, and return layer and name of every operation of it."""
    tracer = make_tracer(Request(str(folder), "default", False, True, False, None, False, False))
    tracer.start()
    tracer.step(0)
    jax.block_until_ready(jax.tree.leaves(step(*arguments)))
    (raw,) = tracer.stop()
    space = read_space(raw.path)
    enrich(space, {**raw.facts, "layers": layers_of(arguments)})
    plane = find_plane(space, HOST_PLANE)
    stats = [stats_of(event, plane) for line in plane.lines for event in line.events]
    return [split_name(known["tf_op"]) for known in stats if "tf_op" in known]


def layers_in_tags(log_dir):
    tags = mb.read(log_dir)["."].histograms
    return {tag.removeprefix("params/").rpartition("/")[0] for tag in tags if tag.startswith("params/")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A function that trains a model for two steps and returns the layers in its tags and the operations in its profile."""

    @functools.cache
    def train(name):
        training, _ = models.TRAININGS[name]
        log_dir = tmp_path_factory.mktemp("run")
        with mb.Run(log_dir) as run:
            step = mbj.wrap_train_step(training.step, run, every=2, log=["params"])
            for _ in range(2):
                step(*training.start(), *training.batch)
        operations = profiled(tmp_path_factory.mktemp("raw"), step._plain, (*training.start(), *training.batch))
        return layers_in_tags(log_dir), operations

    return train


@pytest.mark.parametrize("name", models.TRAININGS)
def test_the_layers_of_a_profile_are_those_of_the_tags(name, trained):
    expected = models.TRAININGS[name][1]
    in_tags, operations = trained(name)
    of_no_layer = {"", "backward", "optimizer", *(layer.rpartition("/")[0] for layer in expected)}
    found = {layer.removeprefix("backward/") for layer, _ in operations}
    assert in_tags == set(expected) == found - of_no_layer
    assert "optimizer" in found
    for layer in {*expected} - {"embed", expected[0]}:  # the first layer of a model passes no gradient on
        assert any(one == f"backward/{layer}" for one, _ in operations), layer


@pytest.mark.parametrize("kind", ["cnn", "transformer"])
def test_linen_and_nnx_have_the_same_products_in_the_same_layers(kind, trained):
    products = {"dot_general", "conv_general_dilated"}
    linen, nnx = (Counter(one for one in trained(f"{style} {kind}")[1] if one[1] in products) for style in ("linen", "nnx"))
    assert linen == nnx
    assert linen["head", "dot_general"] == 1


def test_a_layer_has_no_name_in_a_loop_by_hand_without_name_layers(tmp_path):
    training, _ = models.TRAININGS["nnx cnn"]
    step = nnx.jit(training.step)
    step(*training.start(), *training.batch)
    operations = profiled(tmp_path, step, (*training.start(), *training.batch))
    assert {layer.removeprefix("backward/") for layer, _ in operations} <= {"", "backward", "optimizer"}


class EquinoxModel(equinox.Module):
    first: equinox.nn.Linear
    last: equinox.nn.Linear

    def __call__(self, x):
        return self.last(jax.nn.relu(self.first(x)))


def test_layers_of_equinox_and_the_update_get_names():
    keys = jax.random.split(jax.random.key(0))
    model = EquinoxModel(equinox.nn.Linear(3, 3, key=keys[0]), equinox.nn.Linear(3, 3, key=keys[1]))

    def step(model, x):
        grads = equinox.filter_grad(lambda model: model(x).sum())(model)
        return equinox.apply_updates(model, grads)

    text = jax.jit(mbj.name_layers(step)).lower(model, jnp.ones(3)).as_text(debug_info=True)
    assert {"first", "last", "optimizer"} <= set(re.findall(r"\w+", text))


def test_layers_of_a_model_that_is_merged_inside_get_names():
    graph, state = nnx.split(models.NnxCnn(nnx.Rngs(0)))
    inputs = models.TRAININGS["nnx cnn"][0].batch[0]
    step = jax.jit(mbj.name_layers(lambda state, x: nnx.merge(graph, state)(x).sum()))
    assert set(models.CNN) <= set(re.findall(r"\w+", step.lower(state, inputs).as_text(debug_info=True)))


@pytest.mark.parametrize("wrong", [jax.jit(len), nnx.jit(len), None], ids=["jax.jit", "nnx.jit", "None"])
def test_only_what_is_not_compiled_yet_can_get_names(wrong):
    with pytest.raises(mb.ArgumentError, match="before it is compiled"):
        mbj.name_layers(wrong)


@pytest.mark.parametrize("name", ["linen transformer", "nnx transformer"])
def test_names_change_no_program(name):
    training, _ = models.TRAININGS[name]
    arguments = (*training.start(), *training.batch)
    with_names, without = (training.jit(step).lower(*arguments) for step in (mbj.name_layers(training.step), training.step))
    assert with_names.as_text() == without.as_text()
    assert with_names.as_text(debug_info=True) != without.as_text(debug_info=True)
