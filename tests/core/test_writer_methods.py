"""Each method of the drop-in writer writes what the run's own method would."""

import json

import numpy as np
import pytest

import multiboard as mb
from multiboard.buckets import measure


def written(log_dir, *calls, **arguments):
    """What the directory holds after the calls."""
    with mb.SummaryWriter(log_dir, **arguments) as writer:
        for call in calls:
            call(writer)
    return mb.read(log_dir)["."]


def test_add_scalar_writes_a_number(log_dir):
    column = written(log_dir, lambda w: w.add_scalar("loss", 0.5, 3, 12.25)).scalars["loss"]
    assert (column.step.tolist(), column.wall_time.tolist(), column.value.tolist()) == ([3], [12.25], [0.5])


def test_arrays_of_one_element_are_numbers(log_dir):
    run = written(log_dir, lambda w: [w.add_scalar("loss", value, 0) for value in (np.float32(2), np.ones(1), np.ones((1, 1)))])
    assert run.scalars["loss"].value.tolist() == [2, 1, 1]


def test_add_scalars_writes_tags_below_the_main_tag(log_dir):
    run = written(log_dir, lambda w: w.add_scalars("loss", {"train": 1, "val": np.ones((1, 1))}, 2, 5.0))
    assert {tag: column.value.tolist() for tag, column in run.scalars.items()} == {"loss/train": [1], "loss/val": [1]}
    assert run.scalars["loss/val"].wall_time.tolist() == [5.0]


def test_add_histogram_counts_as_the_run_does(log_dir):
    values = np.random.default_rng(0).normal(size=(5, 60))
    column = written(log_dir, lambda w: w.add_histogram("h", values, 1, "auto", 7.0)).histograms["h"]
    np.testing.assert_array_equal(column.value[0], measure(values).rows().astype(np.float32))
    assert (column.step.tolist(), column.wall_time.tolist()) == ([1], [7.0])


@pytest.mark.parametrize("dataformats", ["CHW", "HWC", "HW"])
def test_add_image_writes_one_picture(log_dir, dataformats):
    shape = {"CHW": (3, 4, 6), "HWC": (4, 6, 3), "HW": (4, 6)}[dataformats]
    column = written(log_dir, lambda w: w.add_image("i", np.zeros(shape), 4, 8.0, dataformats)).images["i"]
    assert (column.step.tolist(), column.wall_time.tolist(), len(column.value[0])) == ([4], [8.0], 1)


def test_add_images_writes_a_picture_for_each(log_dir):
    column = written(log_dir, lambda w: w.add_images("i", np.zeros((5, 3, 4, 6)), 4)).images["i"]
    assert len(column.value[0]) == 5


def test_add_text_writes_the_text_under_its_own_tag(log_dir):
    column = written(log_dir, lambda w: w.add_text("notes", "**bold**", 2, 9.0)).texts["notes"]
    assert (column.step.tolist(), column.wall_time.tolist(), column.value) == ([2], [9.0], ["**bold**"])


def test_a_description_of_a_scalar_is_said_not_to_be_written(log_dir):
    with pytest.warns(mb.MultiboardWarning, match=r"'loss'.*descriptions of scalars are not written"):
        written(log_dir, lambda w: w.add_scalar("loss", 1.0, 0, None, "shown as", "described"))


def test_export_scalars_to_json_holds_every_point(log_dir, tmp_path):
    path = tmp_path / "scalars.json"
    with mb.SummaryWriter(log_dir) as writer:
        for step in range(3):
            writer.add_scalar("loss", step / 2, step, 100.0 + step)
        writer.add_scalars("both", {"a": 7.0}, 5, 200.0, sub_runs=True)
        writer.export_scalars_to_json(path)
    assert json.loads(path.read_text()) == {
        "loss": [[100.0, 0, 0.0], [101.0, 1, 0.5], [102.0, 2, 1.0]],
        "both_a/both": [[200.0, 5, 7.0]],
    }


MISTAKES = {
    "kind": (lambda w: w.add_histogram("loss", [1.0], 0), mb.TagKindError),
    "step": (lambda w: w.add_scalar("loss", 1.0, "three"), mb.StepError),
    "step of two": (lambda w: w.add_scalar("loss", 1.0, np.arange(2)), mb.StepError),
    "step NaN": (lambda w: w.add_scalar("loss", 1.0, float("nan")), mb.StepError),
    "wall time": (lambda w: w.add_scalar("loss", 1.0, 0, "noon"), mb.ArgumentError),
    "scalars": (lambda w: w.add_scalars("m", [1.0], 0), mb.ValueKindError),
    "scalars of sub-runs": (lambda w: w.add_scalars("m", [1.0], 0, sub_runs=True), mb.ValueKindError),
    "hyper-parameters": (lambda w: w.add_hparams([1.0], {}), mb.ValueKindError),
    "metrics": (lambda w: w.add_hparams({}, [1.0]), mb.ValueKindError),
    "axes": (lambda w: w.add_image("i", np.zeros((3, 4, 4)), 0, dataformats="NCHW"), mb.ValueShapeError),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_first_step_is_an_error_of_ours(log_dir, mistake):
    call, error = MISTAKES[mistake]
    with mb.SummaryWriter(log_dir) as writer:
        writer.add_scalar("loss", 1.0, 0)
        with pytest.raises(error):
            call(writer)
