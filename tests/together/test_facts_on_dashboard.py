"""Without a stated experiment TensorBoard infers columns from hyper-parameters and facts, and marks those that differ."""

import pytest

import multiboard as mb

RUNS = {"facts_a": {"dataset": "digits", "shards": 2}, "facts_b": {"dataset": "cifar10", "shards": 2}}


@pytest.fixture(scope="module", autouse=True)
def _written(board_dir):
    for name, facts in RUNS.items():
        with mb.Run(board_dir / name, config={"seed": 3, "facts_test_width": len(facts["dataset"])}, facts=facts) as run:
            run.log({"train/loss": 0.5}, 0)


def test_facts_are_columns_of_each_row(board, board_dir):
    def columns_and_rows():
        experiment, rows = board.hparams()
        return {info["name"] for info in experiment["hparamInfos"]}, rows

    def all_read(answer):  # TensorBoard answers while it reads: rows may be newer than columns
        columns, rows = answer
        return rows.keys() >= RUNS.keys() and all(rows[name]["hparams"].keys() <= columns for name in RUNS)

    columns, rows = board.wait_for(columns_and_rows, all_read)
    for name in RUNS:
        shown = rows[name]["hparams"]
        facts = {key.removeprefix("run/"): value for key, value in shown.items() if key.startswith("run/")}
        assert facts == mb.read(board_dir / name)["."].facts
        assert shown.keys() <= columns
        assert {"command", "host", "seed", "version/python", "version/numpy", "version/multiboard"} <= facts.keys()
        assert (shown["seed"], shown["run/shards"]) == (3.0, 2.0)


def test_what_differs_between_runs_is_marked(board):
    def differing():
        return {info["name"]: info.get("differs", False) for info in board.hparams()[0]["hparamInfos"]}

    marks = board.wait_for(differing, lambda found: found.get("run/dataset"))
    assert marks["facts_test_width"] is True
    assert marks["run/shards"] is False
    assert marks["run/version/python"] is False
    assert marks["run/host"] is False


def test_the_metrics_stay_inferred(board):
    def metrics():
        return {info["name"]["tag"] for info in board.hparams()[0]["metricInfos"]}

    assert board.wait_for(metrics, lambda found: "train/loss" in found)
