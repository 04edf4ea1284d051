"""A graph that cannot be had, or not whole, is told and harms nothing; what JAX keeps private may be missing."""

import threading
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import multiboard as mb
from multiboard.errors import ArgumentError
from multiboard.graph import layers, view
from multiboard_jax import _compat, graph
from multiboard_jax.tracing import flops
from multiboard_jax.tracing import layers as scopes
from multiboard_jax.tracing import walk as walking

X = jax.ShapeDtypeStruct((4, 8), "float32")


class Net(linen.Module):
    @linen.compact
    def __call__(self, x):
        return jax.nn.softmax(linen.Dense(3, name="second")(linen.gelu(linen.Dense(16, name="first")(x))))


class NnxNet(nnx.Module):
    def __init__(self, rngs):
        self.first, self.second = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 3, rngs=rngs)
        self.norm, self.dropout = nnx.BatchNorm(16, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.second(self.dropout(self.norm(self.first(x))))


def step(params, x):
    return jax.grad(lambda params: Net().apply(params, x).sum())(params)


def params():
    return jax.eval_shape(Net().init, jax.random.key(0), X)


def totals(found):
    return len(found.nodes), sum(node.params for node in found.nodes), sum(node.flops for node in found.nodes)


def test_without_name_stacks_there_are_no_modules_and_all_is_counted(monkeypatch):
    expected = totals(graph(Net(), X))
    monkeypatch.setattr(walking, "name_stack_of", lambda _: ())
    found = graph(Net(), X)
    assert totals(found) == expected
    assert found.notes == ()
    assert {frame.kind for node in found.nodes for frame in node.scope} == {"call"}


def test_without_tracebacks_there_are_no_calls_and_the_view_of_the_api_is_that_of_operations(monkeypatch):
    expected = [(row.op, row.path) for row in layers(graph(Net(), X)) if row.op == "Dense"]
    monkeypatch.setattr(walking, "traceback_of", lambda _: ((), ()))
    found = graph(Net(), X)
    assert [(row.op, row.path) for row in layers(found) if row.op == "Dense"] == expected
    assert [node.op for node in view(found, "api").nodes] == [node.op for node in found.nodes]


@pytest.mark.parametrize("source_info", [None, SimpleNamespace(), SimpleNamespace(traceback=None, name_stack=None)])
def test_an_equation_that_does_not_tell_where_it_was_made_stands_at_the_top(source_info):
    eqn = SimpleNamespace(source_info=source_info)
    assert _compat.traceback_of(eqn) == ((), ())
    assert [name for _, name in _compat.name_stack_of(eqn) if name != "None"] == []


def test_the_text_of_a_name_stack_says_what_its_elements_say():
    def equations(jaxpr):
        for eqn in jaxpr.eqns:
            yield eqn
            for body in _compat.bodies_of(eqn):
                yield from equations(body)

    found = list(equations(jax.make_jaxpr(jax.vmap(step, (None, 0)))(params(), jax.ShapeDtypeStruct((2, 4, 8), "float32")).jaxpr))
    elements = [_compat.name_stack_of(eqn) for eqn in found]
    texts = [
        _compat.name_stack_of(SimpleNamespace(source_info=SimpleNamespace(name_stack=eqn.source_info.name_stack.__str__())))
        for eqn in found
    ]
    assert any((True, "transpose") in each for each in elements)
    scopes = [[[name for is_transform, name in each if not is_transform] for each in side] for side in (elements, texts)]
    assert scopes[0] == scopes[1]
    assert [{name for is_transform, name in each if is_transform} for each in texts if any(not t for t, _ in each)] == [
        {name for is_transform, name in each if is_transform} for each in elements if any(not t for t, _ in each)
    ]


def test_without_a_context_of_its_own_a_graph_is_the_same(monkeypatch):
    expected = totals(graph(step, params(), X))
    monkeypatch.setattr(_compat, "_traces", None)
    assert totals(graph(step, params(), X)) == expected


def test_if_modules_cannot_be_followed_functions_are_and_it_is_told(monkeypatch):
    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr(scopes, "watching", fail)
    found = graph(Net(), X)
    assert found.notes == ("The modules could not be followed while the function was traced; only functions have names.",)
    assert "softmax" in {frame.name for node in found.nodes for frame in node.scope}
    assert totals(found)[1:] == (8 * 16 + 16 + 16 * 3 + 3, 2 * 4 * 16 * (8 + 3))


def test_an_operation_that_cannot_be_recorded_is_told_and_the_rest_is_there(monkeypatch):
    walk = walking.body_walk

    def fail_for_tanh(eqn):
        if eqn.primitive.name == "tanh":
            raise KeyError("unknown")
        return walk(eqn)

    expected = graph(Net(), X)
    monkeypatch.setattr(walking, "body_walk", fail_for_tanh)
    found = graph(Net(), X)
    assert found.notes == ("An operation tanh could not be recorded: KeyError: 'unknown'",)
    assert [node.op for node in found.nodes] == [node.op for node in expected.nodes]
    assert [node.inputs for node in found.nodes] == [node.inputs for node in expected.nodes]


def test_flops_that_cannot_be_counted_are_none_and_told(monkeypatch):
    monkeypatch.setitem(flops._RULES, "dot_general", lambda eqn: eqn.params["of another version"])
    found = graph(Net(), X)
    assert found.notes == ("The FLOPs of dot_general are not counted: KeyError: 'of another version' (2 times)",)
    assert sum(node.flops for node in found.nodes) == 0


def test_a_function_that_fails_warns_and_gives_the_graph_of_what_it_did_before():
    def fail(weights, x):
        product = x @ weights
        raise ValueError("no such layer", product)

    weights = jax.ShapeDtypeStruct((X.shape[-1], 2), "float32")
    with pytest.warns(UserWarning, match="the graph could not be traced: ValueError"):
        found = graph(fail, weights, X)
    assert [node.op for node in found.nodes if node.op != "Input"] == ["dot_general"]
    (note,) = found.notes
    assert "no such layer" in note


def test_a_function_that_fails_is_reported_in_the_run(run, causes):
    with run:
        graph(lambda x: x.no_such_attribute, X, run=run)
    assert [cause for cause, _ in causes] == ["graph"]
    assert "no_such_attribute" in causes[0][1]


@pytest.mark.parametrize("fails", [False, True])
def test_models_are_left_as_they_were_also_after_an_exception(fails):
    model = NnxNet(nnx.Rngs(0))
    before, attributes, call = nnx.to_pure_dict(nnx.state(model)), set(vars(model.first)), nnx.Linear.__call__
    if fails:
        with pytest.warns(UserWarning, match="could not be traced"):
            graph(model, jax.ShapeDtypeStruct((4, 9), "float32"))
    else:
        graph(model, X)
    assert nnx.Linear.__call__ is call
    assert set(vars(model.first)) == attributes
    jax.tree.map(
        np.testing.assert_array_equal, jax.tree.map(bits, before), jax.tree.map(bits, nnx.to_pure_dict(nnx.state(model)))
    )


def test_other_threads_see_nothing_of_a_trace():
    inside, over = threading.Event(), threading.Event()
    model, found = NnxNet(nnx.Rngs(0)), []

    def call():
        inside.wait(60)
        found.append(str(jax.make_jaxpr(model.first)(X).jaxpr.eqns[0].source_info.name_stack))
        over.set()

    def function(first, x):
        inside.set()
        assert over.wait(60)
        return first(x)

    other = threading.Thread(target=call)
    other.start()
    traced = graph(function, nnx.Linear(8, 3, rngs=nnx.Rngs(0)), X)
    other.join()
    assert [row.op for row in layers(traced)] == ["Dense"]
    assert found == [""]


def bits(leaf):
    return np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)


def test_the_program_of_a_jitted_step_is_the_same_after_a_graph_as_without():
    def text(jitted):
        return jitted.lower(params(), X).as_text(debug_info=True)

    def again(params, x):
        return step(params, x)

    first, second = jax.jit(step), jax.jit(step)
    graph(second, params(), X)
    assert "mb:" not in text(second)
    assert text(second).count("loc(") == text(first).count("loc(")
    assert again is not step


def test_nothing_is_computed_and_no_memory_is_taken():
    huge = {"params": {"kernel": jax.ShapeDtypeStruct((10**6, 10**7), "float32")}}
    found = graph(lambda params, x: x @ params["params"]["kernel"], huge, jax.ShapeDtypeStruct((10**5, 10**6), "float32"))
    assert totals(found) == (4, 10**13, 2 * 10**18)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((3,), {}, "pass a model, or the function"),
        ((jnp.sin, X), {"run": "runs"}, "run"),
        ((jnp.sin, X), {"params": {"kernel": X}}, "an argument of that name goes by position"),
    ],
)
def test_wrong_arguments_are_told_at_once(args, kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        graph(*args, **kwargs)


def test_a_graph_of_a_closed_run_raises_nothing_into_a_step(run):
    import multiboard.jax as mbj

    wrapped = mbj.wrap_train_step(lambda x: x.sum(), run, graph=True)
    run.close()
    assert float(wrapped(jnp.ones(3))) == 3.0
    assert isinstance(run, mb.Run)
