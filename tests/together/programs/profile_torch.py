"""Trains a small CNN and a small transformer in PyTorch, with a profiled window each: <directory of the runs> <ms of sleep>."""

import json
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import multiboard as mb
import multiboard.torch as mbt

FIRST, STEPS, TOTAL = 4, 5, 12
BATCH, LENGTH, WORDS, WIDTH = 8, 12, 20, 16
OUT, SLEEP = Path(sys.argv[1]), float(sys.argv[2]) / 1000


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3)
        self.fc1, self.head = nn.Linear(8 * 8 * 8, 32), nn.Linear(32, 10)

    def forward(self, x):
        x = functional.relu(self.conv2(functional.relu(self.conv1(x))))
        return self.head(functional.relu(self.fc1(torch.flatten(x, 1))))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x):
        weights = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2) / WIDTH**0.5, -1)
        return self.out(weights @ self.v(x))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.attn, self.ln2 = nn.LayerNorm(WIDTH), Attention(), nn.LayerNorm(WIDTH)
        self.fc, self.proj = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.proj(functional.gelu(self.fc(self.ln2(x))))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.block0, self.block1 = nn.Embedding(WORDS, WIDTH), Block(), Block()
        self.head = nn.Linear(WIDTH, WORDS)

    def forward(self, words):
        return self.head(self.block1(self.block0(self.embed(words))))


def pictures():
    return torch.rand(BATCH, 1, 12, 12), torch.randint(10, (BATCH,))


def sentences():
    words = torch.randint(WORDS, (BATCH, LENGTH))
    return words, words


def slowly(make, waits):
    """Yield batches, each after a sleep, and note how many ms each has taken."""
    for _ in range(TOTAL):
        begin = time.perf_counter()
        time.sleep(SLEEP)
        batch = make()
        waits.append((time.perf_counter() - begin) * 1000)
        yield batch


def train(model, make, name):
    waits = []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with mb.Run(OUT / name) as run:
        profiler = mb.Profiler(run, start=FIRST, steps=STEPS)
        watching = mbt.watch(model, optimizer, run, every=100, profiler=profiler)
        for x, y in mbt.loop(slowly(make, waits), run, watching=watching):
            loss = functional.cross_entropy(model(x).flatten(0, -2), y.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    (OUT / name / "waits.json").write_text(json.dumps(waits))


torch.manual_seed(0)
train(CNN(), pictures, "torch_cnn")
train(Transformer(), sentences, "torch_transformer")
