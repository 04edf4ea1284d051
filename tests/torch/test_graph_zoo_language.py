"""Networks of attention and recurrence are recorded whole, and change nothing by it."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


@dataclasses.dataclass
class Output:
    logits: torch.Tensor
    hidden: list
    cache: None = None


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x, mask):
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.mlp = (
            nn.LayerNorm(width),
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)),
        )

    def forward(self, x, mask):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Word numbers and a mask to logits, with the embedding tied to the head; the mask of the future is a buffer."""

    def __init__(self, returns):
        super().__init__()
        self.embed, self.positions = nn.Embedding(31, 16), nn.Parameter(torch.randn(8, 16))
        self.blocks = nn.ModuleList(Block(16, 4) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 31, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("future", torch.ones(8, 8, dtype=torch.bool).tril(), persistent=False)
        self.returns = returns

    def forward(self, tokens, mask=None, *, scale=None):
        x = self.embed(tokens) + self.positions[: tokens.shape[1]]
        allowed = self.future if mask is None else self.future & mask[:, None, None]
        hidden = []
        for block in self.blocks:
            x = block(x, allowed)
            hidden.append(x)
        logits = self.head(self.norm(x))
        return self.returns(logits if scale is None else logits * scale, hidden)


class FromDict(nn.Module):
    """A batch as a dict, to a dict with None."""

    def __init__(self):
        super().__init__()
        self.model = Transformer(lambda logits, hidden: {"logits": logits, "past": None, "hidden": tuple(hidden)})

    def forward(self, batch):
        return self.model(batch["tokens"], batch["mask"])


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.lstm = (
            nn.Embedding(31, 6),
            nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True, dropout=0.1),
        )

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.words(tokens), lengths, batch_first=True, enforce_sorted=False)
        out, (hidden, _) = self.lstm(packed)
        return pad_packed_sequence(out, batch_first=True)[0], hidden


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.last = nn.GRUCell(4, 5), nn.LSTMCell(5, 3)

    def forward(self, x):
        state, memory = None, None
        for step in x.unbind(1):
            state = self.cell(step, state)
            memory = self.last(state, memory)
        return memory


class Experts(nn.Module):
    """Each word goes to the expert that scores highest; an expert without words does not run."""

    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(16, 4), nn.ModuleList(nn.Linear(16, 16) for _ in range(4))

    def forward(self, x):
        scores = self.gate(x).softmax(-1)
        weight, chosen = scores.max(-1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            (where,) = torch.where(chosen == number)
            if len(where):
                out.index_add_(0, where, expert(x[where]) * weight[where, None])
        return out


class Bags(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag, self.dense = nn.EmbeddingBag(31, 6, mode="mean"), nn.Bilinear(6, 6, 2)

    def forward(self, words, offsets):
        found = self.bag(words, offsets)
        return self.dense(found, found)


def encoder():
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def of_config(name, **config):
    """Return a model of the transformers package as small as its config says; nothing is downloaded."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    return getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**config))


torch.manual_seed(0)
TOKENS = torch.randint(0, 31, (2, 8))
MASK = torch.tensor([[True] * 8, [True] * 5 + [False] * 3])
WIDE = torch.randn(2, 8, 16)
MODELS = {
    "transformer": (lambda: Transformer(lambda logits, _: logits), (TOKENS,), {}),
    "mask, data class": (lambda: Transformer(Output), (TOKENS,), {"mask": MASK, "scale": torch.tensor(2.0)}),
    "dict to dict with None": (FromDict, ({"tokens": TOKENS, "mask": MASK},), {}),
    "encoder": (encoder, (WIDE,), {"src_key_padding_mask": ~MASK}),
    "encoder and decoder": (lambda: nn.Transformer(16, 4, 1, 1, 32, batch_first=True), (WIDE, WIDE[:, :5]), {}),
    "multi-head attention": (lambda: nn.MultiheadAttention(16, 4, batch_first=True), (WIDE, WIDE, WIDE), {"need_weights": False}),
    "LSTM": (lambda: nn.LSTM(16, 5, batch_first=True), (WIDE,), {}),
    "GRU": (lambda: nn.GRU(16, 5, num_layers=2), (WIDE,), {}),
    "packed LSTM": (Packed, (TOKENS, torch.tensor([8, 5])), {}),
    "cells": (Cells, (torch.randn(2, 3, 4),), {}),
    "experts": (Experts, (WIDE.flatten(0, 1),), {}),
    "bag of words": (Bags, (TOKENS.flatten(), torch.tensor([0, 5, 9])), {}),
    "BERT of transformers": (
        lambda: of_config(
            "Bert", vocab_size=31, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32
        ),
        (),
        {"input_ids": TOKENS, "attention_mask": MASK.long()},
    ),
    "GPT-2 of transformers": (
        lambda: of_config("GPT2", vocab_size=31, n_positions=8, n_embd=16, n_layer=2, n_head=4),
        (TOKENS,),
        {},
    ),
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", MODELS)
def test_a_network_of_attention_or_recurrence_is_recorded_whole(name, training, observe):
    make, args, kwargs = MODELS[name]
    with torch.set_grad_enabled(training):
        observe(lambda: make().train(training), *args, **kwargs)
