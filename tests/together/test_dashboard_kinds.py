"""Every kind that a run takes is shown by real TensorBoard, with both loaders, as it was logged."""

import io

import numpy as np
import pytest
from PIL import Image

import multiboard as mb
from multiboard.buckets import measure

RUN = "kinds"
VALUES = np.random.default_rng(0).standard_t(2, size=3000)
PIXELS = np.random.default_rng(1).integers(0, 256, (2, 5, 7, 3), np.uint8)
ODD_TAGS = ["ä/β", "with space/x", "100%/x", "a?b&c#d", "[0]:0", "deep/a/b/c.d.e"]


@pytest.fixture(scope="module")
def kinds(board_dir):
    """A run with every kind, written once."""
    config = {"lr": 3e-4, "amp": True, "name": "first", "lost": float("nan")}
    with pytest.warns(mb.MultiboardWarning, match="not finite"), mb.Run(board_dir / RUN, config=config) as run:
        for step in range(200):
            run.log({"train/loss": 1 / (step + 1), "train/accuracy": step / 200}, step)
        for step, value in enumerate([1.0, np.nan, np.inf, -np.inf, 2.0]):
            run.scalar("odd/values", value, step)
        for tag in ODD_TAGS:
            run.scalar(tag, 0.25, 3)
        for step, values in enumerate([VALUES, VALUES * 1e-6, np.zeros(5), [np.nan], [1e30, -1e30], []]):
            run.histogram("h/values", values, step, description="*described*")
        run.image("i/batch", PIXELS, 4)
        run.text("t/notes", "**bold** <script>alert(1)</script>", 5)
    return RUN


def test_scalars_have_their_steps_and_values(board, kinds):
    points = board.wait_for(lambda: board.scalars(kinds, "train/loss"), lambda points: len(points) == 200)
    assert [step for _, step, _ in points] == list(range(200))
    np.testing.assert_array_equal([value for *_, value in points], (1 / np.arange(1, 201)).astype(np.float32))


def test_non_finite_scalars_are_served_as_they_are(board, kinds):
    points = board.wait_for(lambda: board.scalars(kinds, "odd/values"), lambda points: len(points) == 5)
    assert [value for *_, value in points] == [1.0, "NaN", "Infinity", "-Infinity", 2.0]
    assert [value for *_, value in board.scalars(kinds, "nonfinite/odd/values")] == [1, 2, 3]


def test_a_step_of_2_to_the_53_is_exact(board, board_dir):
    """In a run without hyper-parameters: the HParams tab holds steps as int32 and answers 500 beyond."""
    name = f"steps-{board.loader}"
    with mb.Run(board_dir / name) as run:
        run.scalar("x", 1.0, 2**53)
    points = board.wait_for(lambda: board.scalars(name, "x"), lambda points: len(points) == 1)
    assert points[0][1] == 2**53


@pytest.mark.parametrize("tag", ODD_TAGS)
def test_tags_of_any_form_are_listed_and_served(board, kinds, tag):
    points = board.wait_for(lambda: board.scalars(kinds, tag), lambda points: len(points) == 1)
    assert points[0][1:] == [3, 0.25]
    assert tag in board.json("data/plugin/scalars/tags")[kinds]
    assert tag in board.json("data/plugin/timeseries/tags")["scalars"]["runTagInfo"][kinds]


def test_histograms_are_the_buckets_of_the_definition(board, kinds):
    points = board.wait_for(
        lambda: board.json("data/plugin/histograms/histograms", run=kinds, tag="h/values"), lambda points: len(points) == 6
    )
    for (_, step, rows), values in zip(points, [VALUES, VALUES * 1e-6, np.zeros(5), [np.nan], [1e30, -1e30], []], strict=True):
        np.testing.assert_array_equal(np.reshape(rows, (-1, 3)), measure(values).rows().astype(np.float32), err_msg=str(step))
    info = board.json("data/plugin/histograms/tags")[kinds]["h/values"]
    assert "<em>described</em>" in info["description"]


def test_distributions_have_no_nan_edge(board, kinds):
    body, _ = board.bytes("data/plugin/distributions/distributions", run=kinds, tag="h/values")
    assert b"NaN" not in body


def test_images_are_served_with_their_pixels(board, kinds):
    def samples():
        return [board.json("data/plugin/images/images", run=kinds, tag="i/batch", sample=k) for k in range(2)]

    for pixels, (sample,) in zip(PIXELS, board.wait_for(samples, lambda found: all(map(len, found))), strict=True):
        assert sample["step"] == 4
        body, content_type = board.bytes("data/plugin/images/individualImage?" + sample["query"])
        assert content_type == "image/png"
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(body))), pixels)


def test_texts_are_rendered_as_markdown_and_scripts_do_nothing(board, kinds):
    (text,) = board.wait_for(lambda: board.json("data/plugin/text/text", run=kinds, tag="t/notes"), lambda found: len(found) == 1)
    assert "<strong>bold</strong>" in text["text"]
    assert "<script>" not in text["text"]


def test_hyper_parameters_are_one_row_with_their_types(board, kinds):
    experiment, rows = board.wait_for(board.hparams, lambda answer: kinds in answer[1])
    assert {"lr", "amp", "name", "lost"} <= {info["name"] for info in experiment["hparamInfos"]}
    hparams = {name: value for name, value in rows[kinds]["hparams"].items() if not name.startswith("run/")}
    assert hparams == {"lr": 3e-4, "amp": True, "name": "first", "lost": "nan"}


@pytest.mark.usefixtures("kinds")
def test_every_tab_that_has_data_is_active(board):
    tabs = board.json("data/plugins_listing")
    assert all(
        tabs[name]["enabled"] for name in ("scalars", "histograms", "distributions", "images", "text", "hparams", "timeseries")
    )


def test_a_live_run_is_shown_before_it_is_closed(board, board_dir):
    name = f"live-{board.loader}"
    with mb.Run(board_dir / name) as run:
        run.log({"x": 1.0}, 0)
        board.wait_for(lambda: board.scalars(name, "x"), lambda points: len(points) == 1)
        run.log({"x": 2.0, "y": 3.0}, 1)
        board.wait_for(lambda: board.scalars(name, "x"), lambda points: [p[1:] for p in points] == [[0, 1.0], [1, 2.0]])
        board.wait_for(lambda: board.scalars(name, "y"), lambda points: [p[1:] for p in points] == [[1, 3.0]])


def test_a_run_name_of_any_form_is_served(board, board_dir):
    name = f"ä #1? 100% & more {board.loader}"
    with mb.Run(board_dir / name) as run:
        run.log({"x": 1.0}, 0)
    board.wait_for(lambda: board.scalars(name, "x"), lambda points: len(points) == 1)


def test_a_tag_in_several_sets_of_tags_shows_every_point(board, board_dir):
    name = f"sets-{board.loader}"
    with mb.Run(board_dir / name) as run:
        for step in range(100):
            run.log({"loss": 1.0} if step % 2 else {"loss": 1.0, "rate": 0.1}, step)
    points = board.wait_for(lambda: board.scalars(name, "loss"), lambda points: len(points) >= 100)
    assert [step for _, step, _ in points] == list(range(100))


def test_a_run_that_its_process_opens_again_keeps_its_earlier_points(board, board_dir):
    name = f"again-{board.loader}"
    for part in range(3):
        with mb.Run(board_dir / name) as run:
            run.log({"x": float(part)}, part)
            with run.child("val") as child:
                child.log({"x": float(part)}, part)
    for run_name in (name, f"{name}/val"):
        points = board.wait_for(lambda run_name=run_name: board.scalars(run_name, "x"), lambda points: len(points) == 3)
        assert [step for _, step, _ in points] == [0, 1, 2]
