"""Only what a merged file stands for is passed over and deleted."""

import os
import shutil

import pytest

import multiboard as mb
from multiboard.merged_files import merged_files
from multiboard.records import frame
from multiboard.retention.policy import Limits
from multiboard.retention.rewriting import rewrite


@pytest.fixture
def copied_back(resumed, tmp_path):
    """A run of one file, and its files of before in another directory."""
    shutil.copytree(resumed, tmp_path / "copy")
    rewrite(resumed)
    return resumed, tmp_path / "copy"


def bring(file, directory):
    """Bring a file from elsewhere, as it was."""
    shutil.copy2(file, directory)
    return directory / file.name


@pytest.mark.parametrize("times", [1, 2])
def test_files_that_come_back_do_not_count_and_go_again(copied_back, assert_equal, times):
    run, copy = copied_back
    if times == 2:  # the second file stands for those of the first, too
        rewrite(run, Limits(histograms=1000, media=4))
    before = mb.read(run)["."]
    for file in copy.iterdir():
        bring(file, run)
    assert_equal(mb.read(run)["."], before)
    assert rewrite(run).changed
    assert len(list(run.iterdir())) == 1
    assert_equal(mb.read(run)["."], before)


def test_a_file_that_sorts_before_counts_if_it_was_not_merged(copied_back, tmp_path):
    """Of another logger on a computer whose clock was behind."""
    run, _ = copied_back
    with mb.SummaryWriter(tmp_path / "other") as writer:
        writer.add_scalar("late", 1.0, 3)
    (file,) = (tmp_path / "other").iterdir()
    shutil.copy2(file, run / "events.out.tfevents.1000000000.host")
    os.utime(run / "events.out.tfevents.1000000000.host", (0, 0))
    assert mb.read(run)["."].scalars["late"].step.tolist() == [3]
    assert rewrite(run).left_alone == ""
    assert mb.read(run)["."].scalars["late"].step.tolist() == [3]
    assert mb.read(run)["."].scalars["train/loss"].step.tolist() == [*range(60), *range(40, 80)]
    assert len(list(run.iterdir())) == 1


def test_a_file_that_has_grown_elsewhere_is_not_lost(copied_back, tmp_path):
    run, copy = copied_back
    with mb.Run(tmp_path / "more") as more:
        more.log({"more": 1.0}, 99)
    (tail,) = (tmp_path / "more").iterdir()
    last = max(copy.iterdir())
    with last.open("ab") as file:
        file.write(tail.read_bytes())
    os.utime(last, (0, 0))
    bring(last, run)
    assert mb.read(run)["."].scalars["more"].step.tolist() == [99]
    rewrite(run)
    assert mb.read(run)["."].scalars["more"].step.tolist() == [99]


@pytest.mark.parametrize(
    "data", [b"", b"1", frame(b"")[:-1], frame(b"") * 2, frame(b"") + frame(b"\x3a\x04\x1a\x02[]"), frame(b"\xff") * 2, b"x" * 99]
)
def test_a_file_that_says_nothing_stands_for_none(tmp_path, data):
    (tmp_path / "events.out.tfevents.2.whole").write_bytes(data)
    assert merged_files(tmp_path / "events.out.tfevents.2.whole") == {}
    (tmp_path / "events.out.tfevents.1").write_bytes(b"")
    assert list(mb.read(tmp_path)) == ["."]


def test_more_small_files_than_a_process_may_have_open(log_dir, rest):
    import resource

    with mb.Run(log_dir, max_file_bytes=200) as run:
        for step in range(120):
            run.text("x", "text" * 50, step)
    rest(log_dir)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert len(list(log_dir.iterdir())) > 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, hard))
    try:
        assert rewrite(log_dir).left_alone == ""
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(mb.read(log_dir)["."].texts["x"]) == 120
