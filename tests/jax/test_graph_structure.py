"""What is drawn where: modules, functions, regions, arguments and results."""

import functools

import jax
import jax.numpy as jnp
import optax
import pytest
from flax import linen, nnx
from jax import lax

from multiboard.graph import layers, view
from multiboard.graph.ir import BUFFER, CONSTANT, INPUT, OUTPUT, PARAMETER, layer_path
from multiboard_jax import graph

X = jax.ShapeDtypeStruct((4, 8), "float32")


def path(node):
    return "/".join(frame.name for frame in node.scope)


def where(found, op):
    """The places of an operation."""
    return [path(node) for node in found.nodes if node.op == op]


def of(found, op):
    return [node for node in found.nodes if node.op == op]


class Pair(linen.Module):
    @linen.compact
    def __call__(self, x):
        dense = linen.Dense(8, name="dense")
        return dense(jnp.tanh(dense(x)))


def test_the_outermost_frame_is_the_model_and_is_named_by_its_class():
    found = graph(Pair(), X)
    root = found.nodes[-2].scope[0]
    assert (root.kind, root.name, root.cls) == ("module", "Pair", "Pair")
    assert {layer_path(node.scope) for node in of(found, "dot_general")} == {"dense"}


def test_a_module_that_is_called_twice_has_two_frames_and_counts_its_parameters_once():
    found = graph(Pair(), X)
    dense = [frame for node in of(found, "dot_general") for frame in node.scope if frame.name == "dense"]
    assert [frame.cls for frame in dense] == ["Dense", "Dense"]
    assert dense[0].uid != dense[1].uid
    assert [(row.op, row.params) for row in layers(found)] == [("Dense", 72), ("tanh", 0), ("Dense", 0)]


def test_forward_and_backward_share_no_frame():
    found = graph(lambda params, x: jax.grad(lambda params: Pair().apply(params, x).sum())(params), variables(Pair()), X)
    assert where(found, "dot_general")[2:] == ["backward/Pair/dense"] * 3
    uids = [
        {frame.uid for node in found.nodes if path(node).startswith("backward") == back for frame in node.scope}
        for back in (0, 1)
    ]
    assert all(uids)
    assert not uids[0] & uids[1]


def variables(model):
    return jax.eval_shape(model.init, jax.random.key(0), X)


@jax.jit
def outer(x):
    return jnp.sin(x)


@jax.custom_vjp
def own(x):
    return jnp.sin(x)


own.defvjp(lambda x: (own(x), None), lambda _, g: (g,))


def named(x):
    with jax.named_scope("mine"):
        return jnp.sin(x)


REGIONS = {
    "scan": (lambda x: lax.scan(lambda c, r: (c + jnp.sin(r), None), x[0], x)[0], ["scan"]),
    "while": (lambda x: lax.while_loop(lambda c: jnp.sin(c).sum() < 1, jnp.sin, x), ["while/condition", "while"]),
    "cond": (lambda x: lax.cond(x.sum() > 0, jnp.sin, lambda x: jnp.sin(-x), x), ["cond/branch(0)", "cond/branch(1)"]),
    "jit": (outer, [""]),
    "jit inside": (lambda x: outer(x) + 1, ["outer"]),
    "custom_vjp": (own, ["own"]),
    "remat": (jax.checkpoint(jnp.sin), [""]),
    "vmap": (jax.vmap(jnp.sin), [""]),
    "named scope": (named, ["mine"]),
}


@pytest.mark.parametrize("kind", REGIONS)
def test_bodies_are_walked_in_regions_of_their_own(kind):
    function, places = REGIONS[kind]
    found = graph(function, X)
    assert where(found, "sin") == places
    assert found.notes == ()


def test_the_results_of_all_branches_meet_in_one_node():
    found = graph(lambda i, x: lax.switch(i, [jnp.sin, jnp.cos, jnp.tan], x), jax.ShapeDtypeStruct((), "int32"), X)
    (meeting,) = of(found, "cond")
    assert {found.nodes[number].op for number, _ in meeting.inputs} == {"clamp", "sin", "cos", "tan"}
    assert found.nodes[of(found, OUTPUT)[0].inputs[0][0]] is meeting


def test_functions_of_the_api_are_calls_and_what_they_are_made_of_is_inside():
    found = graph(lambda x: jax.nn.softmax(jnp.where(x > 0, jax.nn.gelu(x), x)), X)
    assert where(found, "tanh") == ["gelu"]
    assert where(found, "select_n") == ["where"]
    assert set(where(found, "exp")) == {"softmax"}
    assert [row.op for row in layers(found)] == ["gt", "gelu", "where", "softmax"]


def test_two_calls_of_a_function_are_one_only_if_they_are_made_at_the_same_place():
    found = graph(lambda x: jax.nn.softmax(jax.nn.softmax(x)), X)
    assert [row.op for row in layers(found)] == ["softmax", "softmax"]


def test_a_function_of_the_api_that_calls_a_module_does_not_swallow_it():
    vectorized = jnp.vectorize(lambda x: Pair().apply(PARAMS, x), signature="(n)->(n)")
    assert {path(node) for node in of(graph(vectorized, X), "tanh")} == {"Pair"}


PARAMS = {"params": {"dense": {"kernel": jnp.ones((8, 8)), "bias": jnp.ones(8)}}}


def test_arrays_that_a_function_has_brought_along_are_constants_beside_what_uses_them():
    found = graph(lambda x: Pair().apply(PARAMS, x), X)
    assert {path(node) for node in of(found, CONSTANT)} == {"Pair/dense"}
    assert sum(node.params for node in found.nodes) == 0


def test_arguments_are_named_by_the_function_and_by_the_keys_of_their_trees():
    found = graph(lambda batch, scale: batch["image"] * scale[0], {"image": X}, (X, X))
    assert [node.name for node in of(found, INPUT)] == ["batch/image", "scale/0", "scale/1"]


def test_results_are_named_by_the_keys_of_their_tree_and_none_is_none():
    found = graph(lambda x: {"loss": x.sum(), "aux": (x + 1, None)}, X)
    assert [node.name for node in of(found, OUTPUT)] == ["aux/0", "loss"]
    assert [node.name for node in of(graph(jnp.sin, X), OUTPUT)] == ["output"]


def test_new_parameters_beside_other_states_of_one_result_are_one_node():
    def step(state, x):
        grads = jax.grad(lambda params: Pair().apply(params, x).mean())(state["params"])
        params = jax.tree.map(lambda param, grad: param - grad, state["params"], grads)
        return {"params": params, "mean": x.mean(0)}, x.sum()

    found = graph(step, {"params": variables(Pair()), "mean": X}, X)
    assert [node.name for node in of(found, OUTPUT)] == ["0/mean", "0/params", "1"]


def test_arguments_that_a_compiled_function_is_bound_to_are_arguments():
    bound = functools.partial(lambda params, x, *, scale: x @ params["w"] * scale, {"w": jnp.ones((8, 3))}, scale=2.0)
    found = graph(jax.jit(bound), X)
    assert [node.params for node in of(found, PARAMETER)] == [24]


def test_what_is_not_an_array_is_used_as_it_is():
    found = graph(lambda x, flag, times: x * times if flag else None, X, True, times=3)
    assert [node.op for node in found.nodes] == [INPUT, "mul", OUTPUT]


def test_parameters_can_be_named_by_the_user():
    def function(net, x):
        return x @ net["deep"]["kernel"] + net["shift"]

    net = {"deep": {"kernel": jax.ShapeDtypeStruct((8, 3), "float32")}, "shift": jax.ShapeDtypeStruct((3,), "float32")}
    assert of(graph(function, net, X), PARAMETER) == []
    for chosen in ("net", ["net/deep"], lambda path: path.endswith("kernel")):
        paths = [node.attrs["path"] for node in of(graph(function, net, X, params=chosen), PARAMETER)]
        assert paths == (["deep/kernel", "shift"] if chosen == "net" else ["deep/kernel"])


def test_copies_of_parameters_that_are_not_trained_are_buffers():
    def evaluate(state, x):
        outputs = [Pair().apply({"params": state[name]}, x) for name in ("params", "ema_params")]
        return outputs[0] - outputs[1]

    params = variables(Pair())["params"]
    found = graph(evaluate, {"params": params, "ema_params": params}, X)
    assert sum(node.params for node in found.nodes) == 72
    assert [node.attrs["path"] for node in of(found, BUFFER)] == [node.attrs["path"] for node in of(found, PARAMETER)]


def test_parameters_that_nothing_uses_are_counted_in_their_module_and_told():
    class Half(linen.Module):
        @linen.compact
        def __call__(self, x):
            first, second = linen.Dense(3, name="first"), linen.Dense(3, name="second")
            return first(x) if not self.is_initializing() else first(x) + second(x)

    found = graph(Half(), X)
    assert found.notes == ("Parameters that nothing in the model has used: second/bias, second/kernel.",)
    assert sum(node.params for node in found.nodes) == 2 * (8 * 3 + 3)
    assert [path(node) for node in of(found, PARAMETER)][-2:] == ["Half/second"] * 2


def test_the_update_is_one_region_with_the_states_of_the_optimizer_in_it():
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(1e-3, 100)))

    def step(params, opt_state, x):
        loss, grads = jax.value_and_grad(lambda params: optax.l2_loss(Pair().apply(params, x)).mean())(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    state = jax.eval_shape(tx.init, variables(Pair()))
    found = graph(step, variables(Pair()), state, X)
    outside = [node for node in view(found, "layer").nodes if not node.scope]
    assert [node.op for node in outside] == [INPUT, "l2_loss", "mean", "optimizer", OUTPUT, OUTPUT, OUTPUT]
    assert {path(node).partition("/")[0] for node in of(found, BUFFER)} == {"optimizer"}
    assert [node.name for node in of(found, OUTPUT)] == ["0", "1", "2"]
    assert len([node for node in of(found, PARAMETER) if path(node) == "optimizer"]) == 2
    assert sum(node.params for node in found.nodes) == 72


def test_gradients_alone_are_no_optimizer():
    def squares(params, x):
        return jax.tree.map(jnp.square, jax.grad(lambda params: Pair().apply(params, x).sum())(params))

    found = graph(squares, variables(Pair()), X)
    assert where(found, "square") == ["", ""]
    assert {path(node).partition("/")[0] for node in found.nodes} == {"", "Pair", "sum", "backward"}


def test_a_container_of_modules_is_a_frame_without_a_class():
    class Stack(nnx.Module):
        def __init__(self, rngs):
            self.blocks = getattr(nnx, "List", list)([nnx.Linear(8, 8, rngs=rngs) for _ in range(2)])

        def __call__(self, x):
            for block in self.blocks:
                x = block(x)
            return x

    found = graph(Stack(nnx.Rngs(0)), X)
    frames = [[(frame.name, frame.cls) for frame in node.scope] for node in of(found, "dot_general")]
    assert frames == [[("Stack", "Stack"), ("blocks", ""), (str(i), "Linear")] for i in range(2)]
    assert [layer_path(node.scope) for node in of(found, "dot_general")] == ["blocks/0", "blocks/1"]
