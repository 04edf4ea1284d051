"""What the page computes of curves, against NumPy: places on another axis, groups of repeats with their bands, smoothing."""

import itertools

import numpy as np
import pytest

pytestmark = pytest.mark.browser

REPEATS = [
    {"name": name, "framework": framework, "config": {"lr": lr, "seed": seed, "run_name": name}}
    for framework, lr, seed in itertools.product(("torch", "flax"), (0.1, 0.2), (0, 1))
    for name in [f"{framework} {lr} {seed}"]
]


def floats(values):
    return np.array([float(value) for value in values])


def test_places_on_another_axis_lie_on_the_line_between_its_points(call):
    steps, seen, at = [0, 10, 30], [0.0, 640.0, 1920.0], [0, 5, 10, 17, 30]
    assert call("axis.js", "interpolate", steps, seen, at) == pytest.approx(np.interp(at, steps, seen))


def test_beyond_its_points_an_axis_goes_on_for_one_interval_only(call):
    found = floats(call("axis.js", "interpolate", [10, 20, 40], [1.0, 2.0, 4.0], [-1, 0, 60, 61]))
    np.testing.assert_allclose(found, [np.nan, 0.0, 6.0, np.nan])


def test_points_of_an_axis_that_go_back_after_a_restart_do_not_count(call):
    assert call("axis.js", "interpolate", [0, 10, 5, 20], [0.0, 10.0, 99.0, 20.0], [5, 15]) == [5.0, 15.0]


@pytest.mark.parametrize("band", ["range", "sd"])
def test_the_band_of_repeats_is_that_of_their_values_at_each_place(call, band):
    rng = np.random.default_rng(0)
    x, curves = np.arange(0.0, 50.0, 5.0), rng.normal(size=(4, 10))
    found = call("groups.js", "meanBand", [{"x": x.tolist(), "y": y.tolist()} for y in curves], band)
    mean, spread = curves.mean(axis=0), curves.std(axis=0, ddof=1)
    low, high = (curves.min(axis=0), curves.max(axis=0)) if band == "range" else (mean - spread, mean + spread)
    assert found["x"] == x.tolist()
    for name, expected in (("mean", mean), ("low", low), ("high", high), ("count", np.full(10, 4))):
        assert found[name] == pytest.approx(expected)


def test_repeats_with_other_steps_count_between_their_first_and_last_point(call):
    found = call("groups.js", "meanBand", [{"x": [0, 4], "y": [0.0, 4.0]}, {"x": [1, 3], "y": [5.0, 7.0]}], "range")
    assert (found["x"], found["mean"], found["count"]) == ([0, 1, 3, 4], [0.0, 3.0, 5.0, 4.0], [1, 2, 2, 1])


def test_a_mean_has_a_gap_where_another_number_of_repeats_counts(call):
    mean = call("groups.js", "meanBand", [{"x": [0, 2, 4, 6], "y": [1, 1, 1, 1]}, {"x": [0, 2, 4], "y": [3, 3, 3]}], "range")
    found = call("groups.js", "broken", mean)
    assert found["x"] == [0, 2, 4, 5, 6]
    assert [found[name] for name in ("mean", "low", "high")] == [[2, 2, 2, None, 1], [1, 1, 1, None, 1], [3, 3, 3, None, 1]]


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.7, "1 min 0 s"), (119.7, "2 min 0 s"), (3599.8, "1 h 0 min"), (7195, "2 h 0 min")]
)
def test_a_duration_has_no_minute_of_sixty_seconds(call, seconds, text):
    assert call("format.js", "duration", seconds) == text


def test_a_negative_number_has_one_sign_throughout(call):
    assert call("format.js", "number", -5.37e-6) == "\N{MINUS SIGN}5.37e\N{MINUS SIGN}6"


def test_runs_that_differ_in_seed_and_name_only_are_repeats(call):
    groups = call("groups.js", "groupsOf", REPEATS, "auto")
    assert [one["members"] for one in groups] == [
        [a["name"], b["name"]] for a, b in zip(REPEATS[::2], REPEATS[1::2], strict=True)
    ]
    assert [one["label"] for one in groups] == ["torch, lr 0.1", "torch, lr 0.2", "flax, lr 0.1", "flax, lr 0.2"]


def test_runs_are_grouped_by_any_hyper_parameter_and_stay_alone_without_one(call):
    (first, second, alone) = call("groups.js", "groupsOf", [*REPEATS, {"name": "bare", "config": {}}], "lr")
    assert [one["label"] for one in (first, second, alone)] == ["lr 0.1", "lr 0.2", "bare"]
    assert first["members"] == [run["name"] for run in REPEATS if run["config"]["lr"] == 0.1]


def test_smoothing_is_a_mean_with_falling_weights_and_leaves_out_what_is_not_finite(call):
    values = np.random.default_rng(1).normal(size=12)
    weights = 0.8 ** np.arange(12)[::-1]
    expected = [np.average(values[: n + 1], weights=weights[-n - 1 :]) for n in range(12)]
    assert call("curves.js", "smoothed", values.tolist(), 0.8) == pytest.approx(expected)
    assert floats(call("curves.js", "smoothed", [1.0, "NaN", 1.0], 0.5))[[0, 2]].tolist() == [1.0, 1.0]


def test_tables_in_texts_become_cells_and_other_markup_stays_text(call):
    text = "# Said\n\n| word | p |\n|---|---:|\n| `a\\|b` | 0.5 |\n\n<b>not bold</b>"
    heading, table, rest = call("markdown.js", "blocks", text)
    assert (heading["kind"], heading["text"]) == ("heading", "Said")
    assert (table["head"], table["right"], table["rows"]) == (["word", "p"], [False, True], [["`a|b`", "0.5"]])
    assert (rest["kind"], rest["text"]) == ("text", "<b>not bold</b>")
