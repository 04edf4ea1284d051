"""Histograms of one tensor of several runs."""

import numpy as np
import pytest

import multiboard as mb
from multiboard.page.histograms import QUANTILES, quantiles
from multiboard.page.limits import Limits
from multiboard.page.parts import Board

QUESTION = {"kind": "grads", "name": "first/kernel"}


def test_all_runs_have_their_bars_as_they_were_logged(board):
    shown = board()
    part = shown.part("histogram", QUESTION)
    assert [(one["run"], one["name"], one["level"]) for one in part["series"]] == [
        ("base", "first/kernel", ""), ("same", "first/kernel", "certain"), ("other", "first/kernel", "certain")
    ]  # fmt: skip
    for one in part["series"]:
        logged = shown.runs[one["run"]].histograms["grads/first/kernel"]
        assert one["step"].tolist() == one["shown"].tolist() == [0, 1, 2, 3, 4, 5]
        np.testing.assert_array_equal(one["wall"], logged.wall_time)
        rows = one["rows"].reshape(-1, 3)
        for at, capture in enumerate(logged.value):
            bars = rows[one["offsets"][at] : one["offsets"][at + 1]]
            np.testing.assert_array_equal(bars, capture.astype(np.float32))


def test_bars_stay_at_the_first_and_last_step_and_where_the_runs_part(board):
    shown = board(limits=Limits(captures=3))
    for one in shown.part("histogram", QUESTION)["series"]:
        assert one["shown"].tolist() == [0, 2, 5]
        assert len(one["quantiles"]) == 6 * 9
        assert len(one["offsets"]) == 4


def test_quantiles_are_those_of_the_values_as_far_as_a_bucket_tells():
    values = np.random.default_rng(0).normal(size=100_000)
    rows = np.column_stack([np.histogram(values, 4000)[1][:-1], np.histogram(values, 4000)[1][1:], np.histogram(values, 4000)[0]])
    np.testing.assert_allclose(quantiles([rows])[0], np.quantile(values, QUANTILES), atol=0.003)


def test_quantiles_of_one_value_are_that_value_and_those_of_nothing_are_not_a_number():
    one, none = quantiles([np.array([[0.5, 0.5, 7.0]]), np.zeros((0, 3))])
    assert one.tolist() == [0.5] * 9
    assert np.isnan(none).all()


def test_ends_that_are_open_are_cut_to_what_the_page_can_draw(tmp_path):
    with mb.Run(tmp_path) as run:
        run.histogram("grads/a/kernel", np.array([1e300, -1e300, 0.0]), 0)
    (one,) = Board({"a": mb.read(tmp_path)["."]}).part("histogram", {"kind": "grads", "name": "a/kernel"})["series"]
    assert np.isfinite(one["rows"]).all()
    assert np.isfinite(one["quantiles"]).all()


def test_a_tensor_that_another_run_has_in_pieces_is_added_up(tmp_path):
    rng = np.random.default_rng(0)
    parts = {name: rng.normal(size=(32, 32)) for name in ("query", "key", "value")}
    with mb.Run(tmp_path / "torch") as run:
        whole = np.concatenate([part.T for part in parts.values()])
        run.histogram("params/attn/in_proj_weight", whole, 0, description="`attn.in_proj_weight` of MultiheadAttention")
    with mb.Run(tmp_path / "flax") as run:
        for name, values in parts.items():
            run.histogram(f"params/attn/{name}/kernel", values, 0, description=f"`attn.{name}.kernel` of Dense")
    shown = Board(dict(mb.read(tmp_path)), layers={"attn/query": "attn", "attn/key": "attn", "attn/value": "attn"})
    (name,) = {row["name"] for row in shown.part("comparison")["maps"]["torch"]["params"]["rows"]}
    flax, torch = shown.part("histogram", {"kind": "params", "name": name})["series"]
    assert flax["rows"].reshape(-1, 3)[:, 2].sum() == torch["rows"].reshape(-1, 3)[:, 2].sum() == 3 * 32 * 32
    np.testing.assert_array_equal(flax["quantiles"], torch["quantiles"])


def test_a_tensor_that_only_the_baseline_has_is_shown_alone(runs):
    shown = Board(runs(base={}, other={"layers": ("first",)}))
    part = shown.part("histogram", {"kind": "grads", "name": "second/kernel"})
    assert [one["run"] for one in part["series"]] == ["base"]


def test_only_the_baselines_names_are_asked_for(runs):
    shown = Board(runs(base={"layers": ("first",)}, other={}))
    with pytest.raises(mb.ArgumentError, match="the baseline has no grads of it"):
        shown.part("histogram", {"kind": "grads", "name": "second/kernel"})
