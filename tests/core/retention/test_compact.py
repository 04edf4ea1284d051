"""A run of many files becomes one file that holds every point."""

import os

import pytest

import multiboard as mb
from multiboard import proto
from multiboard.history import History
from multiboard.records import frame
from multiboard.retention.policy import Limits
from multiboard.retention.rewriting import rewrite


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def history(path):
    found = History()
    assert found.add_file(path.read_bytes()) == []
    return found


def test_every_point_is_in_the_one_file_that_is_left(resumed, assert_equal):
    before = mb.read(resumed)["."]
    files = names(resumed)
    assert len(files) > 5
    done = rewrite(resumed)
    after = mb.read(resumed)["."]
    assert names(resumed) == [f"{files[-1]}.whole"]
    assert_equal(after, before)
    assert (after.hparams, after.facts, after.status, after.damage) == (before.hparams, before.facts, "success", {})
    assert done.files == len(files)
    assert done.after == (resumed / names(resumed)[0]).stat().st_size < done.before
    assert done.left_alone == ""


def test_starts_stay_where_they_count(resumed):
    rewrite(resumed)
    (file,) = resumed.iterdir()
    starts = history(file).starts
    assert [start.step for start in starts] == [0, 40]


def test_a_second_time_there_is_nothing_to_do(resumed):
    rewrite(resumed)
    (file,) = resumed.iterdir()
    before = file.stat().st_ino
    done = rewrite(resumed)
    assert (done.before, done.left_alone) == (done.after, "")
    assert file.stat().st_ino == before


def test_a_run_that_goes_on_afterwards_sorts_behind_the_one_file(resumed, rest, assert_equal):
    rewrite(resumed)
    with mb.Run(resumed, resume=True) as run:
        assert run.start_step == 80
        run.log({"train/loss": 0.0}, 80)
    before = mb.read(resumed)["."]
    assert before.scalars["train/loss"].step[-1] == 80
    assert len(names(resumed)) == 2
    rest(resumed)
    rewrite(resumed)
    assert_equal(mb.read(resumed)["."], before)
    assert [name.count(".whole") for name in names(resumed)] == [1]


def test_the_time_of_the_last_write_and_the_permissions_stay(resumed):
    newest = resumed / names(resumed)[-1]
    newest.chmod(0o640)
    written = newest.stat().st_mtime
    rewrite(resumed)
    (file,) = resumed.iterdir()
    assert file.stat().st_mtime == pytest.approx(written, abs=1e-3)
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_dry_run_says_the_bytes_and_changes_nothing(resumed):
    before = {path.name: path.stat().st_ino for path in resumed.iterdir()}
    limits = Limits(media=3, histograms=4)
    said = rewrite(resumed, limits, act=False)
    assert {path.name: path.stat().st_ino for path in resumed.iterdir()} == before
    assert rewrite(resumed, limits) == said


def test_the_torn_record_of_a_killed_writer_is_cut_off(resumed, assert_equal):
    last = resumed / names(resumed)[-1]
    before = mb.read(resumed)["."]
    with last.open("ab") as file:
        file.write(frame(b"x" * 40)[:-3])
    os.utime(last, (0, 0))
    assert rewrite(resumed).left_alone == ""
    after = mb.read(resumed)["."]
    assert_equal(after, before)
    assert after.damage == {}


def test_a_damaged_run_is_left_alone(resumed):
    first = resumed / names(resumed)[0]
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    os.utime(first, (0, 0))
    before = names(resumed)
    done = rewrite(resumed)
    assert done.left_alone == f"{first.name} is damaged; `multiboard repair` writes a clean copy"
    assert done.before == done.after
    assert names(resumed) == before


@pytest.mark.parametrize("starts", [0, 1, 2])
def test_tensorboard_obeys_as_many_starts_as_before(log_dir, starts):
    """Its Python loader passes over the first one that it sees."""
    log_dir.mkdir()
    for number in range(3):
        events = [proto.Event(wall_time=1.0 + number, file_version="brain.Event:2")]
        if number >= 3 - starts:
            events.append(proto.Event(wall_time=1.0 + number, step=10 * number, session_log={"status": 1}))
        events.append(proto.Event(wall_time=2.0, step=10 * number, summary={"value": [{"tag": "x", "simple_value": 1.0}]}))
        path = log_dir / f"events.out.tfevents.{number}"
        path.write_bytes(b"".join(frame(event.SerializeToString()) for event in events))
        os.utime(path, (0, 0))
    assert rewrite(log_dir).left_alone == ""
    (file,) = log_dir.iterdir()
    obeyed = [start.step for start in history(file).starts]
    assert obeyed == {0: [0, 0], 1: [0], 2: [0, 20]}[starts]
    assert mb.read(log_dir)["."].scalars["x"].step.tolist() == [0, 10, 20]
