"""Graphs of many models: nothing fails, nothing dangles, everything is where it was called, and everything is counted."""

import functools
import importlib.util
import itertools
import re
import sys
from pathlib import Path

import jax
import pytest
from flax import linen, nnx
from jax.extend import core

from multiboard.graph import view
from multiboard.graph.ir import BUFFER, ENDS, PARAMETER, layer_path
from multiboard_jax import graph

PROGRAMS = Path(__file__).parent / "programs"
VIEWS = ("layer", "api", "op")
SHARED = ("tied weights, a layer twice", "shared layer and remat", "two models", "step of equinox")
"""Cases in which the paths of weights are no paths in one model: layers with two names, two models, states of optimizers."""


def load(name, folder=PROGRAMS):
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASES = {
    (kind, name): make
    for kind in ("linen", "nnx", "plain")
    for name, make in load(f"graph_models_{kind}").CASES.items()
}  # fmt: skip
LINEN = [name for kind, name in CASES if kind == "linen"]
NNX = [name for kind, name in CASES if kind == "nnx" and isinstance(CASES[kind, name]().target, nnx.Module)]
TRACED_BEFORE = () if hasattr(jax, "make_user_context") else ("jitted modules alike",)
"""What is not called again, where JAX keeps the traces of a graph for the next one."""


@functools.cache
def traced(kind, name):
    case = CASES[kind, name]()
    return case, graph(case.target, *case.args, **case.kwargs)


def dangling(nodes):
    return [
        (number, edge)
        for number, node in enumerate(nodes)
        for edge in node.inputs
        if not (0 <= edge[0] < len(nodes) and 0 <= edge[1] < len(nodes[edge[0]].outputs))
    ]


def is_forward(node):
    return not node.scope or node.scope[0].name not in {"backward", "optimizer"}


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_nothing_fails_and_no_input_dangles_in_any_view(kind, name):
    _, found = traced(kind, name)
    assert found.notes == ()
    assert [dangling(view(found, name).nodes) for name in VIEWS] == [[], [], []]
    assert all(edge[0] < number for number, node in enumerate(found.nodes) for edge in node.inputs)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_parameters_are_counted_as_the_framework_counts_them_in_every_view(kind, name):
    case, found = traced(kind, name)
    assert case.count > 0
    assert [sum(node.params for node in view(found, name).nodes) for name in VIEWS] == [case.count] * 3


@pytest.mark.parametrize(("kind", "name"), [case for case in CASES if case[0] != "plain" and case[1] not in SHARED])
def test_every_parameter_and_buffer_stands_in_the_module_that_has_it_in_the_tree(kind, name):
    _, found = traced(kind, name)
    weights = [node for node in found.nodes if node.op in {PARAMETER, BUFFER} and "rngs" not in node.attrs["path"]]
    assert weights
    # A layer that was handed to another one is called by that, and has its place in the tree beside it.
    assert all(f"{layer_path(node.scope)}/{node.name}".endswith(node.attrs["path"]) for node in weights)
    here = [f"{layer_path(node.scope)}/{node.name}".removeprefix("/") == node.attrs["path"] for node in weights]
    assert all(here) or name == "lstm and gru"


def products(jaxpr, outer=()):
    """Yield matrix products and convolutions, each with the modules that linen says it was called in."""
    for eqn in jaxpr.eqns:
        stack = str(eqn.source_info.name_stack)
        names = [
            re.sub(r"^(?:\w+\()*|\)*$", "", part).partition(".")[0]
            for part in stack.split("/")
            if not re.search("->|<lambda>", part)
        ]
        path = tuple(name for name, _ in itertools.groupby((*outer, *filter(None, names))))  # some lifted modules open two
        if eqn.primitive.name in {"dot_general", "conv_general_dilated"}:
            yield eqn.primitive.name, "/".join(path[1:])
        is_body = lambda leaf: isinstance(leaf, (core.Jaxpr, core.ClosedJaxpr))  # noqa: E731
        for body in filter(is_body, jax.tree.leaves(list(eqn.params.values()), is_leaf=is_body)):
            yield from products(getattr(body, "jaxpr", body), path)


@pytest.mark.parametrize("name", LINEN)
def test_every_product_of_linen_is_in_the_module_that_linen_itself_names(name):
    case, found = traced("linen", name)
    variables, *inputs = case.args
    mutable = [collection for collection in variables if collection != "params"]

    def apply(variables, *inputs):
        return case.target.apply(variables, *inputs, rngs={"dropout": jax.random.key(0)}, mutable=mutable, **case.kwargs)

    expected = list(products(jax.make_jaxpr(apply)(variables, *inputs).jaxpr))
    assert expected
    assert [(node.op, layer_path(node.scope)) for node in found.nodes if node.flops] == expected


@pytest.mark.parametrize("name", [name for name in NNX if name not in TRACED_BEFORE])
def test_modules_of_nnx_appear_in_the_order_in_which_they_were_called(name, monkeypatch):
    case = CASES["nnx", name]()
    called = []
    for cls in {type(module) for _, module in nnx.iter_graph(case.target) if isinstance(module, nnx.Module)}:
        if not callable(vars(cls).get("__call__")):
            continue

        def call(self, *args, original=cls.__call__, **kwargs):
            called.append(type(self).__name__)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(cls, "__call__", call)
    found = graph(case.target, *case.args)
    frames = {frame.uid: frame.cls for node in found.nodes for frame in node.scope if frame.kind == "module" and frame.cls}
    remaining = iter(called)
    assert len(frames) > 1
    assert all(cls in remaining for _, cls in sorted(frames.items()))


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_no_operation_follows_from_itself_in_the_layer_view_of_a_forward_pass(kind, name):
    _, found = traced(kind, name)
    nodes = view(found, "layer").nodes
    above = [{edge[0] for edge in node.inputs if is_forward(nodes[edge[0]])} if is_forward(node) else set() for node in nodes]
    for number in range(len(nodes)):
        reached, new = set(), above[number]
        while new:
            reached |= new
            new = set().union(*(above[other] for other in new)) - reached
        assert number not in reached


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_what_computes_has_an_operation_and_shapes_and_ends_have_names(kind, name):
    _, found = traced(kind, name)
    assert all(spec.shape is not None and spec.dtype for node in found.nodes for spec in node.outputs)
    assert all(node.name for node in found.nodes if node.op in ENDS)
    assert all(frame.name for node in found.nodes for frame in node.scope)
    assert len({frame for node in found.nodes for frame in node.scope}) == len({f.uid for n in found.nodes for f in n.scope})


def test_a_step_of_gpt_2_is_traced_from_shapes_with_every_parameter_and_product():
    step, shapes = load("graph_jaxpr", PROGRAMS.parents[2] / "benchmarks").training(8)
    found = graph(step, *shapes)
    assert found.notes == ()
    assert dangling(found.nodes) == []
    assert sum(node.params for node in found.nodes) == 124_439_808
    forward, backward = (sum(node.flops for node in found.nodes if is_forward(node) == side) for side in (True, False))
    # 12 layers of 12 * 768 * 768 weights and of attention, and the embedding as last layer; each with two products back.
    assert forward == 2 * 8 * (12 * 12 * 768 * 768 + 50257 * 768) + 12 * 2 * (2 * 12 * 8 * 8 * 64)
    assert backward == 2 * forward
    assert len(view(found, "layer").nodes) < 200


def test_the_same_transformer_has_the_same_layers_in_linen_and_nnx():
    from multiboard.graph import layers

    shared = load("shared_transformer")
    rows = [layers(graph(model, *args)) for model, args in (shared.linen_transformer(), shared.nnx_transformer())]
    first, second = ([(row.op, row.shape, row.params) for row in each] for each in rows)
    assert first == second
    assert len(first) > 50
    assert isinstance(shared.linen_transformer()[0], linen.Module)
