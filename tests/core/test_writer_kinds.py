"""For every further kind, the drop-in writer's method leaves the same summaries in the file as the method of `Run`."""

import numpy as np
import pytest

import multiboard as mb
from multiboard import proto
from multiboard.records import unframe

RNG = np.random.default_rng(0)
SOUND = RNG.uniform(-1, 1, 300)
CLIP = RNG.integers(0, 256, (2, 3, 3, 8, 6), np.uint8)
PICTURE = RNG.uniform(size=(3, 20, 30))
BOXES = np.array([[2, 3, 12, 9], [5, 5, 25, 18]])
LABELS, PREDICTIONS = RNG.integers(0, 2, 50), RNG.uniform(size=50)
ROWS = tuple(RNG.uniform(size=(6, 11)))
VERTICES, FACES = RNG.normal(size=(1, 4, 3)), np.array([[[0, 1, 2], [1, 2, 3]]])
COLORS = RNG.integers(0, 256, (1, 4, 3), np.uint8)
LAYOUT = {"losses": {"both": ["Multiline", ["a", "b"]], "band": ["Margin", ["v", "low", "high"]]}}

CALLS = {
    "audio": (lambda w: w.add_audio("x", SOUND, 3, 8000, 5.0), lambda r, t: r.audio("x", SOUND, 3, sample_rate=8000, **t)),
    "audio default": (lambda w: w.add_audio("x", SOUND, 3, walltime=5.0), lambda r, t: r.audio("x", SOUND, 3, **t)),
    "video": (lambda w: w.add_video("x", CLIP, 3, 10, 5.0), lambda r, t: r.video("x", CLIP, 3, fps=10, **t)),
    "video axes": (
        lambda w: w.add_video("x", CLIP.transpose(0, 1, 3, 4, 2), 3, 4, 5.0, "NTHWC"),
        lambda r, t: r.video("x", CLIP, 3, dataformats="NTCHW", **t),
    ),
    "boxes": (
        lambda w: w.add_image_with_boxes("x", PICTURE, BOXES, 3, 5.0, labels=["a", "b"]),
        lambda r, t: r.image("x", PICTURE, 3, boxes=BOXES, box_labels=["a", "b"], **t),
    ),
    "boxes by position, torch": (
        lambda w: w.add_image_with_boxes("x", PICTURE.transpose(1, 2, 0), BOXES, 3, 5.0, 1, "HWC", ["a", "b"]),
        lambda r, t: r.image("x", PICTURE, 3, boxes=BOXES, box_labels=["a", "b"], **t),
    ),
    "boxes by position, tensorboardX": (
        lambda w: w.add_image_with_boxes("x", PICTURE.transpose(1, 2, 0), BOXES, 3, 5.0, "HWC", ["a", "b"]),
        lambda r, t: r.image("x", PICTURE, 3, boxes=BOXES, box_labels=["a", "b"], **t),
    ),
    "boxes without labels, tensorboardX": (
        lambda w: w.add_image_with_boxes("x", PICTURE, BOXES, 3, 5.0, "CHW"),
        lambda r, t: r.image("x", PICTURE, 3, boxes=BOXES, **t),
    ),
    "tensor": (lambda w: w.add_tensor("x", PICTURE, 3, 5.0), lambda r, t: r.tensor("x", PICTURE, 3, **t)),
    "histogram_raw": (
        lambda w: w.add_histogram_raw("x", -1.5, 2.5, 6, 3.0, 9.0, [-1, 0, 1e308], [1, 2, 3], 3, 5.0),
        lambda r, t: r.histogram_raw("x", [-1.5, -1, 0], [-1, 0, 2.5], [1, 2, 3], 3, **t),
    ),
    "pr_curve": (
        lambda w: w.add_pr_curve("x", LABELS, PREDICTIONS, 3, 20, None, 5.0),
        lambda r, t: r.pr_curve("x", LABELS, PREDICTIONS, 3, num_thresholds=20, **t),
    ),
    "pr_curve weights": (
        lambda w: w.add_pr_curve("x", LABELS, PREDICTIONS, 3, weights=0.5, walltime=5.0),
        lambda r, t: r.pr_curve("x", LABELS, PREDICTIONS, 3, weights=0.5, **t),
    ),
    "pr_curve_raw": (lambda w: w.add_pr_curve_raw("x", *ROWS, 3, walltime=5.0), lambda r, t: r.pr_curve_raw("x", *ROWS, 3, **t)),
    "mesh": (
        lambda w: w.add_mesh("x", VERTICES, COLORS, FACES, {"cls": "a"}, 3, 5.0),
        lambda r, t: r.mesh("x", VERTICES, 3, faces=FACES, colors=COLORS, config={"cls": "a"}, **t),
    ),
    "layout": (lambda w: w.add_custom_scalars(LAYOUT), lambda r, _: r.layout(LAYOUT)),
    "multiline chart": (
        lambda w: w.add_custom_scalars_multilinechart(["a", "b"], "losses", "both"),
        lambda r, _: r.layout({"losses": {"both": ["Multiline", ["a", "b"]]}}),
    ),
    "margin chart": (
        lambda w: w.add_custom_scalars_marginchart(["v", "low", "high"]),
        lambda r, _: r.layout({"default": {"untitled": ["Margin", ["v", "low", "high"]]}}),
    ),
    "graph": (lambda w: w.add_graph(b"\n\x03\n\x01a"), lambda r, _: r.graph(b"\n\x03\n\x01a")),
}  # fmt: skip


def events(log_dir):
    """The events behind the two that begin a file; those of the whole run without their time, which is now."""
    (file,) = [path for path in log_dir.iterdir() if "tfevents" in path.name]
    found = [proto.Event.FromString(payload) for payload in unframe(file.read_bytes(), [])][2:]
    return [(event.step, event.wall_time if event.step else None, event.summary, event.graph_def) for event in found]


@pytest.mark.parametrize("kind", CALLS)
def test_the_same_summaries_are_written(tmp_path, kind):
    call, same = CALLS[kind]
    with mb.SummaryWriter(tmp_path / "writer") as writer:
        call(writer)
    with mb.Run(tmp_path / "run", facts=False) as run:
        same(run, {"wall_time": 5.0})
    assert events(tmp_path / "writer") == events(tmp_path / "run")
    assert events(tmp_path / "writer")


def test_an_embedding_is_the_same_files(tmp_path):
    vectors, sprite = RNG.normal(size=(3, 5)), RNG.uniform(size=(3, 3, 4, 4))
    rows = [["a", 1], ["b", 2], ["c", 3]]
    with mb.SummaryWriter(tmp_path / "writer") as writer:
        writer.add_embedding(vectors, rows, sprite, "7", "words", ["word", "number"])
        writer.add_embedding(vectors, ["a", "b", "c"])
    with mb.Run(tmp_path / "run", facts=False) as run:
        run.embedding("words", vectors, labels=rows, columns=["word", "number"], sprite=sprite, step=7)
        run.embedding("default", vectors, labels=["a", "b", "c"])
    files = {name: sorted((tmp_path / name).rglob("*")) for name in ("writer", "run")}
    contents = {
        name: {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in paths
            if path.is_file() and "tfevents" not in path.name
        }
        for name, paths in files.items()
    }
    assert contents["writer"] == contents["run"]
    assert len(contents["writer"]) == 6


def test_without_writing_to_disk_an_embedding_writes_no_file(tmp_path):
    with mb.SummaryWriter(tmp_path / "writer", write_to_disk=False) as writer:
        writer.add_embedding(np.zeros((3, 5)))
    assert list(tmp_path.iterdir()) == []


def test_a_rescaled_picture_is_said_to_keep_its_size(tmp_path):
    with mb.SummaryWriter(tmp_path) as writer, pytest.warns(mb.MultiboardWarning, match=r"rescale=2 is not applied"):
        writer.add_image_with_boxes("x", PICTURE, BOXES, rescale=2)


def test_a_model_has_no_graph_and_that_is_said(tmp_path):
    with mb.SummaryWriter(tmp_path) as writer, pytest.warns(mb.MultiboardWarning, match=r"no graph was written of the object"):
        writer.add_graph(object(), input_to_model=(1,))


def test_a_graph_message_is_written_as_its_bytes(tmp_path):
    message = proto.Event(step=1)
    with mb.SummaryWriter(tmp_path) as writer:
        writer.add_graph(message)
    assert [graph for *_, graph in events(tmp_path)] == [message.SerializeToString()]


MISTAKES = {
    "figure": lambda w: w.add_figure("x", "figure", 0),
    "bucket limits": lambda w: w.add_histogram_raw("x", 0, 1, 2, 1, 1, ["a"], [1], 0),
    "too few counts": lambda w: w.add_histogram_raw("x", 0, 1, 2, 1, 1, [0.5, 1], [1], 0),
    "audio axes": lambda w: w.add_audio("x", np.zeros((2, 2, 2, 2)), 0),
    "video axes": lambda w: w.add_video("x", CLIP[0], 0),
    "second layout": lambda w: [w.add_custom_scalars(LAYOUT), w.add_custom_scalars(LAYOUT)],
    "margin of two": lambda w: w.add_custom_scalars_marginchart(["a", "b"]),
    "curve": lambda w: w.add_pr_curve("x", LABELS, PREDICTIONS[:3], 0),
    "mesh": lambda w: w.add_mesh("x", np.zeros((4, 2)), global_step=0),
    "embedding": lambda w: w.add_embedding(np.zeros(3)),
    "graph": lambda w: w.add_graph(b""),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_first_step_is_an_error_of_ours(tmp_path, mistake):
    with mb.SummaryWriter(tmp_path) as writer, pytest.raises(mb.MultiboardError):
        MISTAKES[mistake](writer)
