"""Operations of a profile stand under the layer paths that the tags have, on every backend."""

import re

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk

BACKEND = keras.backend.backend()
PRODUCT = {"torch": r"addmm|mm|matmul|einsum|bmm", "jax": r"dot_general|dot", "tensorflow": r".*MatMul|.*Einsum"}[BACKEND]
CONVOLUTION = {"torch": "conv2d", "jax": "conv_general_dilated", "tensorflow": r".*Conv2D"}[BACKEND]
STEPS = 4


class Block(keras.layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.attn = keras.layers.MultiHeadAttention(2, 4, name="attn")
        self.norm = keras.layers.LayerNormalization(name="norm")
        self.dense = keras.layers.Dense(8)

    def call(self, x):
        x = self.norm(x + self.attn(x, x))
        return x + self.dense(x)


class Transformer(keras.Model):
    def __init__(self):
        super().__init__(name="transformer")
        self.words = keras.layers.Embedding(20, 8, name="words")
        self.blocks = [Block(name=f"block_{i}") for i in range(2)]
        self.head = keras.layers.Dense(20, name="head")

    def call(self, x):
        x = self.words(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def make_cnn():
    layers = keras.layers
    inputs = keras.Input((8, 8, 1))
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, name="conv")(inputs)))
    shared = layers.Dense(8)
    x = shared(shared(layers.Dense(8)(layers.Flatten()(x))))
    return keras.Model(inputs, layers.Dense(20, name="logits")(x))


@pytest.fixture
def traced(tmp_path, profiled):
    """Train a model; return the layers that have parameters, and how often which operation was called, by layer and type."""

    def run(model, inputs):
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        targets = np.zeros((48, *inputs.shape[1:]) if inputs.ndim == 2 else 48, "int32")
        board = mbk.TensorBoard(tmp_path, every=100, log=["params"], profile_batch=(4, 3 + STEPS), write_graph=False)
        model.fit(inputs, targets, batch_size=6, verbose=0, callbacks=[board])
        tags = mb.read(tmp_path)["."].histograms
        operations = {}
        for name, count in profiled(tmp_path).operations.items():
            path, _, kind = name.rpartition(":")
            layer = path.rpartition("/")[0]
            operations[layer, kind] = operations.get((layer, kind), 0) + count
        return {tag.removeprefix("params/").rpartition("/")[0] for tag in tags}, operations

    return run


def calls(operations, layer, kinds):
    return sum(count for (where, kind), count in operations.items() if where == layer and re.fullmatch(kinds, kind))


def test_the_layers_of_a_functional_cnn_are_those_of_its_tags(traced):
    keras.utils.set_random_seed(0)
    tagged, operations = traced(make_cnn(), np.ones((48, 8, 8, 1), "float32"))
    assert {"conv", "norm", "logits"} < tagged
    assert len(tagged) == 5  # and two of the class Dense
    found = {layer for layer, _ in operations}
    assert tagged <= found
    assert {f"backward/{layer}" for layer in tagged} <= found
    assert "optimizer" in found
    assert calls(operations, "conv", CONVOLUTION) == STEPS


def test_the_layers_of_a_subclassed_transformer_are_those_of_its_tags(traced):
    keras.utils.set_random_seed(0)
    tagged, operations = traced(Transformer(), np.ones((48, 5), "int32"))
    inside = {f"block_{i}/attn/{part}" for i in range(2) for part in ("query", "key", "value", "attention_output")}
    assert inside < tagged
    found = {layer for layer, _ in operations}
    assert tagged <= found
    computed = tagged - {"words"} if BACKEND == "tensorflow" else tagged  # whose gradient of an embedding is the rows as they are
    assert {f"backward/{layer}" for layer in computed} <= found
    assert calls(operations, "head", PRODUCT) >= STEPS
