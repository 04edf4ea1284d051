"""Hyper-parameters, groups of scalars and second kinds of a tag in captured writers: all is written, and no run comes unnamed."""

from __future__ import annotations

import numpy as np
import pytest

import multiboard as mb


@pytest.fixture
def log_dir(tmp_path):
    return tmp_path / "run"


def test_hyper_parameters_and_groups_of_scalars_stay_in_the_run(captured, log_dir):
    writer_class, _ = captured
    with writer_class(str(log_dir)) as writer:
        writer.add_scalars("loss", {"a": 1.0, "b": 2.0}, 0)
        writer.add_hparams({"lr": 0.1}, {"hp": 1.0})
    runs = mb.read(log_dir)
    assert list(runs) == ["."]
    assert runs["."].hparams == {"lr": 0.1}
    assert list(runs["."].scalars) == ["loss/a", "loss/b", "hp"]


def test_further_sets_of_hyper_parameters_get_runs_of_their_own(captured, log_dir):
    writer_class, _ = captured
    with writer_class(str(log_dir)) as writer:
        for lr in (0.1, 0.2, 0.3):
            writer.add_hparams({"lr": lr}, {"hp": lr})
    assert sorted(run.hparams["lr"] for run in mb.read(log_dir).values()) == [0.1, 0.2, 0.3]


def test_a_metric_of_hyper_parameters_does_not_take_the_place_of_a_curve(captured, log_dir):
    writer_class, _ = captured
    with writer_class(str(log_dir)) as writer:
        for step in range(10):
            writer.add_scalar("loss", 1.0, step)
            writer.add_scalars("acc", {"train": 1.0}, step)
        with pytest.warns(mb.MultiboardWarning, match="is written as 'hparam/"):
            writer.add_hparams({"lr": 0.1}, {"loss": 0.5, "acc/train": 0.5, "other": 1.0})
    run = mb.read(log_dir)["."]
    lengths = {"loss": 10, "acc/train": 10, "hparam/loss": 1, "hparam/acc/train": 1, "other": 1}
    assert {tag: len(column) for tag, column in run.scalars.items()} == lengths


def test_a_named_set_of_hyper_parameters_is_a_run_of_that_name(captured, log_dir):
    writer_class, _ = captured
    with writer_class(str(log_dir)) as writer:
        named = {"name": "first"} if writer_class.__module__.startswith("tensorboardX") else {"run_name": "first"}
        writer.add_hparams({"lr": 0.1}, {"hp": 1.0}, **named)
        writer.add_hparams({"lr": 0.2}, {"hp": 2.0})
    assert {name: run.hparams for name, run in mb.read(log_dir).items()} == {".": {"lr": 0.2}, "first": {"lr": 0.1}}


def test_sub_runs_are_opened_if_they_are_asked_for(package, log_dir):
    capture, writer_class, _ = package
    with capture(sub_runs=True), writer_class(str(log_dir)) as writer:
        writer.add_scalars("loss", {"a": 1.0, "b": 2.0}, 0)
    assert sorted(mb.read(log_dir)) == [".", "loss_a", "loss_b"]


def test_two_kinds_of_one_tag_are_both_written(captured, log_dir):
    writer_class, _ = captured
    with pytest.warns(mb.MultiboardWarning) as said, writer_class(str(log_dir)) as writer:
        for step in range(3):
            writer.add_scalar("x", 1.0, step)
            writer.add_histogram("x", np.arange(3.0), step)
            writer.add_text(tag="x", text_string="t", global_step=step)
    assert ["tag 'x' is a scalar" in str(warning.message) for warning in said] == [True, True, False]
    run = mb.read(log_dir)["."]
    assert (len(run.scalars["x"]), len(run.histograms["x/histogram"]), len(run.texts["x/text"])) == (3, 3, 3)


def test_a_series_that_has_the_tag_of_another_kind_is_written_too(captured, log_dir):
    writer_class, _ = captured
    with pytest.warns(mb.MultiboardWarning), writer_class(str(log_dir)) as writer:
        for step in range(3):
            writer.add_histogram("w/first", np.arange(3.0), step)
            writer.add_scalars("w", {"first": 1.0, "second": 2.0}, step)
            writer.add_histogram("w/second", np.arange(3.0), step)
    run = mb.read(log_dir)["."]
    assert {tag: len(column) for tag, column in run.scalars.items()} == {"w/first/scalar": 3, "w/second": 3}
    assert {tag: len(column) for tag, column in run.histograms.items()} == {"w/first": 3, "w/second/histogram": 3}
