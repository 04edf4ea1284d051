"""Deterministic algorithms may be required, and stay required."""

import pytest
import torch

import multiboard as mb
import multiboard.torch as mbt
from multiboard_torch.statistics import measure


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(mode=True)
    yield
    torch.use_deterministic_algorithms(mode=False)


@pytest.mark.usefixtures("deterministic")
def test_captures_work_and_the_setting_stays(network, train, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=1, activations="norm"):
        train(model, optimizer, 2)
    assert written().histograms["activations/norm"].step.tolist() == [0, 1]
    assert torch.are_deterministic_algorithms_enabled()


def test_counting_leaves_the_setting_as_it_was_also_if_it_only_warns(kernel):
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    try:
        assert measure([torch.ones(3)], kernel).counts.sum() == 3
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(mode=False)
