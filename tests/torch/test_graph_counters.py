"""Counters of PyTorch's norms are no state that other frameworks would have."""

import torch

import multiboard.torch as mbt
from multiboard.graph import summarize


def test_the_counter_of_a_batch_norm_is_none_of_its_buffers():
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
    rows = {row.cls: row for row in summarize(mbt.graph(model, example=torch.zeros(2, 1, 5, 5)).graph).rows}
    assert (rows["BatchNorm2d"].params, rows["BatchNorm2d"].buffers) == (8, 8)
    assert rows["Sequential"].buffers == 8


def test_a_single_number_that_is_no_counter_is_one():
    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("factor", torch.tensor(2.0))

        def forward(self, x):
            return x * self.factor

    rows = summarize(mbt.graph(torch.nn.Sequential(Scaled()), example=torch.zeros(2)).graph).rows
    assert [row.buffers for row in rows if row.cls == "Scaled"] == [1]
