"""Trains a small CNN and a small transformer in Keras, with a profiled window each: <directory of the runs> <ms of sleep>."""

import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

import multiboard.keras as mbk

FIRST, STEPS, TOTAL = 4, 5, 12
BATCH, LENGTH, WORDS, WIDTH = 8, 12, 20, 16
OUT, SLEEP = Path(sys.argv[1]), float(sys.argv[2]) / 1000
BACKEND = keras.backend.backend()


def cnn():
    x = inputs = keras.Input((12, 12, 1))
    x = layers.Conv2D(8, 3, activation="relu", name="conv1")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="conv2")(x)
    x = layers.Dense(32, activation="relu", name="fc1")(layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, layers.Dense(10, name="head")(x))


class Attention(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.q, self.k, self.v, self.out = (layers.Dense(WIDTH, name=name) for name in ("q", "k", "v", "out"))

    def call(self, x):
        scores = ops.matmul(self.q(x), ops.transpose(self.k(x), (0, 2, 1))) / WIDTH**0.5
        return self.out(ops.matmul(ops.softmax(scores), self.v(x)))


class Block(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.ln1, self.attn, self.ln2 = (
            layers.LayerNormalization(name="ln1"),
            Attention(name="attn"),
            layers.LayerNormalization(name="ln2"),
        )
        self.fc, self.proj = layers.Dense(4 * WIDTH, activation="gelu", name="fc"), layers.Dense(WIDTH, name="proj")

    def call(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.proj(self.fc(self.ln2(x)))


class Transformer(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = layers.Embedding(WORDS, WIDTH, name="embed")
        self.block0, self.block1 = Block(name="block0"), Block(name="block1")
        self.head = layers.Dense(WORDS, name="head")

    def call(self, words):
        return self.head(self.block1(self.block0(self.embed(words))))


class Batches(keras.utils.PyDataset):
    def __init__(self, kind):
        super().__init__()
        self._kind, self.waits = kind, []

    def __len__(self):
        return TOTAL

    def __getitem__(self, number):
        begin = time.perf_counter()
        time.sleep(SLEEP)
        random = np.random.default_rng(number)
        words = random.integers(WORDS, size=(BATCH, LENGTH))
        pictures = random.random((BATCH, 12, 12, 1), "float32")
        self.waits.append((time.perf_counter() - begin) * 1000)
        return (pictures, random.integers(10, size=BATCH)) if self._kind == "cnn" else (words, words)


for kind, model in {"cnn": cnn(), "transformer": Transformer()}.items():
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batches, out = Batches(kind), OUT / f"keras_{BACKEND}_{kind}"
    callback = mbk.TensorBoard(out, profile_batch=(FIRST + 1, FIRST + STEPS), write_graph=False)
    model.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=[callback])
    (out / "waits.json").write_text(json.dumps(batches.waits))
