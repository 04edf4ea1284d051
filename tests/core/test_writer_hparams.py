"""Hyper-parameters and groups of scalars stay in the run, and open exactly the sub-runs that are asked for."""

import numpy as np
import pytest

import multiboard as mb


@pytest.fixture
def runs(log_dir):
    """A function that gives the runs of the directory after calls on one writer."""

    def write(*calls, **arguments):
        with mb.SummaryWriter(log_dir, **arguments) as writer:
            for call in calls:
                call(writer)
        return mb.read(log_dir)

    return write


def test_hyper_parameters_and_metrics_are_in_the_run(runs):
    found = runs(lambda w: w.add_hparams({"lr": 0.1, "name": "a", "amp": True}, {"hp/loss": 0.5}))
    assert list(found) == ["."]
    assert found["."].hparams == {"lr": 0.1, "name": "a", "amp": True}
    assert found["."].scalars["hp/loss"].value.tolist() == [0.5]
    assert found["."].status == "success"


def test_the_same_hyper_parameters_again_only_add_metrics(runs):
    def again(writer, step):
        hparams = {"lr": 0.1, "lost": float("nan"), "adam": {"betas": np.array([0.9, 0.99])}}
        writer.add_hparams(hparams, {"hp/loss": 0.5}, global_step=step)

    found = runs(*(lambda w, step=step: again(w, step) for step in range(3)))
    assert found["."].scalars["hp/loss"].step.tolist() == [0, 1, 2]


def test_other_hyper_parameters_need_a_run_of_their_own(log_dir):
    with mb.SummaryWriter(log_dir) as writer:
        writer.add_hparams({"lr": 0.1}, {"hp/loss": 0.5})
        with pytest.raises(mb.ValueKindError, match="run_name="):
            writer.add_hparams({"lr": 0.2}, {"hp/loss": 0.5})


@pytest.mark.parametrize(
    "call",
    [
        lambda w: w.add_hparams({"lr": 0.2}, {"hp/loss": 0.5}, None, "trial", 7),
        lambda w: w.add_hparams({"lr": 0.2}, {"hp/loss": 0.5}, "trial", 7),
        lambda w: w.add_hparams({"lr": 0.2}, {"hp/loss": 0.5}, name="trial", global_step=7),
        lambda w: w.add_hparams({"lr": 0.2}, {"hp/loss": 0.5}, {"lr": [0.1, 0.2]}, run_name="trial", global_step=7),
    ],
    ids=["torch", "tensorboardX", "tensorboardX by keyword", "torch with domains"],
)
def test_a_named_run_takes_its_own(runs, call):
    found = runs(lambda w: w.add_hparams({"lr": 0.1}, {"hp/loss": 0.25}), call)
    assert list(found) == [".", "trial"]
    assert [found[name].hparams["lr"] for name in found] == [0.1, 0.2]
    assert found["trial"].scalars["hp/loss"].step.tolist() == [7]


@pytest.mark.parametrize("name", [".", "absolute"])
def test_a_name_that_leads_to_the_directory_is_the_run_itself(runs, log_dir, name):
    found = runs(lambda w: w.add_hparams({"lr": 0.1}, {}, None, str(log_dir) if name == "absolute" else name))
    assert list(found) == ["."]
    assert len(list(log_dir.iterdir())) == 1


def test_sub_runs_restore_a_run_for_each_call(runs):
    calls = [lambda w, lr=lr: w.add_hparams({"lr": lr}, {"hp/loss": lr * 2}) for lr in (0.1, 0.2, 0.3)]
    found = runs(*calls, sub_runs=True)
    assert sorted(run.hparams["lr"] for name, run in found.items() if name != ".") == [0.1, 0.2, 0.3]


def test_sub_runs_restore_a_run_for_each_series(runs):
    found = runs(*(lambda w, step=step: w.add_scalars("a/b", {"x": 1.0, "y": 2.0}, step, sub_runs=True) for step in range(2)))
    assert list(found) == [".", "a_b_x", "a_b_y"]
    assert found["a_b_y"].scalars["a/b"].step.tolist() == [0, 1]


def test_arrays_of_one_element_are_recorded_as_numbers(runs):
    found = runs(lambda w: w.add_hparams({"lr": np.float32(0.5), "size": np.array([3]), "betas": np.array([0.5, 1.0])}, {}))
    assert found["."].hparams == {"lr": 0.5, "size": 3, "betas": "[0.5, 1.0]"}


def test_a_metric_that_is_a_curve_does_not_take_its_place(log_dir):
    with mb.SummaryWriter(log_dir) as writer:
        for step in range(10):
            writer.add_scalar("loss", 1.0, step)
            writer.add_scalars("acc", {"train": 0.5}, step)
        with pytest.warns(mb.MultiboardWarning, match="'hparam/") as said:
            for value in (0.5, 0.25):
                writer.add_hparams({"lr": 0.1}, {"loss": value, "acc/train": 0.5, "new": 1.0})
        assert len(said) == 2
    found = {tag: column.step.tolist() for tag, column in mb.read(log_dir)["."].scalars.items()}
    curve, twice = list(range(10)), [0, 0]
    assert found == {"loss": curve, "acc/train": curve, "hparam/loss": twice, "hparam/acc/train": twice, "new": twice}


def test_a_curve_of_a_writer_that_was_closed_keeps_its_place(log_dir):
    writer = mb.SummaryWriter(log_dir)
    for step in range(3):
        writer.add_scalar("loss", 1.0, step)
    writer.close()
    with pytest.warns(mb.MultiboardWarning):
        writer.add_hparams({"lr": 0.1}, {"loss": 0.5}, {"lr": [0.1, 0.2]})
        writer.close()
    scalars = mb.read(log_dir)["."].scalars
    assert {tag: column.step.tolist() for tag, column in scalars.items()} == {"loss": [0, 1, 2], "hparam/loss": [0]}
    assert b"hparam/loss" in b"".join(path.read_bytes() for path in log_dir.iterdir()).partition(b"_hparams_/experiment")[2]


def test_curves_of_another_run_are_no_matter(runs):
    found = runs(lambda w: w.add_scalar("loss", 1.0, 5), lambda w: w.add_hparams({"lr": 0.1}, {"loss": 0.5}, run_name="trial"))
    assert found["trial"].scalars["loss"].value.tolist() == [0.5]
