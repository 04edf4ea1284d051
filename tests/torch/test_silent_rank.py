"""A rank that writes nothing is watched like the others: no error, no file, and the same training."""

import pytest
import torch

import multiboard as mb
import multiboard.torch as mbt


@pytest.fixture
def second_rank(monkeypatch):
    """Be rank 1 by the variables of torchrun, while no process group was made."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")


@pytest.mark.usefixtures("second_rank")
def test_everything_that_can_be_watched_goes_nowhere(network, train, log_dir):
    plain, watched, reports = network(), network(), []
    train(plain, torch.optim.Adam(plain.parameters()), 5)
    optimizer = torch.optim.Adam(watched.parameters())
    with mb.Run(log_dir, config={"lr": 0.1}, on_error=lambda *report: reports.append(report)) as run:
        everything = ("params", "grads", "updates", "optimizer_state", "buffers")
        with mbt.watch(watched, optimizer, run, every=2, log=everything, activations="*", exact=True, overhead=0.9):
            train(watched, optimizer, 5)
        run.embedding("words", watched.words.weight, step=4)
        run.child("part").histogram("h", watched.dense.weight, 4)
        assert run.flush()
        assert (run.writes, run.last_step) == (False, 4)
    assert not reports
    assert not log_dir.exists()
    for ours, theirs in zip(watched.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)
