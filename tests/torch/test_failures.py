"""What goes wrong in a capture never reaches the training loop; it is counted and said once."""

import threading
import warnings

import pytest
import torch
from torch import nn

import multiboard as mb
import multiboard.torch as mbt


class Blocking:
    """A value whose fetch keeps the writer thread busy until the test lets it go."""

    def __init__(self):
        self.started, self.release = threading.Event(), threading.Event()

    def fetch(self):
        self.started.set()
        self.release.wait(30)
        return 0.0


def test_a_parameter_that_cannot_be_counted_costs_only_itself(network, train, log_dir, written):
    model = network()
    model.ghost = nn.Linear(2, 2, device="meta")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    causes = []
    with mb.Run(log_dir, on_error=lambda cause, message: causes.append((cause, message))) as run:
        mbt.watch(model, optimizer, run, every=1)
        with pytest.warns(mb.MultiboardWarning, match="params/ghost/kernel was left out at step 0: .* meta device"):
            train(model, optimizer, 3)
        with pytest.warns(mb.MultiboardWarning, match=r"capture TypeError \(6\)"):
            run.close()
    assert {cause for cause, _ in causes} == {"capture TypeError", "summary"}
    histograms = written().histograms
    errors = written().scalars["multiboard/errors"]
    assert (errors.step[-1], errors.value[-1]) == (2, 6)
    assert histograms["params/dense/kernel"].step.tolist() == [0, 1, 2]
    assert "params/ghost/kernel" not in histograms


@pytest.mark.parametrize("steps_before", [0, 3])
def test_closing_the_run_before_the_end_does_not_stop_the_training(steps_before, network, train, log_dir):
    plain, model = network(), network()
    train(plain, torch.optim.SGD(plain.parameters(), lr=0.1), steps_before)
    expected = train(plain, torch.optim.SGD(plain.parameters(), lr=0.1), 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run = mb.Run(log_dir)
    mbt.watch(model, optimizer, run, every=1)
    train(model, optimizer, steps_before)
    run.close()
    with pytest.warns(mb.MultiboardWarning, match="is closed") as said:
        assert train(model, optimizer, 4) == expected
    assert len(said) == 1


def test_a_filter_that_turns_warnings_into_errors_does_not_stop_the_training(network, train, log_dir, caplog):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run:
        mbt.watch(model, optimizer, run, every=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(train(model, optimizer, 3)) == 3
    assert "is closed" in caplog.text


def test_a_tag_of_another_kind_does_not_stop_the_training(network, train, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with mb.Run(log_dir) as run:
        run.scalar("params/dense/kernel", 1.0, 0)
        mbt.watch(model, optimizer, run, every=1)
        with pytest.warns(mb.MultiboardWarning, match="params/dense/kernel") as said:
            train(model, optimizer, 3)
        assert len(said) == 1
        with pytest.warns(mb.MultiboardWarning, match="counted while it ran"):
            run.close()
    assert written().scalars["params/dense/kernel"].value.tolist() == [1.0]


def test_snapshots_beyond_the_limit_are_left_out_and_counted(network, train, log_dir, written, monkeypatch):
    monkeypatch.setattr("multiboard_torch.batch.HELD_BYTES", 1500)  # one snapshot of the network has 840 bytes
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    blocking = Blocking()
    with mb.Run(log_dir) as run:
        mbt.watch(model, optimizer, run, every=1)
        run.log({"train/slow": blocking}, 0)
        assert blocking.started.wait(30)
        with pytest.warns(mb.MultiboardWarning, match="wait for the writer thread"):
            train(model, optimizer, 5)
        blocking.release.set()
        run.flush()
        train(model, optimizer, 1)
        with pytest.warns(mb.MultiboardWarning, match="BacklogError"):
            run.close()
    steps = written().histograms["params/dense/kernel"].step.tolist()
    assert steps[0] == 0
    assert steps[-1] == 5
    assert len(steps) < 6
