"""How many examples a batch has is told from the batch or stated; what is wrong in a call is said at once."""

import doctest
import importlib

import numpy as np
import pytest
import torch
from transformers import BatchEncoding

import multiboard as mb
from multiboard_torch import memory, meter
from multiboard_torch.loop import loop

x, y = torch.zeros(8, 3), torch.zeros(8)
BATCHES = {
    "tensor": x,
    "array": x.numpy(),
    "pair": [x, y],
    "scalar first": (torch.zeros(()), 0.5, x),
    "two inputs": ((x, x), y),
    "images of different sizes": ([torch.zeros(3, size, size) for size in range(1, 9)], [{}] * 8),
    "texts and labels": (["text"] * 8, y),
    "text first": ("train", ["text"] * 8),
    "dict": {"name": "train", "input_ids": x, "labels": y},
    "dict of lists": {"text": ["a"] * 8},
    "BatchEncoding": BatchEncoding({"input_ids": x, "attention_mask": x}),
    "on a device": (x.to("meta"), y.to("meta")),
    "bfloat16": x.bfloat16(),
    "sparse": x.to_sparse(),
}
UNKNOWN = {"scalar": torch.zeros(()), "number": 7, "None": None, "text": "batch", "empty": [], "scalars": [1, torch.zeros(())]}


def examples_per_step(scalars):
    return scalars["perf/examples_per_s"].value * scalars["perf/step_ms"].value / 1000


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_the_examples_of_a_batch_are_counted(batch, log_dir, written):
    with mb.Run(log_dir) as run:
        list(loop([batch] * 3, run))
    np.testing.assert_allclose(examples_per_step(written().scalars), 8)


@pytest.mark.parametrize("batch", UNKNOWN.values(), ids=UNKNOWN)
def test_a_batch_that_cannot_be_counted_costs_only_the_rate_and_is_said_once(batch, log_dir, written):
    with pytest.warns(mb.MultiboardWarning, match="pass loop.*examples=") as said, mb.Run(log_dir) as run:
        list(loop([batch] * 5, run, every=1))
    assert len(said) == 1
    assert written().scalars["perf/step_ms"].step.tolist() == [1, 2, 3, 4]
    assert "perf/examples_per_s" not in written().scalars


@pytest.mark.parametrize(
    "examples",
    [5, 5.0, lambda batch: len(batch["text"]), lambda _: torch.tensor(5)],
    ids=["number", "float", "function", "tensor"],
)
def test_a_stated_number_of_examples_goes_first(examples, log_dir, written):
    with mb.Run(log_dir) as run:
        list(loop([{"x": torch.zeros(3), "text": "abcde"}] * 3, run, examples=examples))
    np.testing.assert_allclose(examples_per_step(written().scalars), 5)


def test_a_count_that_raises_does_not_end_the_loop(log_dir, written):
    with pytest.warns(mb.MultiboardWarning, match="raised KeyError: 'x'") as said, mb.Run(log_dir) as run:
        assert len(list(loop([{}] * 3, run, examples=lambda batch: len(batch["x"])))) == 3
    assert len(said) == 1
    assert written().scalars["perf/step_ms"].step.tolist() == [2]


WRONG = {
    "loader": (7, "a data loader"),
    "run": ("runs/first", "multiboard.Run"),
    "every": (0, "at least 1"),
    "start_step": (-1, "at least 0"),
    "watching": (torch.nn.Linear(1, 1), "mbt.watch"),
    "examples": ("eight", "a function of the batch"),
    "memory": (1, "True or False"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named_with_its_remedy(name, log_dir):
    value, remedy = WRONG[name]
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError, match=remedy) as raised:
        loop(**{"loader": [], "run": run, name: value})
    assert raised.value.name == name


@pytest.mark.parametrize("examples", [0, -1, True])
def test_a_number_of_examples_must_be_positive(examples, log_dir):
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError):
        loop([], run, examples=examples)


@pytest.mark.parametrize("module", [loop.__module__, memory.__name__, meter.__name__])
def test_the_examples_in_docstrings_are_true(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.failed == 0
    assert result.attempted
