"""A comparison finds where two runs part, and says what it could not compare."""

import numpy as np
import pytest

import multiboard as mb
from multiboard.compare.align import Alignment, Pair
from multiboard.compare.layer_table import layer_table
from multiboard.compare.tensor_differences import measures, readings
from multiboard.compare.tensor_matches import contents, match_tensors
from multiboard.testing import assert_runs_close


def test_a_run_compared_with_itself_is_within_tolerance_and_zero_apart(trained):
    run = trained("a")
    found = mb.compare(run, run)
    assert found.code == 0
    assert found.divergence == ()
    assert not any(row.distance for row in [*found.layers, *found.scalars])
    assert len(found.layers) == 6 * 2 * 3
    assert_runs_close(run, trained("b"))


def test_a_gradient_that_differs_from_one_step_on_is_the_first_divergence(trained):
    changed = trained("b", change=lambda step, name, g: g * 1.3 if step >= 3 and name == "second" else g)
    found = mb.compare(trained("a"), changed)
    first, *others = found.divergence
    assert (first.kind, first.layer, first.step, first.since, first.beyond) == ("grads", "second", 3, 2, 3)
    assert first.distance == pytest.approx(0.3, rel=0.01)
    assert (others[0].kind, others[0].name, others[0].step) == ("updates", "second/kernel", 3)
    assert others[1].step == others[2].step == 4
    assert {one.kind for one in others[1:]} == {"loss", "params"} | {one.kind for one in others[3:]}
    assert not any(one.layer == "first" for one in found.parted)
    assert found.code == 1


def test_another_learning_rate_parts_first_in_the_updates_of_step_0(trained):
    found = mb.compare(trained("a"), trained("b", rate=0.11))
    assert {one.kind for one in found.divergence[:2]} == {"updates"}
    assert found.divergence[0].step == 0
    assert [(one.what, one.name, one.a, one.b) for one in found.gate] == [("config", "rate", "0.1", "0.11")]


def test_gradients_of_one_step_part_from_the_last_layer_to_the_first(trained):
    found = mb.compare(trained("a"), trained("b", change=lambda _, __, g: g * 2))
    assert [one.layer for one in found.divergence if one.kind == "grads"] == ["second", "first"]


def test_one_spike_is_no_divergence_but_two_in_a_row_and_the_last_point_are(trained):
    baseline = trained("a", rate=0.0)

    def spikes(*steps):
        other = trained(f"at{steps}", rate=0.0, change=lambda step, _, g: g * 2 if step in steps else g)
        return mb.compare(baseline, other, kinds=["grads"])

    assert spikes(2).code == 0
    assert spikes(2, 3).divergence[0].step == 2
    assert spikes(5).divergence[0].step == 5


def test_a_difference_is_followed_back_to_where_it_begins(trained):
    growing = [0, 0, 0.002, 0.004, 0.02, 0.03]
    found = mb.compare(
        trained("a", rate=0.0), trained("b", rate=0.0, change=lambda step, _, g: g * (1 + growing[step])), kinds=["grads"]
    )
    assert {(one.step, one.since, one.beyond) for one in found.divergence} == {(2, 1, 4)}
    assert found.divergence[0].distance == pytest.approx(0.02, rel=0.01)


def test_one_value_that_is_not_a_number_is_a_divergence_at_once(tmp_path):
    for name, values in (("a", [1.0, 2.0]), ("b", [1.0, np.nan])):
        with mb.Run(tmp_path / name) as run:
            for step in range(4):
                run.histogram("grads/fc/kernel", values if step == 1 else [1.0, 2.0], step)
                if step == 1 and name == "b":
                    run.log({"nonfinite/grads/fc/kernel": 1}, step)
    (first,) = mb.compare(tmp_path / "a", tmp_path / "b").divergence
    assert (first.step, first.distance) == (1, np.inf)
    row = mb.compare(tmp_path / "a", tmp_path / "b").layers[1]
    assert (row.nonfinite_a, row.nonfinite_b) == (0, 1)


def test_curves_that_are_both_nan_are_equal_and_one_alone_is_not(tmp_path):
    for name, values in (("a", [1, np.nan, np.inf]), ("b", [1, np.nan, np.inf]), ("c", [1, 2, np.inf])):
        with mb.Run(tmp_path / name) as run:
            for step, value in enumerate(values):
                run.log({"train/loss": value}, step)
    assert mb.compare(tmp_path / "a", tmp_path / "b").code == 0
    (first,) = mb.compare(tmp_path / "a", tmp_path / "c").divergence
    assert first.step == 1


def test_runs_join_on_equal_steps_and_the_others_are_told(trained):
    found = mb.compare(trained("a", steps=13, every=2), trained("b", steps=10, every=3))
    assert sorted({row.step for row in found.layers}) == [0, 6]
    assert found.code == 0
    told = " ".join(note.text for note in found.notes)
    assert "steps that only a has" in told
    assert ("steps", "12", "9") in [(one.what, one.a, one.b) for one in found.gate]


def test_of_a_step_that_was_done_again_after_a_restart_the_last_counts(trained):
    again = trained("b", steps=4, change=lambda step, _, g: g * 2 if step == 3 else g)
    trained("b", start=3)
    assert mb.compare(trained("a"), again).code == 0


def test_runs_of_one_step_are_compared(trained):
    assert mb.compare(trained("a", steps=1), trained("b", steps=1)).code == 0
    assert mb.compare(trained("a", steps=1), trained("c", steps=1, seed=1)).code == 1


@pytest.mark.parametrize("what", ["tags", "steps", "nothing"])
def test_runs_that_have_nothing_in_common_are_not_called_equal(tmp_path, what):
    tag, step = ("val/loss", 0) if what == "tags" else ("train/loss", 1)
    with mb.Run(tmp_path / "a") as run:
        run.log({"train/loss": 1.0}, 0)
    with mb.Run(tmp_path / "b") as run:
        if what != "nothing":
            run.log({tag: 1.0}, step)
    found = mb.compare(tmp_path / "a", tmp_path / "b")
    assert found.code == 2
    assert any("nothing was compared" in note.text for note in found.notes)
    with pytest.raises(AssertionError, match="not all could be compared"):
        found.assert_close()


def test_a_layer_that_only_one_run_has_is_told_and_never_called_equal(tmp_path):
    for name, layers in (("a", ["first", "second"]), ("b", ["first", "second", "third"])):
        with mb.Run(tmp_path / name) as run:
            for layer in layers:
                run.histogram(f"activations/{layer}", [1.0, 2.0], 0)
    found = mb.compare(tmp_path / "a", tmp_path / "b")
    assert found.code == 2
    assert [note.text for note in found.notes if note.missing] == ["layers that only b has: third"]


def test_other_numbers_of_parameters_fail(trained):
    found = mb.compare(trained("a"), trained("b", names=("first", "second", "third")), kinds=["grads"])
    assert found.code == 1
    assert [(one.what, one.a, one.b) for one in found.gate] == [("parameters", "2,048", "3,072")]


def test_tensors_of_other_sizes_fail_before_anything_else(tmp_path):
    for name, size in (("a", 8), ("b", 9)):
        with mb.Run(tmp_path / name) as run:
            for step in range(3):
                run.histogram("params/fc/bias", np.ones(size), step)
    found = mb.compare(tmp_path / "a", tmp_path / "b")
    assert found.code == 1
    assert found.gate[0].fails


def test_a_user_says_which_layers_belong_together(trained):
    a, b = trained("a"), trained("b", names=("one", "two"))
    found = mb.compare(a, b, layers={"first": "one", "second": "two"})
    assert {(row.name, row.other) for row in found.layers} == {("first/kernel", "one/kernel"), ("second/kernel", "two/kernel")}
    assert found.code == 0


def test_a_guess_is_not_compared_unless_it_is_allowed(trained):
    a, b = trained("a", names=("up", "mid", "down")), trained("b", names=("dense", "dense_1", "dense_2"), seed=1)
    kinds = ["params", "grads", "updates"]
    found = mb.compare(a, b, kinds=kinds)
    assert found.code == 2
    assert len(found.layers) == 0
    assert len(mb.compare(a, b, kinds=kinds, guesses=True).layers)


@pytest.mark.parametrize(("frameworks", "code"), [(("jax", "jax"), 0), (("jax", "torch"), 2)], ids=["one", "two"])
def test_numbered_layers_of_one_framework_keep_their_partners_when_there_is_one_more(trained, frameworks, code):
    a = trained("a", names=("dense_0", "dense_1"), facts={"framework": frameworks[0]})
    b = trained("b", names=("dense_0", "dense_1", "dense_2"), facts={"framework": frameworks[1]}, seed=1)
    found = mb.compare(a, b, kinds=["params", "grads", "updates"])
    assert {(row.name, row.other) for row in found.layers} == (
        {(f"dense_{i}/kernel", f"dense_{i}/kernel") for i in range(2)} if code == 0 else set()
    )


def test_a_tensor_in_several_pieces_is_compared_as_their_sum(tmp_path):
    pieces = dict(zip(("query", "key", "value"), np.random.default_rng(0).normal(size=(3, 8, 8)), strict=True))

    def log(directory, tensors):
        with mb.Run(directory) as run:
            for path, values in tensors.items():
                run.histogram(f"params/{path}", values, 0)
                run.log({f"norm/params/{path}": float(np.linalg.norm(values))}, 0)
        return directory

    whole = log(tmp_path / "a", {"attn/in_proj/kernel": np.stack(list(pieces.values()))})
    parts = log(tmp_path / "b", {f"attn/{name}/kernel": values for name, values in pieces.items()})
    layers = Alignment(tuple(Pair("attn/in_proj", f"attn/{name}", "certain", ()) for name in pieces), (), ())
    runs = tuple(mb.read(path)["."] for path in (whole, parts))
    for a, b, alignment in (
        (*runs, layers),
        (*runs[::-1], layers._replace(pairs=tuple(Pair(p.b, p.a, *p[2:]) for p in layers.pairs))),
    ):
        (match,) = match_tensors((layer_table(a), layer_table(b)), alignment, (contents(a), contents(b))).matches
        found = measures(*(readings(run, match.kind, paths) for run, paths in ((a, match.a), (b, match.b))))
        assert found.emd.tolist() == [0]
        assert found.norm[0] == pytest.approx(found.norm[1])


def test_update_ratios_alone_are_enough(tmp_path):
    for name, ratio in (("a", 0.01), ("b", 0.02)):
        with mb.Run(tmp_path / name) as run:
            run.log({"update_ratio/fc/kernel": ratio}, 0)
    found = mb.compare(tmp_path / "a", tmp_path / "b")
    expected = [("updates", "fc/kernel", pytest.approx(1.0, rel=1e-4))]  # without the rounding of parameters
    assert [(one.kind, one.name, one.distance) for one in found.divergence] == expected
    assert found.layers[0].update_ratio == pytest.approx(1.0)


def test_every_further_run_is_compared_with_the_first(trained):
    found = mb.compare(trained("a"), trained("b"), trained("c", seed=1), trained("d", seed=2))
    assert {one.run for one in found.parted} == {"c", "d"}
    assert len(found.divergence) == 12
    assert list(found.alignments) == ["b", "c", "d"]


def test_rounding_errors_of_a_gradient_that_is_zero_but_for_them_are_no_divergence(tmp_path):
    for name in ("a", "b"):
        rng = np.random.default_rng(ord(name))
        with mb.Run(tmp_path / name) as run:
            for step in range(4):
                for layer, values in (("key", rng.normal(size=16) * 1e-9), ("fc", np.ones(16))):
                    run.histogram(f"grads/{layer}/bias", values, step)
                    run.log({f"norm/grads/{layer}/bias": float(np.linalg.norm(values))}, step)
    assert mb.compare(tmp_path / "a", tmp_path / "b").code == 0
