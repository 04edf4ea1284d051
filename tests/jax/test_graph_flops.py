"""FLOPs are those of matrix products and convolutions, two per multiply-add, as one would count them by hand."""

import jax
import jax.numpy as jnp
import optax
import pytest
from flax import linen, nnx
from jax import lax
from jax.sharding import AbstractMesh
from jax.sharding import PartitionSpec as P

from multiboard_jax import graph
from multiboard_jax._compat import shard_map


def shape(*sizes, dtype="float32"):
    return jax.ShapeDtypeStruct(sizes, dtype)


def flops(found, region=""):
    """The FLOPs of the nodes in an outermost region; '' for those of the forward pass."""
    regions = [
        node.scope[0].name if node.scope and node.scope[0].name in {"backward", "optimizer"} else "" for node in found.nodes
    ]
    return sum(node.flops for node, name in zip(found.nodes, regions, strict=True) if name == region)


class Mlp(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(5)(linen.relu(linen.Dense(16)(x)))


FIRST, SECOND = 2 * 4 * 8 * 16, 2 * 4 * 16 * 5
X = shape(4, 8)


def test_a_perceptron():
    assert flops(graph(Mlp(), X)) == FIRST + SECOND


def test_a_training_step_has_one_product_back_for_every_kernel_and_one_for_every_input_that_is_not_data():
    variables = jax.eval_shape(Mlp().init, jax.random.key(0), X)
    tx = optax.adamw(1e-3)

    def step(params, opt_state, x):
        grads = jax.grad(lambda params: Mlp().apply(params, x).mean())(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    found = graph(step, variables, jax.eval_shape(tx.init, variables), X)
    assert [flops(found, region) for region in ("", "backward", "optimizer")] == [FIRST + SECOND, FIRST + 2 * SECOND, 0]


@pytest.mark.parametrize("batched", [False, True], ids=["one", "batch"])
def test_attention(batched):
    batch, length, heads, size = (3 if batched else 1), 6, 2, 4
    width = heads * size
    model = nnx.MultiHeadAttention(heads, width, decode=False, rngs=nnx.Rngs(0))
    x = shape(*([batch] if batched else []), length, width)
    projections = 4 * 2 * batch * length * width * width
    assert flops(graph(model, x)) == projections + 2 * (2 * batch * heads * length * length * size)


def test_a_convolution_with_strides_groups_and_dilation():
    x, kernel = shape(2, 9, 9, 8), shape(3, 3, 4, 6)

    def convolve(x, kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, kernel, (2, 2), "VALID", None, (2, 2), numbers, feature_group_count=2)

    assert jax.eval_shape(convolve, x, kernel).shape == (2, 3, 3, 6)
    assert flops(graph(convolve, x, kernel)) == 2 * (2 * 3 * 3) * (3 * 3) * 4 * 6


@pytest.mark.parametrize(("size", "padding"), [(8, "SAME"), (8, "VALID"), (2, "SAME")])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_the_two_convolutions_back_are_as_large_as_that_forward(stride, groups, size, padding):
    x, kernel = shape(2, size, size, 4), shape(3, 3, 4 // groups, 6)

    def convolve(x, kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, kernel, (stride, stride), padding, None, None, numbers, feature_group_count=groups)

    found = graph(jax.grad(lambda x, kernel: jnp.square(convolve(x, kernel)).sum(), (0, 1)), x, kernel)
    height = jax.eval_shape(convolve, x, kernel).shape[1]
    assert flops(found) == 2 * (2 * height * height) * 9 * (4 // groups) * 6
    assert flops(found, "backward") == 2 * flops(found)


def test_a_transposed_convolution_counts_every_element_of_its_input_once_with_every_place_of_the_kernel():
    found = graph(lambda x, kernel: lax.conv_transpose(x, kernel, (2, 2), "SAME"), shape(2, 8, 8, 4), shape(2, 2, 4, 3))
    assert flops(found) == 2 * (2 * 8 * 8) * (2 * 2) * 4 * 3


def test_a_scan_over_layers_counts_every_layer():
    found = graph(lambda x, kernels: lax.scan(lambda x, kernel: (x @ kernel, None), x, kernels)[0], X, shape(7, 8, 8))
    assert flops(found) == 7 * 2 * 4 * 8 * 8


def test_a_scan_in_a_scan_counts_every_round():
    def rounds(x, kernel):
        inner = lambda x, _: (x @ kernel, None)  # noqa: E731
        return lax.scan(lambda x, _: (lax.scan(inner, x, None, 3)[0], None), x, None, 5)[0]

    assert flops(graph(rounds, X, shape(8, 8))) == 15 * 2 * 4 * 8 * 8


def test_a_loop_of_unknown_length_counts_one_round():
    found = graph(lambda x, k: lax.while_loop(lambda x: x.sum() < 9, lambda x: x @ k, x), X, shape(8, 8))
    assert flops(found) == 2 * 4 * 8 * 8


def test_a_branch_counts_all_its_alternatives():
    found = graph(lambda x, k: lax.cond(x.sum() < 9, lambda x: x @ k, lambda x: x @ k @ k, x), X, shape(8, 8))
    assert flops(found) == 3 * 2 * 4 * 8 * 8


def test_an_lstm_has_four_gates_in_every_step():
    model = linen.RNN(linen.LSTMCell(5))
    assert flops(graph(model, shape(2, 6, 8))) == 2 * (2 * 6) * (8 + 5) * (4 * 5)


def test_what_runs_on_several_devices_counts_for_all_of_them():
    mapped = shard_map(lambda x, k: x @ k, AbstractMesh((4,), ("data",)), (P("data"), P()), P("data"))
    found = graph(mapped, X, shape(8, 8))
    assert [node.outputs[0].shape for node in found.nodes if node.flops] == [(1, 8)]
    assert flops(found) == 2 * 4 * 8 * 8


def test_a_product_with_ragged_groups_counts_every_row_once():
    if not hasattr(lax, "ragged_dot"):
        pytest.skip("this version of JAX has no such product")
    found = graph(lax.ragged_dot, shape(6, 8), shape(3, 8, 4), shape(3, dtype="int32"))
    assert flops(found) == 2 * 6 * 8 * 4


def test_products_without_elements_cost_nothing():
    assert flops(graph(jnp.matmul, shape(0, 8), shape(8, 3))) == 0
    assert flops(graph(jnp.matmul, shape(4, 0), shape(0, 3))) == 0
