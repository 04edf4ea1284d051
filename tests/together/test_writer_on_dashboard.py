"""Hyper-parameters and groups of scalars of the drop-in writer appear in TensorBoard without runs that nobody named."""

import pytest

import multiboard as mb

TOGETHER = ["writer"]
APART = ["writer_apart/loss_train", "writer_apart/loss_val", "writer_apart/trial"]


@pytest.fixture(scope="module", autouse=True)
def _written(board_dir):
    """A writer whose groups stay in the run, and one with a named sub-run and a run per series."""
    with mb.SummaryWriter(board_dir / "writer") as writer:
        for step in range(5):
            writer.add_scalars("loss", {"train": step, "val": step / 2}, step)
        writer.add_hparams({"lr": 0.5, "amp": True}, {"hp/accuracy": 0.75}, global_step=4)
        with pytest.warns(mb.MultiboardWarning, match="is written as 'hparam/loss/train'"):
            writer.add_hparams({"lr": 0.5, "amp": True}, {"loss/train": -1.0})
    with mb.SummaryWriter(board_dir / "writer_apart") as writer:
        writer.add_scalars("loss", {"train": 1.0, "val": 2.0}, 0, sub_runs=True)
        writer.add_hparams({"lr": 0.25}, {"hp/accuracy": 0.5}, run_name="trial")


def test_exactly_the_named_runs_are_listed(board):
    def ask():
        return sorted(run for run in board.json("data/plugin/scalars/tags") if run.split("/")[0] in {"writer", "writer_apart"})

    assert board.wait_for(ask, lambda runs: len(runs) >= 4) == TOGETHER + APART


def test_the_series_are_tags_of_the_run(board):
    points = board.wait_for(lambda: board.scalars("writer", "loss/val"), lambda points: len(points) == 5)
    assert [point[1:] for point in points] == [[step, step / 2] for step in range(5)]


def test_a_curve_that_is_a_metric_too_is_shown_in_full(board):
    points = board.wait_for(lambda: board.scalars("writer", "hparam/loss/train"), bool)
    assert [point[1:] for point in points] == [[0, -1]]
    assert [point[1:] for point in board.scalars("writer", "loss/train")] == [[step, step] for step in range(5)]


def test_hyper_parameters_and_metrics_are_one_row(board):
    metric = [{"metric": {"group": "", "tag": "hp/accuracy"}}]

    def ask():
        _, rows = board.hparams(colParams=metric)
        return {name: row for name, row in rows.items() if name in {"writer", "writer_apart/trial"}}

    rows = board.wait_for(ask, lambda rows: len(rows) == 2)
    assert rows["writer"]["hparams"] == {"lr": 0.5, "amp": True}
    assert rows["writer_apart/trial"]["hparams"] == {"lr": 0.25}
    values = {value["name"]["tag"]: (value["value"], value["trainingStep"]) for value in rows["writer"]["metricValues"]}
    assert values["hp/accuracy"] == (0.75, 4)
