"""What the page shows is what the Python API gives."""

from dataclasses import replace

import numpy as np
import pytest

import multiboard as mb
from multiboard.compare.diagnosis import Diagnosis
from multiboard.compare.gate import Mismatch
from multiboard.graph import Graph, Node, TensorSpec
from multiboard.page.pack import pack, unpack
from multiboard.page.parts import Board
from multiboard.page.verdict import sentence


def test_the_runs_come_in_the_order_given_with_what_they_say_of_themselves(board):
    shown = board()
    base, same, other = shown.part("runs")["runs"]
    assert [base["name"], same["name"], other["name"]] == ["base", "same", "other"]
    assert (base["steps"], base["captures"], base["status"], base["parameters"]) == (5, 6, "success", 2048)
    assert (base["config"], other["config"]) == ({"lr": 0.1}, {"lr": 0.2})
    assert base["losses"] == {"dropped": 0, "errors": 0, "damaged": 0, "nonfinite": 0}
    assert base["facts"] == shown.baseline.facts != {}


def test_scalars_that_never_fall_are_axes_and_losses_and_norms_are_none(board):
    assert [axis["name"] for axis in board().part("runs")["axes"]] == ["step", "time", "train/epoch"]


def test_what_was_lost_is_counted(runs, tmp_path):
    runs(base={})
    with mb.Run(tmp_path / "base", resume=True) as run:
        run.log({"nonfinite/grads": 3.0, "multiboard/dropped/image": 2.0, "multiboard/errors": 1.0}, 6)
        run.log({"nonfinite/grads": float("inf")}, 7)
        run.log({"nonfinite/grads": 2.0}, 6)
    file = next((tmp_path / "base").glob("events.out*"))
    file.write_bytes(file.read_bytes()[:-3])
    losses = Board({"base": mb.read(tmp_path / "base")["."]}).part("runs")["runs"][0]["losses"]
    assert losses == {"dropped": 2, "errors": 1, "damaged": 1, "nonfinite": 2}


def test_the_comparison_is_that_of_the_library(board):
    shown = board()
    part = shown.part("comparison")
    found = mb.compare(*shown.runs.values())
    assert (part["code"], part["names"], part["noise"]) == (found.code, ["base", "same", "other"], found.noise)
    first = next(one for one in part["divergence"] if one["run"] == "other")
    assert (first["kind"], first["name"], first["step"]) == ("grads", "first/kernel", 2)
    assert first["distance"] == found.divergence[0].distance
    assert part["verdict"] == ("other parts from base at step 2, first in grads first/kernel; same: within tolerance.")
    assert [(row["what"], row["name"], row["a"], row["b"]) for row in part["gate"]] == [("config", "lr", "0.1", "0.2")]
    assert part["alignments"]["same"]["pairs"][0]["b"] == "first"


@pytest.mark.parametrize("measure", ["distance", "emd", "octaves", "norm_ratio"])
def test_a_map_has_the_numbers_of_the_table_of_layers(board, measure):
    shown = board()
    part = shown.part("heat", {"kind": "grads", "measure": measure, "run": "other"})
    rows = shown.part("comparison")["maps"]["other"]["grads"]["rows"]
    values = part["value"].reshape(part["rows"], len(part["step"]))
    table = {(row.name, row.step): getattr(row, measure) for row in shown.comparison.layers if row.run == "other"}
    assert len(table) == values.size == 12
    for row, line in zip(rows, values, strict=True):
        for step, value in zip(part["step"].tolist(), line, strict=True):
            assert value == np.float32(table[row["name"], step])


def test_the_map_of_distances_has_the_limit_of_every_cell(board):
    shown = board()
    part = shown.part("heat", {"kind": "grads", "measure": "distance", "run": "other"})
    beyond = (part["value"] > part["limit"]).reshape(2, 6)
    assert beyond.tolist() == [[False, False, True, True, True, True], [False] * 6]


def test_the_verdict_tells_what_parts_what_could_not_be_compared_and_what_has_another_size(runs):
    given = runs(base={}, less={"layers": ("first",)}, same={}, equal={})
    assert Board(given).part("comparison")["verdict"] == (
        "less against base: not of one size: parameters all; same, equal against base: within tolerance."
    )


def test_the_verdict_stays_one_sentence_however_many_runs_there_are(board):
    shown = board()
    (parts, *_) = shown.comparison.parted
    late = [parts._replace(run=f"seed{number}", step=9 - number) for number in range(7)]
    names = ("base", *(one.run for one in late), *(f"like{number}" for number in range(40)))
    found = replace(shown.comparison, names=names, parted=tuple(late), notes=(), gate=())
    assert sentence(found) == (
        "seed6 parts from base at step 3, first in grads first/kernel; seed5 parts from base at step 4, first in grads "
        "first/kernel; seed4 parts from base at step 5, first in grads first/kernel; 4 more part from it at that step or later; "
        "like0, like1, like2, like3 and 36 more: within tolerance."
    )
    gate = tuple(Mismatch(f"like{number}", "parameters", f"layer{number}", "1", "2", fails=True) for number in range(20))
    assert sentence(replace(found, parted=(), gate=gate)).endswith("parameters layer1; 18 more: see below.")


def test_runs_that_agree_and_are_both_wrong_are_not_called_equal(runs):
    given = runs(base={}, same={}, exact={"wrong_from": 0})
    found = mb.compare(given["base"], given["same"], oracle=given["exact"])
    assert found.code == 1
    assert sentence(found) == "same against base: as wrong as the baseline, exact shows."


def test_the_limit_where_a_difference_begins_is_the_one_that_told_so(tmp_path):
    rng = np.random.default_rng(0)
    outputs = {layer: rng.normal(size=4096) for layer in ("first", "second")}
    weights = {layer: rng.normal(size=(64, 16)) for layer in outputs}
    for name, factor in (("base", 1.0), ("other", 1.002)):
        with mb.Run(tmp_path / name) as run:
            for step in range(3):
                for layer, values in outputs.items():
                    run.histogram(f"params/{layer}/kernel", weights[layer], step)
                    run.histogram(f"activations/{layer}", values * (factor if layer == "second" else 1.0), step)
                run.log({"train/loss": 1.0 + (step > 0) * (factor - 1.0) * 10}, step)
    shown = Board(dict(mb.read(tmp_path)))
    first = shown.comparison.parted[0]
    assert (first.kind, first.name, first.beyond) == ("activations", "second", 0)
    part = shown.part("heat", {"kind": "activations", "measure": "distance", "run": "other"})
    value, limit = (part[name].reshape(part["rows"], -1) for name in ("value", "limit"))
    assert limit[1, 0] == np.float32(first.limit) < value[1, 0] < limit[1, 1]
    assert (value > limit).sum() == 1


def test_cells_that_were_not_compared_are_not_a_number(runs):
    shown = Board(runs(base={"steps": 6}, other={"steps": 6, "layers": ("first",)}))
    assert [row["name"] for row in shown.part("comparison")["maps"]["other"]["grads"]["rows"]] == ["first/kernel"]
    ratios = shown.part("heat", {"kind": "grads", "measure": "update_ratio", "run": "other"})["value"]
    assert np.isnan(ratios).all()


def test_a_curve_has_all_points_of_all_runs_and_what_is_allowed_between_them(board):
    part = board().part("curve", {"tag": "train/loss"})
    assert [one["run"] for one in part["series"]] == ["base", "same", "other"]
    for one in part["series"]:
        assert one["step"].tolist() == [0, 1, 2, 3, 4, 5]
        np.testing.assert_array_equal(one["value"], np.float32([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6]))
    assert [one["run"] for one in part["limits"]] == ["same", "other"]
    assert part["limits"][0]["limit"].tolist() == pytest.approx([0.002] * 6)


def test_of_a_step_that_occurs_twice_the_last_point_is_shown(tmp_path):
    with mb.Run(tmp_path) as run:
        for step, value in ((0, 1.0), (1, 2.0), (1, 3.0), (0, 4.0)):
            run.log({"train/loss": value}, step)
    (curve,) = Board({"a": mb.read(tmp_path)["."]}).part("curve", {"tag": "train/loss"})["series"]
    assert (curve["step"].tolist(), curve["value"].tolist()) == ([0, 1], [4.0, 3.0])


def test_scalars_are_listed_without_those_that_each_tensor_has(board):
    tags = {row["tag"]: row for row in board().part("scalars")["tags"]}
    assert set(tags) == {"train/loss", "train/epoch", "norm/grads"}
    assert (tags["train/loss"]["kind"], tags["train/loss"]["limit"], tags["train/loss"]["points"]) == ("loss", 0.002, [6, 6, 6])
    assert (tags["train/epoch"]["kind"], tags["norm/grads"]["kind"]) == ("schedule", None)


def test_norms_are_those_of_one_tensor_in_all_runs(board):
    shown = board()
    part = shown.part("norms", {"kind": "grads", "name": "first/kernel"})
    assert [(one["run"], one["measure"], one["tag"]) for one in part["series"]] == [
        (name, "norm", "norm/grads/first/kernel") for name in ("base", "same", "other")
    ]
    logged = shown.baseline.scalars["norm/grads/first/kernel"].value
    np.testing.assert_array_equal(part["series"][0]["value"], logged.astype(np.float32))


def test_norms_without_a_name_are_those_of_the_whole_group(board):
    part = board().part("norms", {"kind": "grads", "name": ""})
    assert [(one["run"], one["tag"]) for one in part["series"]] == [(name, "norm/grads") for name in ("base", "same", "other")]


def test_pictures_and_texts_are_listed_with_their_steps_and_come_as_they_were_written(board):
    shown = board()
    tags = {row["tag"]: row for row in shown.part("media")["tags"]}
    assert (tags["val/examples"]["kind"], tags["run/notes"]["kind"]) == ("images", "texts")
    assert tags["val/examples"]["runs"]["other"].tolist() == [0, 1, 2, 3, 4, 5]
    medium = shown.part("medium", {"run": "other", "step": "3", "tag": "val/examples"})
    assert medium["mime"] == "image/png"
    assert medium["items"] == [bytes(one) for one in shown.runs["other"].images["val/examples"].value[3]]
    assert shown.part("medium", {"run": "base", "step": "0", "tag": "run/notes"}) == {"text": "*some* notes"}


def test_the_table_of_the_graph_is_no_text_to_look_at_for_the_graph_panel_shows_it(tmp_path):
    with mb.Run(tmp_path) as run:
        run.graph(Graph("torch", (Node("Input", (), (), (TensorSpec((8, 4), "float32"),), "x"),)))
        run.text("eval/summary", "good", 0)
    data = mb.read(tmp_path)["."]
    assert "graph/summary" in data.texts
    assert [row["tag"] for row in Board({"a": data}).part("media")["tags"]] == ["eval/summary"]


def test_one_run_alone_has_everything_but_a_comparison(runs):
    shown = Board(runs(base={}))
    part = shown.part("comparison")
    assert (part["names"], part["code"], part["maps"], part["divergence"]) == (["base"], 0, {}, [])
    assert part["tensors"] == {"grads": ["first/kernel", "second/kernel"]}
    assert len(shown.part("histogram", {"kind": "grads", "name": "first/kernel"})["series"]) == 1
    assert len(shown.part("curve", {"tag": "train/loss"})["series"]) == 1


@pytest.mark.parametrize("name", ["runs", "comparison", "scalars", "profile", "media", "exact"])
def test_every_part_can_be_packed(board, name):
    assert unpack(pack(board().part(name)))


def test_diagnoses_are_those_of_the_comparison(board):
    shown = board()
    found = Diagnosis("other", "momentum", "Look at it.", ("all gradients are larger",), "first", 2)
    shown.comparison = replace(shown.comparison, diagnoses=(found,))
    assert unpack(pack(shown.part("comparison")))["diagnoses"] == [found._asdict() | {"evidence": ["all gradients are larger"]}]


def test_tensors_that_were_kept_element_by_element_have_their_distances(tmp_path):
    values = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    for name, kept in (("a", values), ("b", values + np.float32(0.5))):
        with mb.Run(tmp_path / name) as run:
            run.histogram("params/fc/kernel", kept, 0, description="`fc.kernel` of Dense")
            run.tensor("exact/params/fc/kernel", kept, 0, description="`fc.kernel` of Dense; float32 [16, 16]")
    shown = Board(dict(mb.read(tmp_path)))
    (row,) = shown.part("exact")["rows"]
    assert row == shown.comparison.exact[0]._asdict()
    assert (row["run"], row["name"], row["step"]) == ("b", "fc/kernel", 0)
    assert row["max_error"] == pytest.approx(0.5, rel=1e-5)


def test_layers_that_the_user_maps_belong_together_and_are_told(runs):
    given = runs(base={}, other={"layers": ("dense", "head")})
    part = Board(given, layers={"first": "head", "second": "dense"}).part("comparison")
    assert part["user_layers"] == {"first": "head", "second": "dense"}
    assert {(pair["a"], pair["b"]) for pair in part["alignments"]["other"]["pairs"]} == {("first", "head"), ("second", "dense")}
    rows = part["maps"]["other"]["grads"]["rows"]
    assert [(row["name"], row["other"]) for row in rows] == [("first/kernel", "head/kernel"), ("second/kernel", "dense/kernel")]


@pytest.mark.parametrize(
    ("name", "query", "told"),
    [
        ("heats", {}, "the parts are runs, comparison"),
        ("heat", {"kind": "grads", "measure": "emd"}, "needs kind and measure and run"),
        ("curve", {"tag": "train/loss", "run": "base"}, "takes tag"),
        ("runs", {"run": "base"}, "takes nothing"),
        ("heat", {"kind": "grads", "measure": "cosine", "run": "other"}, "the measures are distance"),
        ("heat", {"kind": "params", "measure": "emd", "run": "other"}, "compared were grads"),
        ("heat", {"kind": "grads", "measure": "emd", "run": "base"}, "the runs are same, other"),
        ("curve", {"tag": "train/los"}, "Did you mean 'train/loss'"),
        ("histogram", {"kind": "grads", "name": "firs/kernel"}, "Did you mean 'first/kernel'"),
        ("histogram", {"kind": "gradients", "name": "first/kernel"}, "the kinds are params"),
        ("norms", {"kind": "loss", "name": ""}, "the kinds are params"),
        ("graph", {"run": "../../x"}, "the runs are same, other"),
        ("medium", {"run": "base", "step": "x", "tag": "val/examples"}, "whole number"),
        ("medium", {"run": "base", "step": "99", "tag": "val/examples"}, "has the steps 0, 1"),
        ("medium", {"run": "base", "step": "0", "tag": "val/example"}, "Did you mean 'val/examples'"),
    ],
)
def test_a_question_that_has_no_answer_says_what_could_be_asked(board, name, query, told):
    with pytest.raises(mb.ArgumentError, match=told.replace("(", r"\(")):
        board().part(name, query)


def test_a_board_needs_a_run():
    with pytest.raises(mb.ArgumentError, match="name a run"):
        Board({})
