"""A repaired run is a clean line in both loaders of TensorBoard, and the command says what it did."""

import subprocess
import sys

import numpy as np
import pytest

import multiboard as mb

COMMAND = [sys.executable, "-m", "multiboard.cli"]
POINTS = 30


def run_command(*arguments):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def write_zig_zag(log_dir):
    """A training that reached step 19, and went on from step 12 to 29 in another process, without one of the tags."""
    code = """
import sys
import multiboard as mb
first, last, value = map(int, sys.argv[2:])
with mb.Run(sys.argv[1]) as run:
    for step in range(first, last):
        run.log({"loss": value, **({"gone": 1.0} if value == 1 else {})}, step)
        run.histogram("h", [float(value)] * 4, step)
"""
    for first, last, value in ((0, 20, 1), (12, POINTS, 2)):
        subprocess.run([sys.executable, "-c", code, str(log_dir), str(first), str(last), str(value)], check=True, timeout=60)


def drop_starts(log_dir):
    """Take the SessionLog START out of the files: so they look when torch.utils.tensorboard or tensorboardX wrote them."""
    from multiboard import proto
    from multiboard.records import frame, unframe

    for file in log_dir.iterdir():
        payloads = list(unframe(file.read_bytes(), []))
        file.write_bytes(b"".join(frame(p) for p in payloads if not proto.Event.FromString(p).HasField("session_log")))


@pytest.fixture(scope="module")
def zig_zag(board_dir):
    """A run that zig-zags, and its repaired copy."""
    log_dir = board_dir / "zig-zag"
    write_zig_zag(log_dir)
    drop_starts(log_dir)
    return log_dir, mb.repair(log_dir)


@pytest.mark.usefixtures("zig_zag")
def test_a_repaired_run_has_steps_that_rise_in_both_loaders(board):
    points = board.wait_for(lambda: board.scalars("zig-zag-repaired", "loss"), lambda found: len(found) == POINTS)
    assert [step for _, step, _ in points] == list(range(POINTS))
    assert [value for _, _, value in points] == [1.0] * 12 + [2.0] * 18
    histograms = board.wait_for(
        lambda: board.json("data/plugin/histograms/histograms", run="zig-zag-repaired", tag="h"),
        lambda found: len(found) == POINTS,
    )
    assert [step for _, step, _ in histograms] == list(range(POINTS))


@pytest.mark.usefixtures("zig_zag")
def test_the_tag_that_was_not_logged_again_is_kept_as_far_as_it_goes_without_a_start(board):
    """No record says that its training was resumed, so nothing of it counts as written again."""
    points = board.wait_for(lambda: board.scalars("zig-zag-repaired", "gone"), lambda found: len(found) == 20)
    assert [step for _, step, _ in points] == list(range(20))


def test_a_repaired_file_reads_as_events_of_tensorflow(zig_zag):
    from tensorflow.core.util import event_pb2
    from tensorflow.data import TFRecordDataset

    copy = zig_zag[1].runs["."].copy
    events = [event_pb2.Event.FromString(record.numpy()) for record in TFRecordDataset(str(copy))]
    assert events[0].file_version == "brain.Event:2"
    assert events[1].session_log.status == 1
    losses = [event.step for event in events for value in event.summary.value if value.tag == "loss"]
    assert losses == list(range(POINTS))


def test_files_of_others_are_repaired_too(tmp_path):
    """Two writers of tensorboardX after each other in one directory, the first file cut."""
    from tensorboardX import SummaryWriter

    for first, last, value in ((0, 20, 1.0), (12, POINTS, 2.0)):
        with SummaryWriter(str(tmp_path / "run"), filename_suffix=f".{first:02d}") as writer:
            for step in range(first, last):
                writer.add_scalar("loss", value, step, walltime=100.0 * value + step)
    cut = min(file for file in (tmp_path / "run").iterdir() if file.name.endswith(".00"))
    cut.write_bytes(cut.read_bytes()[:-5])
    files = sorted((tmp_path / "run").iterdir())
    for number, file in enumerate(sorted(files, key=lambda file: file.name[-2:])):
        file.rename(file.with_name(f"events.out.tfevents.{number}"))
    report = mb.repair(tmp_path / "run")
    column = mb.read(report.out)["."].scalars["loss"]
    np.testing.assert_array_equal(column.step, np.arange(POINTS))
    np.testing.assert_array_equal(column.value, [1.0] * 12 + [2.0] * 18)


def test_the_command_says_per_file_what_was_found_and_kept(tmp_path):
    with mb.Run(tmp_path / "runs" / "a", facts=False) as run:
        for step in [*range(9), 4, 5]:
            run.scalar("x", 1.0, step)
    (file,) = (tmp_path / "runs" / "a").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-3])
    done = run_command("repair", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert f"{file.name}: 12 records readable, 5 points kept, 5 points left out" in done.stdout
    assert f"at byte {mb.read(tmp_path / 'runs')['a'].damage[file.name][0].offset}: the file ends inside a record" in done.stdout
    assert f"1 of 1 runs copied to {tmp_path / 'runs-repaired'}" in done.stdout
    assert file.read_bytes() == whole[:-3]
    again = run_command("repair", tmp_path / "runs")
    assert again.returncode == 1
    assert "choose another directory" in again.stderr


def test_the_command_shows_tags_steps_and_damage(tmp_path):
    with mb.Run(tmp_path / "a") as run:
        for step in range(3, 8):
            run.log({"x[0]": 1.0}, step)
        run.histogram("h", [1.0], 4)
    (file,) = (tmp_path / "a").iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    done = run_command("inspect", tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if "x[0]" in line]
    assert row.replace("│", " ").split()[:6] == ["a", "scalars", "x[0]", "5", "3", "7"]
    assert f"a/{file.name}: damaged at byte" in done.stdout


@pytest.mark.parametrize("command", ["repair", "inspect"])
def test_a_directory_without_event_files_is_one_sentence(tmp_path, command):
    done = run_command(command, tmp_path)
    assert done.returncode == 1
    assert "holds no event files" in done.stderr.splitlines()[-1]
