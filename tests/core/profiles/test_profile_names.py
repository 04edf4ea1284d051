"""What operations are called: names of JAX and TensorFlow become the layer paths of tags."""

import doctest
from importlib import import_module

import pytest

from multiboard.profile import enrich_jax, enrich_tensorflow
from multiboard.profile.hlo import HloOp
from multiboard.profile.op_names import LayerPaths, split_name

LINEN = {"roots": ["CNN", "Dense"], "layers": ["fc1", "blocks_0/attn/query", "Dense"]}
NNX = {"layers": ["blocks/0/attn", "body", "fc1"]}
KERAS = {"layers": ["conv1"], "roots": ["functional"], "optimizers": ["my_adam"]}


@pytest.mark.parametrize(
    ("facts", "op_name", "expected"),
    [
        (LINEN, "jit(step)/jvp(CNN)/fc1/dot_general", "fc1/dot_general"),
        (LINEN, "jit(step)/transpose(jvp(CNN))/fc1/dot_general", "backward/fc1/dot_general"),
        (LINEN, "jit(step)/jvp(CNN)/jit(relu)/max", "max"),
        (LINEN, "jit(step)/jvp(CNN.encode)/fc1.attend/dot_general", "fc1/dot_general"),
        (LINEN, "jit(step)/jvp(CNN)/blocks_0/attn/...qhd,...khd->...hqk/dot_general", "blocks_0/attn/dot_general"),
        (LINEN, "jit(step)/jvp(CNN)/blocks_0/attn/query/jit(_pad)/pad", "blocks_0/attn/query/pad"),
        (LINEN, "jit(step)/jvp(Dense)/dot_general", "Dense/dot_general"),
        (LINEN, "jit(step)/transpose(jvp(CNN))/checkpoint/rematted_computation/fc1/add", "backward/fc1/add"),
        (LINEN, "jit(step)/jvp(loss)/reduce_sum", "loss/reduce_sum"),
        (LINEN, "jit(step)/jvp()/reduce_max", "reduce_max"),
        (LINEN, "jit(step)/transpose(jvp(jit(take)))/scatter-add", "backward/scatter_add"),
        (LINEN, "jit(step)/jvp(CNN)/fc1/jit(_take)", "fc1/fusion"),
        (LINEN, "jit(step)/while/body/closed_call/jvp(CNN)/fc1/add;jit(step)/mul", "fc1/add"),
        (LINEN, "jit(step)/while", "while"),
        (NNX, "jit(step)/jvp(blocks/0/attn)/dot_general", "blocks/0/attn/dot_general"),
        (NNX, "jit(step)/vmap(jvp(body))/while/body/add", "body/add"),
        (NNX, "jit(step)/transpose(jvp(while))/body/fc1/add", "backward/fc1/add"),
        (NNX, "jit(step)/transpose(jvp(while))/body/add", "backward/add"),
        (NNX, "jit(step)/transpose(jvp(blocks/0))/attn/inner/mul", "backward/blocks/0/attn/mul"),
        (KERAS, "jit(train_step)/my_adam/mul", "optimizer/mul"),
        (KERAS, "jit(train_step)/jvp(conv1)/conv_general_dilated", "conv1/conv_general_dilated"),
        ({}, "jit(train_step)/adam/mul", "optimizer/mul"),
        ({}, "jit(step)/jvp(CNN)/Conv_0/conv", "Conv_0/conv"),
        ({}, "jit(step)/jvp(Conv_0)/conv", "Conv_0/conv"),
        ({}, "jit(step)/optimizer/mul", "optimizer/mul"),
        ({}, "p['params']['fc1']['bias']", "fusion"),
        ({}, "", "fusion"),
        ({}, "jit(", "fusion"),
        ({}, ")))///", "fusion"),
    ],
)
def test_names_of_jax(facts, op_name, expected):
    name = enrich_jax.jax_name(HloOp("fusion", op_name, ()), LayerPaths(facts))
    kind = expected.rpartition("/")[2]
    assert name == f"{expected}:{kind}"
    assert split_name(name) == (expected.rpartition("/")[0], kind)


@pytest.mark.parametrize(
    ("file", "op_name", "expected"),
    [
        ("/site-packages/optax/_src/transform.py", "jit(step)/mul", "optimizer/mul:mul"),
        ("/site-packages/optax/losses/_classification.py", "jit(step)/mul", "mul:mul"),
        ("/site-packages/optax/_src/transform.py", "jit(step)/jvp()/mul", "mul:mul"),
        ("/site-packages/flax/nnx/training/optimizer.py", "jit(step)/add", "optimizer/add:add"),
        ("/home/me/optax_like.py", "jit(step)/add", "add:add"),
    ],
)
def test_the_optimizer_of_jax_is_told_by_its_files(file, op_name, expected):
    assert enrich_jax.jax_name(HloOp("fusion", op_name, ("/home/me/a.py", file)), LayerPaths({})) == expected


TF = {
    "layers": {
        "cnn_1": "",
        "cnn_1/conv1_1": "conv1",
        "cnn_1/attn_1": "attn",
        "cnn_1/attn_1/query_1": "attn/query",
        "adam": "optimizer",
    }
}


@pytest.mark.parametrize(
    ("facts", "node", "expected"),
    [
        (TF, "StatefulPartitionedCall/cnn_1/conv1_1/Relu:_FusedConv2D", "conv1/_FusedConv2D:_FusedConv2D"),
        (TF, "StatefulPartitionedCall/gradient_tape/cnn_1/conv1_1/ReluGrad:ReluGrad", "backward/conv1/ReluGrad:ReluGrad"),
        (TF, "cnn_1/attn_1/query_1/einsum/Einsum:Einsum", "attn/query/Einsum:Einsum"),
        (TF, "cnn_1/attn_1/while/body/_2/cnn_1/attn_1/while/Add:AddV2", "attn/AddV2:AddV2"),
        (TF, "StatefulPartitionedCall/cnn_1/Reshape:Reshape", "Reshape:Reshape"),
        (TF, "StatefulPartitionedCall/adam/Mul_13:Mul", "optimizer/Mul:Mul"),
        (TF, "StatefulPartitionedCall/compile_loss/mse/Sub:Sub", "compile_loss/mse/Sub:Sub"),
        (TF, "AddN_1:AddN", "AddN:AddN"),
        ({}, "sequential_1/dense/MatMul:MatMul", "dense/MatMul:MatMul"),
        ({}, "adam_1/Mul:Mul", "optimizer/Mul:Mul"),
        (TF, "EagerLocalExecute: OptionalHasValue", None),
        (TF, "IteratorGetNextOp::DoCompute", None),
        (TF, "end: copy.23", None),
    ],
)
def test_names_of_tensorflow(facts, node, expected):
    assert enrich_tensorflow.node_name(node, LayerPaths(facts)) == expected


@pytest.mark.parametrize("module", ["intervals", "name_stacks", "op_names"])
def test_examples_in_the_documentation_hold(module):
    result = doctest.testmod(import_module(f"multiboard.profile.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
