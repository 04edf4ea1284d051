"""Stated domains and metrics, and run facts, are what TensorBoard shows of hyper-parameters; one row per run, never an error.

On a server of its own: what one run states of hyper-parameters is valid for all runs of a dashboard.
"""

import json

import pytest

import multiboard as mb

DOMAINS = {"lr": (1e-5, 1e-1), "optimizer": {"name": ["sgd", "adam"]}, "amp": [True, False], "layers": [4]}
METRICS = {"val/accuracy": "Accuracy", "never/logged": "", "val/loss": ""}
CONFIGS = {
    "a_stated": {"lr": 1e-3, "optimizer": {"name": "adam"}, "amp": True, "layers": 4, "lost": float("nan")},
    "b_inferred": {"lr": 1e-2, "optimizer": {"name": "sgd"}, "amp": True, "layers": 4, "lost": float("nan")},
    "c_more": {"lr": "a text here", "only_here": 3},
}
STATUSES = {
    "a_stated": "STATUS_SUCCESS", "b_inferred": "STATUS_SUCCESS", "c_more": "STATUS_FAILURE", "d_facts": "STATUS_SUCCESS",
    "e_live": "STATUS_UNKNOWN",
}  # fmt: skip


@pytest.fixture(scope="module")
def _written(own_board_dir):
    """Runs: one states domains and metrics, one has the same hyper-parameters, one fails, one has facts only, one is live."""
    log_dir = own_board_dir
    with mb.Run(log_dir / "a_stated", facts={"dataset": "digits"}) as run:
        run.hparams(CONFIGS["a_stated"], domains=DOMAINS, metrics=METRICS)
        run.log({"val/accuracy": 0.75, "val/loss": 2.0, "other": 1.0}, 3)
    with mb.Run(log_dir / "b_inferred", config=CONFIGS["b_inferred"], facts={"dataset": "cifar10"}) as run:
        run.log({"val/accuracy": 0.5}, 3)
    with pytest.raises(ZeroDivisionError), mb.Run(log_dir / "c_more", config=CONFIGS["c_more"]) as run:
        run.log({"val/accuracy": 0.25}, 1 // 0)
    mb.Run(log_dir / "d_facts").close()
    with mb.Run(log_dir / "e_live", config={"lr": 1.0}) as run:
        run.flush()
        yield


@pytest.fixture
def tab(own_board, _written):
    own_board.hparams_of_ended(len(STATUSES), len(STATUSES) - 1)
    return own_board


def test_the_stated_domains_and_metrics_are_those_of_the_tab(tab):
    experiment, _ = tab.hparams()
    infos = {info["name"]: info for info in experiment["hparamInfos"]}
    assert infos["lr"]["domainInterval"] == {"minValue": 1e-5, "maxValue": 1e-1}
    assert infos["optimizer/name"]["domainDiscrete"] == ["sgd", "adam"]
    assert infos["amp"]["domainDiscrete"] == [True, False]
    assert infos["layers"]["domainDiscrete"] == [4.0]
    assert {name for name, info in infos.items() if info.get("differs")} == {"lr", "optimizer/name", "amp"}
    types = {"lr": "FLOAT64", "optimizer/name": "STRING", "amp": "BOOL", "lost": "STRING", "run/host": "STRING"}
    assert {name: infos[name]["type"].removeprefix("DATA_TYPE_") for name in types} == types
    metrics = [(info["name"]["tag"], info.get("displayName", "")) for info in experiment["metricInfos"]]
    assert metrics == list(METRICS.items())


def test_every_hyper_parameter_and_fact_of_the_stating_run_is_a_column(tab):
    experiment, rows = tab.hparams()
    assert {info["name"] for info in experiment["hparamInfos"]} == rows["a_stated"]["hparams"].keys()


def test_each_run_is_one_row_with_its_values_and_status(tab):
    _, rows = tab.hparams()
    assert {name: row["sessions"][0].get("status", "STATUS_UNKNOWN") for name, row in rows.items()} == STATUSES
    shown = {name: {k: v for k, v in row["hparams"].items() if not k.startswith("run/")} for name, row in rows.items()}
    assert shown["a_stated"] == {"lr": 1e-3, "optimizer/name": "adam", "amp": True, "layers": 4.0, "lost": "nan"}
    assert shown["b_inferred"] == {"lr": 1e-2, "optimizer/name": "sgd", "amp": True, "layers": 4.0, "lost": "nan"}
    assert shown["c_more"] == CONFIGS["c_more"]
    assert shown["d_facts"] == {}
    assert [rows[name]["hparams"]["run/dataset"] for name in ("a_stated", "b_inferred")] == ["digits", "cifar10"]


def test_each_row_has_the_last_values_of_the_stated_metrics(tab):
    _, rows = tab.hparams()
    values = {name: {v["name"]["tag"]: v["value"] for v in row.get("metricValues", [])} for name, row in rows.items()}
    assert values["a_stated"] == {"val/accuracy": 0.75, "val/loss": 2.0}
    assert values["b_inferred"] == {"val/accuracy": 0.5}


@pytest.mark.parametrize(
    "column",
    [
        {"hparam": "optimizer/name", "order": "ORDER_ASC"},
        {"hparam": "run/version/python", "order": "ORDER_DESC"},
        {"metric": {"group": "", "tag": "never/logged"}, "order": "ORDER_ASC"},
        {"hparam": "optimizer/name", "filterDiscrete": ["adam"], "excludeMissingValues": True},
        {"hparam": "run/dataset", "filterRegexp": "dig", "excludeMissingValues": True},
    ],
    ids=["text ascending", "fact descending", "a metric without values", "only adam", "only one data set"],
)
def test_the_tab_sorts_and_filters_by_the_columns(tab, column):
    _, rows = tab.hparams(colParams=[column])
    assert set(rows) == ({"a_stated"} if "excludeMissingValues" in column else set(STATUSES))


def test_the_columns_of_the_table_can_be_downloaded(tab):
    request = {
        "experimentName": "",
        "allowedStatuses": list(STATUSES.values()),
        "colParams": [],
        "startIndex": 0,
        "sliceSize": 100,
    }
    body, _ = tab.bytes(
        "data/plugin/hparams/download_data", format="csv", columnsVisibility=json.dumps([True] * 100), request=json.dumps(request)
    )
    assert body.decode().count("\n") >= len(STATUSES)
