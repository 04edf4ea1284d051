"""Of media and histograms the first, the last and others at even distances stay; all else stays whole."""

import numpy as np
import pytest

import multiboard as mb
from multiboard import proto
from multiboard.records import frame
from multiboard.retention.policy import Limits
from multiboard.retention.rewriting import rewrite


def steps(run, kind):
    return {tag: column.step.tolist() for tag, column in getattr(run, kind).items()}


def test_at_most_so_many_points_of_a_tag_stay_and_no_scalar_goes(resumed):
    before = mb.read(resumed)["."]
    done = rewrite(resumed, Limits(media=4, histograms=8))
    after = mb.read(resumed)["."]
    assert after.histograms["params/kernel"].step.tolist() == [0, 11, 23, 34, 45, 56, 68, 79]
    assert after.images["picture"].step.tolist() == after.meshes["points_VERTEX"].step.tolist() == [0, 25, 50, 75]
    for kind in ("scalars", "texts", "tensors", "graphs"):
        assert steps(after, kind) == steps(before, kind)
    assert after.damage == {}
    assert done.thinned == sum(
        len(column) - len(getattr(after, kind)[tag])
        for kind in ("histograms", "images", "meshes")
        for tag, column in getattr(before, kind).items()
    )
    assert done.after < done.before / 2


def test_what_stays_is_what_it_was(resumed):
    before = mb.read(resumed)["."].histograms["params/kernel"]
    rewrite(resumed, Limits(histograms=8))
    after = mb.read(resumed)["."].histograms["params/kernel"]
    written = {(step, time): value for step, time, value in zip(before.step, before.wall_time, before.value, strict=True)}
    for step, time, value in zip(after.step, after.wall_time, after.value, strict=True):
        np.testing.assert_array_equal(value, written[step, time])


def test_tags_with_few_points_stay_as_they_are(resumed):
    before = mb.read(resumed)["."]
    assert rewrite(resumed, Limits(media=100, histograms=100)).thinned == 0
    assert steps(mb.read(resumed)["."], "histograms") == steps(before, "histograms")


def test_texts_go_only_if_asked_for_and_alerts_never(log_dir, rest):
    with mb.Run(log_dir) as run:
        for step in range(20):
            run.text("sample", "text", step)
            run.text("alerts/loss", "text", step)
            run.text("run/environment", "text", step)
    rest(log_dir)
    rewrite(log_dir, Limits(media=2, histograms=2))
    assert len(mb.read(log_dir)["."].texts["sample"]) == 20
    rewrite(log_dir, Limits(texts=2))
    found = steps(mb.read(log_dir)["."], "texts")
    assert found["sample"] == [0, 19]
    assert len(found["alerts/loss"]) == len(found["run/environment"]) == 20


def test_values_that_share_an_event_with_scalars_go_alone(log_dir):
    """Of the older form, as other loggers write it."""
    log_dir.mkdir()
    histogram = {"min": 0.0, "max": 1.0, "num": 1.0, "bucket_limit": [1.0], "bucket": [1.0]}
    events = [proto.Event(wall_time=1.0, file_version="brain.Event:2")]
    for step in range(9):
        values = [{"tag": "h", "histo": histogram}, {"tag": "x", "simple_value": 1.0}]
        events.append(proto.Event(wall_time=2.0, step=step, summary={"value": values}))
    (log_dir / "events.out.tfevents.1").write_bytes(b"".join(frame(event.SerializeToString()) for event in events))
    rewrite(log_dir, Limits(histograms=3), idle=0)
    after = mb.read(log_dir)["."]
    assert after.histograms["h"].step.tolist() == [0, 4, 8]
    assert after.scalars["x"].step.tolist() == list(range(9))


@pytest.mark.parametrize("late", [1, 3, 6])
def test_a_part_of_a_mesh_that_comes_late_keeps_the_event_that_describes_it(log_dir, rest, late):
    with mb.Run(log_dir) as run:
        for step in range(9):
            run.mesh("m", np.zeros((1, 4, 3)), colors=np.zeros((1, 4, 3), np.uint8) if step >= late else None, step=step)
    rest(log_dir)
    rewrite(log_dir, Limits(media=2))
    found = steps(mb.read(log_dir)["."], "meshes")
    assert found == {"m_VERTEX": [0, 8], "m_COLOR": [late, 8]}


def test_a_tag_whose_kind_cannot_be_told_stays_whole(log_dir):
    log_dir.mkdir()
    value = b"\x0a\x01x" + b"\x42\x00" + b"\x4a\x02\xff\xff"  # tag, tensor, and metadata that is no message
    records = [
        b"\x10" + bytes([step]) + b"\x2a" + bytes([len(value) + 2]) + b"\x0a" + bytes([len(value)]) + value for step in range(9)
    ]
    (log_dir / "events.out.tfevents.1").write_bytes(b"".join(map(frame, records)))
    assert rewrite(log_dir, Limits(2, 2, 2), idle=0).thinned == 0
