"""A wrong call of any kind is one error that names the tag, and costs nothing else."""

import numpy as np
import pytest

import multiboard as mb

MISTAKES = {
    "histogram of two lengths": (lambda run: run.histogram_raw("k", [0, 1], [1], [1], 0), mb.ValueShapeError, "one length"),
    "audio of many channels": (lambda run: run.audio("k", np.zeros((50, 9)), 0), mb.ValueShapeError, r"\[T, C\]"),
    "audio of four axes": (lambda run: run.audio("k", np.zeros((2, 2, 2, 2)), 0), mb.ValueShapeError, r"\[N, T, C\]"),
    "audio of integers": (lambda run: run.audio("k", np.zeros(9, int), 0), mb.ValueKindError, "int16"),
    "audio without rate": (lambda run: run.audio("k", [0.0], 0, sample_rate=0), mb.ArgumentError, "sample_rate"),
    "audio at half a hertz": (lambda run: run.audio("k", [0.0], 0, sample_rate=0.5), mb.ArgumentError, "at least 1"),
    "video of two axes": (lambda run: run.video("k", np.zeros((3, 4)), 0), mb.ValueShapeError, "NTHWC"),
    "video of no frames": (lambda run: run.video("k", np.zeros((0, 4, 4, 3)), 0), mb.ValueShapeError, "one frame"),
    "video with wrong axes": (
        lambda run: run.video("k", np.zeros((2, 5, 5, 3)), 0, dataformats="TCHW"),
        mb.ValueShapeError,
        "dataformats='TCHW'",
    ),
    "video standing still": (lambda run: run.video("k", np.zeros((2, 4, 4, 3)), 0, fps=0), mb.ArgumentError, "fps"),
    "no figure": (lambda run: run.figure("k", np.zeros((4, 4)), 0), mb.ValueKindError, "matplotlib"),
    "no figures": (lambda run: run.figure("k", [], 0), mb.ValueKindError, "matplotlib"),
    "no table": (lambda run: run.table("k", "text", 0), mb.ValueKindError, "list of dicts"),
    "ragged table": (lambda run: run.table("k", [[1], [1, 2]], 0), mb.ValueShapeError, "2 cells"),
    "ragged columns": (lambda run: run.table("k", {"a": [1], "b": [1, 2]}, 0), mb.ValueShapeError, "1 cells"),
    "table without columns": (lambda run: run.table("k", [], 0), mb.ValueShapeError, "columns="),
    "unknown column": (lambda run: run.table("k", {"a": [1]}, 0, columns=["b"]), mb.ValueKindError, "'b'"),
    "curve of two lengths": (lambda run: run.pr_curve("k", [1, 0], [0.5], 0), mb.ValueShapeError, r"predictions.*\[2\]"),
    "curve of two weights": (
        lambda run: run.pr_curve("k", [1, 0, 1], [0.5] * 3, 0, weights=[1, 2]),
        mb.ValueShapeError,
        "weights",
    ),
    "curve of one threshold": (
        lambda run: run.pr_curve("k", [1], [0.5], 0, num_thresholds=1),
        mb.ArgumentError,
        "num_thresholds",
    ),
    "raw curve of two lengths": (
        lambda run: run.pr_curve_raw("k", *[[0, 1]] * 5, [0], 0),
        mb.ValueShapeError,
        "recall",
    ),
    "flat mesh": (lambda run: run.mesh("k", np.zeros((5, 2)), 0), mb.ValueShapeError, r"\[V, 3\]"),
    "mesh of two batches": (
        lambda run: run.mesh("k", np.zeros((2, 5, 3)), 0, faces=np.zeros((1, 5, 3), int)),
        mb.ValueShapeError,
        "each part",
    ),
    "colours of other vertices": (
        lambda run: run.mesh("k", np.zeros((5, 3)), 0, colors=np.zeros((4, 3))),
        mb.ValueShapeError,
        "colors",
    ),
    "mesh with an odd config": (
        lambda run: run.mesh("k", np.zeros((5, 3)), 0, config={"a": object()}),
        mb.ArgumentError,
        "JSON",
    ),
    "tensor of words": (lambda run: run.tensor("k", ["a"], 0), mb.ValueKindError, "array of numbers"),
    "embedding of one axis": (lambda run: run.embedding("k", [1.0], step=0), mb.ValueShapeError, r"\[N, D\]"),
    "embedding with one label": (
        lambda run: run.embedding("k", np.zeros((2, 2)), labels=["a"], step=0),
        mb.ValueShapeError,
        "2 vectors",
    ),
    "embedding with odd columns": (
        lambda run: run.embedding("k", np.zeros((1, 2)), labels=[["a", "b"]], columns=["c"], step=0),
        mb.ArgumentError,
        "columns",
    ),
    "embedding with one picture": (
        lambda run: run.embedding("k", np.zeros((2, 2)), sprite=np.zeros((1, 4, 4)), step=0),
        mb.ValueShapeError,
        "sprite",
    ),
    "boxes of three numbers": (
        lambda run: run.image("k", np.zeros((4, 4)), 0, boxes=[[0, 0, 1]]),
        mb.ValueShapeError,
        "x0, y0, x1, y1",
    ),
    "box without label": (
        lambda run: run.image("k", np.zeros((4, 4)), 0, boxes=[[0, 0, 1, 1]], box_labels=[]),
        mb.ArgumentError,
        "one label for each of the 1 boxes",
    ),
    "mask of another size": (
        lambda run: run.segmentation("k", np.zeros((4, 4)), np.zeros((4, 5), int), 0),
        mb.ValueShapeError,
        "the mask",
    ),
    "mask beyond opaque": (
        lambda run: run.segmentation("k", np.zeros((4, 4)), np.zeros((4, 4), int), 0, alpha=2),
        mb.ArgumentError,
        "alpha",
    ),
    "no palette": (
        lambda run: run.segmentation("k", np.zeros((4, 4)), np.zeros((4, 4), int), 0, palette=[1]),
        mb.ArgumentError,
        "palette",
    ),
    "matrix of two lengths": (lambda run: run.confusion_matrix("k", [1, 0], [1], 0), mb.ValueShapeError, "predictions"),
    "matrix of no class": (lambda run: run.confusion_matrix("k", [1], [1], 0, classes=[]), mb.ArgumentError, "classes"),
    "list as tag": (lambda run: run.roc_curve(["k"], [1], [1.0], 0), mb.TagError, "list"),
    "list as tag of a mesh": (lambda run: run.mesh(["k"], np.zeros((5, 3)), 0), mb.TagError, "list"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_in_the_first_step_it_raises(log_dir, mistake):
    call, error, message = MISTAKES[mistake]
    with mb.Run(log_dir) as run, pytest.raises(error, match=message):
        call(run)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_later_it_is_one_warning_and_the_run_goes_on(log_dir, mistake):
    call, _, message = MISTAKES[mistake]
    with pytest.warns(mb.MultiboardWarning, match=message), mb.Run(log_dir) as run:
        for step in range(3):
            run.log({"loss": 1.0}, step)
        call(run)
        run.log({"loss": 1.0}, 3)
    assert mb.read(log_dir)["."].scalars["loss"].step.tolist() == [0, 1, 2, 3]


KINDS = {
    "audio": lambda run, tag: run.audio(tag, [0.0], 0),
    "video": lambda run, tag: run.video(tag, np.zeros((2, 4, 4, 3)), 0),
    "pr_curve": lambda run, tag: run.pr_curve(tag, [1], [0.5], 0),
    "mesh": lambda run, tag: run.mesh(tag, np.zeros((5, 3)), 0),
    "tensor": lambda run, tag: run.tensor(tag, [1.0], 0),
    "embedding": lambda run, tag: run.embedding(tag, [[1.0]]),
    "graph": lambda run, tag: run.graph(b"\x0a\x00", tag=tag),
    "image": lambda run, tag: run.confusion_matrix(tag, [1], [1], 0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_tag_with_another_kind_is_refused(log_dir, kind):
    with mb.Run(log_dir) as run:
        run.text("k", "text", 0)
        with pytest.raises(mb.TagKindError, match=rf"'k' is a text in this run.*'k/{kind}'"):
            KINDS[kind](run, "k")
