"""Models of every kind have a complete graph, and the same layers on JAX, PyTorch and TensorFlow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import pytest
from keras import layers, ops

import multiboard.keras as mbk
from multiboard.graph import layers as layer_rows
from multiboard.graph import view
from multiboard.graph.ir import BUFFER, ENDS, PARAMETER, layer_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.graph import Graph


class Case(NamedTuple):
    """A model and its layers.

    Attributes:
        model: makes it; layers have names.
        shapes: of what it is called with, in its structure.
        rows: of each layer or function outside of layers: operation, path, shape, parameters and FLOPs.
    """

    model: Callable[[], keras.Model]
    shapes: Any
    rows: str


def perceptron() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), layers.Dense(5, "relu", name="first"), layers.Dense(3, name="last")])


def cnn() -> keras.Model:
    stages = [
        layers.Conv2D(4, 3, name="conv1"), layers.BatchNormalization(name="norm"), layers.ReLU(name="relu"),
        layers.MaxPooling2D(name="pool"), layers.Dropout(0.5, name="drop"), layers.Flatten(name="flat"),
        layers.Dense(10, name="logits"),
    ]  # fmt: skip
    return keras.Sequential([keras.Input((8, 8, 3)), *stages])


def residual() -> keras.Model:
    image = keras.Input((8, 8, 3))
    first = layers.Conv2D(4, 3, padding="same", name="stem")(image)
    second = layers.Activation("gelu", name="act")(layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv")(first))
    added = layers.Add(name="sum")([first, second]) + first * 0.5
    return keras.Model(image, layers.Dense(2, name="head")(layers.GlobalAveragePooling2D(name="gap")(added)))


def convolutions() -> keras.Model:
    image = keras.Input((8, 8, 2))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(image)
    x = layers.SeparableConv2D(6, 3, name="separable")(x)
    x = layers.Conv2D(6, 1, groups=2, name="grouped")(x)
    x = layers.Conv2DTranspose(3, 3, strides=2, name="transposed")(x)
    x = layers.Reshape((81, 3), name="flat")(x)
    return keras.Model(image, layers.Conv1D(2, 3, strides=2, name="conv1d")(x))


class Block(layers.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.norm, self.fc = layers.LayerNormalization(name="norm"), layers.Dense(4, name="fc")

    def call(self, x: Any) -> Any:
        return x + ops.gelu(self.fc(self.norm(x)))


class Blocks(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = [Block(name=f"block{i}") for i in range(2)]
        self.shared = layers.Dense(4, name="shared")

    def call(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        x = self.shared(ops.tanh(self.shared(x)))
        return {"mean": ops.mean(x, axis=-1), "parts": [x, ops.softmax(x)], "none": None}


def two_by_two() -> keras.Model:
    inputs = {name: keras.Input((4,), name=name) for name in ("near", "far")}
    both = layers.Concatenate(name="both")(list(inputs.values()))
    return keras.Model(inputs, {name: layers.Dense(3, name=name)(both) for name in ("left", "right")})


def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, "relu", name="fc")], name="inner")
    encoder = keras.Model(entry := keras.Input((4,)), layers.LayerNormalization(name="norm")(inner(entry)), name="encoder")
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(3, name="head")(encoder(encoder(inputs))))


def words() -> keras.Model:
    parts = [layers.Embedding(7, 4, mask_zero=True, name="embed"), layers.LSTM(5, name="lstm"), layers.Dense(3, name="head")]
    return keras.Sequential([keras.Input((6,), dtype="int32"), *parts])


def both_ways() -> keras.Model:
    stages = [
        layers.Bidirectional(layers.GRU(3, return_sequences=True), name="ways"), layers.SimpleRNN(2, unroll=True, name="simple")
    ]  # fmt: skip
    return keras.Sequential([keras.Input((5, 4)), *stages])


def stacked_cells() -> keras.Model:
    cells = [layers.LSTMCell(3, name="low"), layers.GRUCell(2, name="high")]
    return keras.Sequential([keras.Input((5, 4)), layers.RNN(cells, name="rnn")])


def each_step() -> keras.Model:
    return keras.Sequential([keras.Input((5, 4)), layers.TimeDistributed(layers.Dense(3, name="fc"), name="steps")])


def attention() -> keras.Model:
    inputs = keras.Input((6, 4))
    mixed = layers.MultiHeadAttention(2, 3, dropout=0.1, name="mix")(inputs, inputs, use_causal_mask=True)
    mixed = layers.LayerNormalization(name="norm")(mixed + inputs)
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.Dropout(0.5, seed=1, name="drop")(mixed)))


def half_precision() -> keras.Model:
    inputs = keras.Input((4,))
    hidden = layers.Dense(5, "relu", name="first", dtype="mixed_bfloat16")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="last", dtype="float32")(hidden))


class OwnStep(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.fc = layers.Dense(3, name="fc")

    def call(self, x: Any, training: bool = False) -> Any:
        return self.fc(x) if training else self.fc(x) * 2.0

    def train_step(self, *args: Any) -> Any:
        return super().train_step(*args)


class Tied(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.fc = layers.Embedding(7, 4, name="embed"), layers.Dense(4, "tanh", name="fc")

    def call(self, tokens: Any) -> Any:
        return ops.matmul(self.fc(self.embed(tokens)), ops.transpose(self.embed.embeddings))


class Sampling(layers.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seeds = keras.random.SeedGenerator(3)

    def call(self, mean: Any, log_var: Any) -> Any:
        return mean + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mean), seed=self.seeds)


def variational() -> keras.Model:
    inputs = keras.Input((6,))
    mean, log_var = layers.Dense(2, name="mean")(inputs), layers.Dense(2, name="log_var")(inputs)
    return keras.Model(inputs, layers.Dense(6, name="decode")(Sampling(name="sample")(mean, log_var)))


class Frozen(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.base, self.head = layers.Dense(5, name="base", trainable=False), layers.Dense(3, name="head")
        self.left = layers.Dense(2, name="left")
        self.own = self.add_weight(shape=(4,), name="own")

    def build(self, shape: Any) -> None:
        self.left.build(shape)
        super().build(shape)

    def call(self, x: Any) -> Any:
        return self.head(self.base(x * self.own))


def normalised() -> keras.Model:
    inputs = keras.Input((6, 4))
    x = layers.GroupNormalization(2, name="groups")(layers.Rescaling(0.5, name="rescale")(inputs))
    x = layers.EinsumDense("abc,cd->abd", output_shape=(None, 3), bias_axes="d", name="einsum")(x)
    x = layers.UnitNormalization(name="unit")(layers.PReLU(shared_axes=[1], name="prelu")(x))
    return keras.Model(inputs, layers.Lambda(lambda x: ops.relu(2 * x), name="lambda")(x))


def experts() -> keras.Model:
    inputs = keras.Input((4,))
    shares = layers.Dense(2, "softmax", name="router")(inputs)
    found = ops.stack([layers.Dense(3, "silu", name=f"expert{i}")(inputs) for i in range(2)], axis=1)
    return keras.Model(inputs, ops.einsum("be,bec->bc", shares, found))


CASES = {
    "perceptron": Case(perceptron, (2, 4), """
        Dense first 2x5 25 80
        Dense last 2x3 18 60
    """),
    "cnn": Case(cnn, (2, 8, 8, 3), """
        Conv2D conv1 2x6x6x4 112 15552
        BatchNorm norm 2x6x6x4 8 0
        relu relu 2x6x6x4 0 0
        max_pool pool 2x3x3x4 0 0
        Dropout drop 2x3x3x4 0 0
        reshape flat 2x36 0 0
        Dense logits 2x10 370 1440
    """),
    "residual": Case(residual, (2, 8, 8, 3), """
        Conv2D stem 2x8x8x4 112 27648
        Conv2D conv 2x8x8x4 144 36864
        gelu act 2x8x8x4 0 0
        add sum 2x8x8x4 0 0
        mul mul 2x8x8x4 0 0
        add add 2x8x8x4 0 0
        GlobalAveragePooling2D gap 2x4 0 0
        Dense head 2x2 10 32
    """),
    "convolutions": Case(convolutions, (2, 8, 8, 2), """
        DepthwiseConv2D depthwise 2x6x6x4 40 5184
        SeparableConv2D separable 2x4x4x6 66 3840
        Conv2D grouped 2x4x4x6 24 1152
        ConvTranspose2D transposed 2x9x9x3 165 10368
        reshape flat 2x81x3 0 0
        Conv1D conv1d 2x40x2 20 2880
    """),
    "blocks": Case(Blocks, (2, 4), """
        LayerNorm block0/norm 2x4 8 0
        Dense block0/fc 2x4 20 64
        gelu block0/gelu 2x4 0 0
        add block0/add 2x4 0 0
        LayerNorm block1/norm 2x4 8 0
        Dense block1/fc 2x4 20 64
        gelu block1/gelu 2x4 0 0
        add block1/add 2x4 0 0
        Dense shared 2x4 20 64
        tanh tanh 2x4 0 0
        Dense shared 2x4 0 64
        mean mean 2 0 0
        softmax softmax 2x4 0 0
    """),
    "two inputs and outputs": Case(two_by_two, {"near": (2, 4), "far": (2, 4)}, """
        concatenate both 2x8 0 0
        Dense right 2x3 27 96
        Dense left 2x3 27 96
    """),
    "nested": Case(nested, (2, 4), """
        Dense encoder/inner/fc 2x4 20 64
        LayerNorm encoder/norm 2x4 8 0
        Dense encoder/inner/fc 2x4 0 64
        LayerNorm encoder/norm 2x4 0 0
        Dense head 2x3 15 48
    """),
    "words": Case(words, (2, 6), """
        Embedding embed 2x6x4 28 0
        ne ne 2x6 0 0
        LSTM lstm 2x5 200 4320
        Dense head 2x3 18 60
    """),
    "both ways": Case(both_ways, (2, 5, 4), """
        Bidirectional ways 2x5x6 162 2520
        RNN simple 2x2 18 320
    """),
    "stacked cells": Case(stacked_cells, (2, 5, 4), """
        RNN rnn 2x2 138 2736
    """),
    "each step": Case(each_step, (2, 5, 4), """
        TimeDistributed steps 2x5x3 15 240
    """),
    "attention": Case(attention, (2, 6, 4), """
        Attention mix 2x6x4 118 4032
        add add 2x6x4 0 0
        LayerNorm norm 2x6x4 8 0
        Dropout drop 2x6x4 0 0
        Dense head 2x6x3 15 288
    """),
    "half precision": Case(half_precision, (2, 4), """
        Dense first 2x5 25 80
        Dense last 2x3 18 60
    """),
    "own step": Case(OwnStep, (2, 4), """
        Dense fc 2x3 15 48
    """),
    "tied": Case(Tied, (2, 6), """
        Embedding embed 2x6x4 28 0
        Dense fc 2x6x4 20 384
        transpose transpose 4x7 0 0
        matmul matmul 2x6x7 0 672
    """),
    "variational": Case(variational, (2, 6), """
        Dense mean 2x2 14 48
        Dense log_var 2x2 14 48
        Sampling sample 2x2 0 0
        Dense decode 2x6 18 48
    """),
    "frozen": Case(Frozen, (2, 4), """
        mul mul 2x4 0 0
        Dense base 2x5 0 80
        Dense head 2x3 18 60
        Dense left 2 10 0
    """),
    "normalised": Case(normalised, (2, 6, 4), """
        Rescaling rescale 2x6x4 0 0
        GroupNorm groups 2x6x4 8 0
        Dense einsum 2x6x3 15 288
        PReLU prelu 2x6x3 3 0
        UnitNormalization unit 2x6x3 0 0
        Lambda lambda 2x6x3 0 0
    """),
    "experts": Case(experts, (2, 4), """
        Dense expert0 2x3 15 48
        Dense expert1 2x3 15 48
        Dense router 2x2 10 32
        stack stack 2x2x3 0 0
        einsum einsum 2x3 0 24
    """),
}  # fmt: skip


def example(shapes: Any, dtype: str) -> Any:
    if isinstance(shapes, dict):
        return {name: example(shape, dtype) for name, shape in shapes.items()}
    return np.zeros(shapes, dtype)


class Found(NamedTuple):
    case: Case
    model: keras.Model
    graph: Graph


@pytest.fixture(scope="module", params=CASES)
def found(request: pytest.FixtureRequest) -> Found:
    """A case, its model and its graph as in training."""
    case = CASES[request.param]
    model = case.model()
    dtype = "int32" if request.param in {"words", "tied"} else "float32"
    return Found(case, model, mbk.graph(model, example=example(case.shapes, dtype), training=True))


def test_layers_shapes_parameters_and_flops_are_those_of_every_backend(found):
    flops = [node.flops for node in view(found.graph, "layer").nodes if node.op not in ENDS]
    lines = [
        f"{row.op} {row.path} {'x'.join(map(str, row.shape))} {row.params} {count}"
        for row, count in zip(layer_rows(found.graph), flops, strict=True)
        if row.op != "cast"  # of mixed precision, in old versions of Keras
    ]
    assert lines == [line.strip() for line in found.case.rows.strip().splitlines()]


def test_nothing_fails(found):
    noted = [note for note in found.graph.notes if "that nothing in the model has used: left/kernel, left/bias." not in note]
    assert noted == []
    assert len(found.graph.notes) == isinstance(found.model, Frozen)


def test_every_input_is_an_output_of_a_node_before_it(found):
    for name in ("layer", "api", "op"):
        nodes = view(found.graph, name).nodes
        for node in nodes:
            for number, slot in node.inputs:
                assert slot < len(nodes[number].outputs), node


def test_parameters_are_those_of_the_model(found):
    nodes, model = found.graph.nodes, found.model
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_weights)
    buffers = {node.attrs["path"]: math.prod(node.outputs[0].shape) for node in nodes if node.op == BUFFER}
    assert sum(node.params for node in nodes) == trainable
    assert trainable + sum(buffers.values()) == model.count_params()


def test_parameters_are_used_in_their_own_layer(found):
    for node in found.graph.nodes:
        if node.op in {PARAMETER, BUFFER} and "tied_to" not in node.attrs and not isinstance(found.model, Tied):
            layer = node.attrs["path"].rpartition("/")[0]
            assert f"{layer}/".startswith(f"{layer_path(node.scope)}/".lstrip("/")), node
