"""What a page does not get of long runs, and that it says so."""

import numpy as np
import pytest

import multiboard as mb
from multiboard.page.limits import Limits, kept_steps, spread
from multiboard.page.parts import Board


def test_short_curves_keep_all_their_points():
    assert kept_steps([(np.arange(9), np.arange(9.0))], 9) is None


def test_the_highest_and_lowest_point_of_every_curve_stay_and_so_do_its_ends():
    rng = np.random.default_rng(0)
    steps = np.arange(10_000) * 3
    curves = [(steps, rng.normal(size=10_000)) for _ in range(3)]
    for at, (_, values) in enumerate(curves):
        values[1000 * at + 7], values[1000 * at + 9] = 50.0, -50.0
    kept = kept_steps(curves, 600)
    assert len(kept) <= 610
    for step, values in curves:
        assert {step[0], step[-1], step[values.argmax()], step[values.argmin()]} <= set(kept.tolist())


def test_a_curve_without_points_takes_none_from_the_others():
    steps = np.arange(5000)
    kept = kept_steps([(steps, np.sin(steps)), (steps[:0], np.zeros(0))], 100)
    assert {0, 4999} <= set(kept.tolist())


def test_a_value_that_is_no_number_stays():
    values = np.zeros(5000)
    values[1234] = np.nan
    assert 1234 in kept_steps([(np.arange(5000), values)], 100)


def test_curves_that_are_thinned_have_their_steps_in_common(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        with mb.Run(tmp_path / name) as run:
            for step, value in enumerate(rng.normal(size=3000)):
                run.log({"train/loss": value}, step)
    shown = Board(dict(mb.read(tmp_path)), limits=Limits(points=100))
    a, b = shown.part("curve", {"tag": "train/loss"})["series"]
    assert a["step"].tolist() == b["step"].tolist()
    assert len(a["step"]) <= 110
    logged = shown.runs["b"].scalars["train/loss"]
    np.testing.assert_array_equal(b["value"], logged.value[np.isin(logged.step, b["step"])].astype(np.float32))


@pytest.mark.parametrize(("count", "most", "keep"), [(100, 8, [3, 50]), (3, 8, []), (10, 2, [5]), (9, 1, []), (0, 4, [])])
def test_things_spread_evenly_are_few_ascending_and_hold_both_ends_and_what_must_stay(count, most, keep):
    found = spread(count, most, keep).tolist()
    assert found == sorted(set(found))
    assert len(found) <= max(most, 1) or count <= most
    if most > 2 and count > most:
        assert {0, count - 1, *keep} <= set(found)


def test_a_page_that_gets_everything_says_nothing(board):
    assert board().part("runs")["thinned"] == []


def test_everything_that_is_left_out_is_said(board):
    limits = Limits(points=4, captures=3, quantiles=5, media=2, tensors=1, cells=2)
    told = "\n".join(board(limits=limits).part("runs")["thinned"])
    for sentence in (
        "15 curves have more than 4 points",
        "6 tensors have more than 5 histograms: 5 of each are shown.",
        "6 tensors have more than 3 histograms: 3 of each are shown with bars",
        "3 tags have media at more than 2 steps",
        "here of 1 of 2 tensors",
    ):
        assert sentence in told


def test_maps_with_too_many_cells_keep_the_ends_and_the_step_at_which_the_runs_part(runs):
    shown = Board(runs(base={"steps": 40}, other={"steps": 40, "wrong_from": 17}), limits=Limits(cells=16))
    part = shown.part("heat", {"kind": "grads", "measure": "distance", "run": "other"})
    assert len(part["step"]) == 8
    assert {0, 17, 39} <= set(part["step"].tolist())
    assert shown.part("comparison")["maps"]["other"]["grads"]["columns"] == 8
    assert "1 map has more than 16 cells" in "".join(shown.part("runs")["thinned"])


def test_the_tensor_that_parts_first_is_among_the_few_that_a_file_gets(runs):
    layers = tuple(f"layer{number}" for number in range(12))
    wrong = ("layer7", *(layer for layer in layers if layer != "layer7"))
    given = runs(base={"layers": layers, "steps": 3}, other={"layers": wrong, "steps": 3, "wrong_from": 1})
    assert "layer7/kernel" in Board(given, limits=Limits(tensors=2)).shortlist["grads"]
    assert len(Board(given, limits=Limits(tensors=2)).shortlist["grads"]) == 2


def test_the_tensors_that_part_earlier_come_before_those_that_part_later_in_any_run(runs):
    layers = tuple(f"layer{number}" for number in range(4))
    given = runs(base={"layers": layers}, **{
        f"run{at}": {"layers": (layers[at], *(one for one in layers if one != layers[at])), "wrong_from": 4 - at}
        for at in range(4)
    })  # fmt: skip
    assert Board(given, limits=Limits(tensors=2)).shortlist["grads"] == ["layer0/kernel", "layer3/kernel"]
    order = [one.name for one in sorted(Board(given).comparison.parted, key=lambda one: one.step)]
    assert order == ["layer3/kernel", "layer2/kernel", "layer1/kernel", "layer0/kernel"]


def test_media_that_are_thinned_have_the_same_steps_in_all_runs(board):
    (row,) = (row for row in board(limits=Limits(media=3)).part("media")["tags"] if row["tag"] == "val/examples")
    assert {name: step.tolist() for name, step in row["runs"].items()} == {name: [0, 2, 5] for name in ("base", "same", "other")}
