"""A repaired run holds every readable point that was not written again, in the order of its steps; the originals stay."""

import struct

import numpy as np
import pytest

import multiboard as mb
from multiboard import proto
from multiboard.records import frame


def write(path, *events):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(frame(event.SerializeToString()) for event in events))


def start(step, wall_time):
    return proto.Event(wall_time=wall_time, step=step, session_log={"status": 1})


def scalar(step, wall_time, value=0.0, tag="x"):
    return proto.Event(wall_time=wall_time, step=step, summary={"value": [{"tag": tag, "simple_value": value}]})


def line(run, tag="x"):
    column = run.scalars[tag]
    return list(zip(column.step.tolist(), column.value.tolist(), strict=True))


def repaired(path):
    report = mb.repair(path)
    return report, mb.read(report.out)["."]


@pytest.fixture
def broken(log_dir):
    """A run of two tags and a histogram; the sixth record has a wrong bit, and the end is cut."""
    with mb.Run(log_dir, config={"lr": 0.5}) as run:
        for step in range(30):
            run.log({"x": float(step), "y": -1.0}, step)
        run.histogram("h", [1.0, 2.0], 3)
    (file,) = log_dir.iterdir()
    data, offsets = bytearray(file.read_bytes()), [0]
    while offsets[-1] < len(data):
        offsets.append(offsets[-1] + 16 + struct.unpack_from("<Q", data, offsets[-1])[0])
    data[offsets[6] + 20] ^= 4
    file.write_bytes(data[:-3])
    return log_dir, file, offsets


def test_a_run_in_order_is_not_copied(log_dir):
    with mb.Run(log_dir) as run:
        for step in range(9):
            run.log({"x": 1.0}, step)
    report = mb.repair(log_dir)
    assert report.runs["."].copy is None
    assert not report.out.exists()


def test_damaged_files_become_clean_copies_with_all_other_records(broken):
    log_dir, file, offsets = broken
    before = file.read_bytes()
    damaged = mb.read(log_dir)["."]
    report, clean = repaired(log_dir)
    assert report.out == log_dir.with_name("run-repaired")
    found = report.runs["."].files[file.name]
    assert [place.offset for place in found.damage] == [offsets[6], offsets[-2]]
    assert [place.torn for place in found.damage] == [False, True]
    assert found.records == len(offsets) - 3
    assert found.overwritten == 0
    assert clean.damage == {}
    assert line(clean) == line(damaged)
    assert line(clean, "y") == line(damaged, "y")
    assert clean.hparams == {"lr": 0.5}
    np.testing.assert_array_equal(clean.histograms["h"].value[0], damaged.histograms["h"].value[0])
    assert file.read_bytes() == before
    assert list(log_dir.iterdir()) == [file]


def test_metadata_that_was_in_a_broken_record_is_put_back(log_dir):
    """Without it TensorBoard shows nothing of the tag; it comes from another file, or from what the values are."""
    with mb.Run(log_dir) as run:
        for step in range(20):
            run.log({"x": float(step)}, step)
    (file,) = log_dir.iterdir()
    data = bytearray(file.read_bytes())
    data[data.index(b"scalars")] ^= 1
    file.write_bytes(data)
    report, clean = repaired(log_dir)
    assert line(clean) == [(step, float(step)) for step in range(1, 20)]
    first = next(event for event in events_of(report.runs["."].copy) if event.summary.value)
    assert first.summary.value[0].metadata.plugin_data.plugin_name == "scalars"
    assert first.summary.value[0].metadata.data_class == 1


def events_of(file):
    from multiboard.records import unframe

    return [proto.Event.FromString(payload) for payload in unframe(file.read_bytes(), [])]


def test_points_that_a_resume_wrote_again_are_left_out_of_every_tag(log_dir):
    """SessionLog START at 5: also the tag that is not logged again ends there."""
    first = [scalar(step, 10 + step, 1.0, tag) for step in range(9) for tag in ("x", "gone")]
    write(log_dir / "tfevents.1", start(0, 9), *first)
    write(log_dir / "tfevents.2", start(5, 100), *(scalar(step, 100 + step, 2.0) for step in (5, 6)))
    report, clean = repaired(log_dir)
    assert line(clean) == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0), (5, 2.0), (6, 2.0)]
    assert clean.scalars["gone"].step.tolist() == [0, 1, 2, 3, 4]
    files = report.runs["."].files
    assert [(file.kept, file.overwritten) for file in files.values()] == [(10, 8), (2, 0)]
    assert not any(file.damage for file in files.values())


def test_one_event_may_keep_some_of_its_values(log_dir):
    with mb.Run(log_dir) as run:
        for step in range(20):
            run.log({"x": 1.0, "y": 1.0}, step)
        for step in range(15, 18):
            run.log({"x": 2.0}, step)
    _, clean = repaired(log_dir)
    assert line(clean) == [(step, 1.0) for step in range(15)] + [(step, 2.0) for step in range(15, 18)]
    assert line(clean, "y") == [(step, 1.0) for step in range(20)]


def test_a_later_file_without_a_start_writes_its_own_tags_again(log_dir):
    write(log_dir / "tfevents.1", *(scalar(step, step, 1.0, tag) for step in range(9) for tag in ("x", "other")))
    write(log_dir / "tfevents.2", *(scalar(step, 100 + step, 2.0) for step in (4, 8)))
    _, clean = repaired(log_dir)
    assert line(clean) == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0), (8, 2.0)]
    assert len(clean.scalars["other"]) == 9


def test_two_files_written_at_the_same_time_are_merged_and_nothing_is_left_out(log_dir):
    write(log_dir / "tfevents.1", start(0, 0), *(scalar(step, step, 1.0) for step in range(0, 10, 2)))
    write(log_dir / "tfevents.2", start(0, 0.5), *(scalar(step, step, 2.0) for step in range(1, 10, 2)))
    report, clean = repaired(log_dir)
    assert line(clean) == [(step, 1.0 + step % 2) for step in range(10)]
    assert report.runs["."].sorted


def test_a_late_point_is_put_in_its_place(log_dir):
    write(log_dir / "tfevents.1", *(scalar(step, 0, step) for step in [0, 1, 2, 5, 6, 3, 3, 7]))
    _, clean = repaired(log_dir)
    assert line(clean) == [(step, float(step)) for step in [0, 1, 2, 3, 3, 5, 6, 7]]


@pytest.mark.parametrize("seed", range(20))
def test_any_history_becomes_lines_that_do_not_go_back_and_repairing_again_finds_nothing(log_dir, seed):
    rng = np.random.default_rng(seed)
    for number in range(rng.integers(1, 4)):
        events = []
        for _ in range(rng.integers(1, 60)):
            step, time = int(rng.integers(0, 15)), number * 100 + float(rng.integers(0, 150))
            events.append(start(step, time) if rng.random() < 0.05 else scalar(step, time, rng.random(), rng.choice(["x", "y"])))
        write(log_dir / f"tfevents.{number}", *events)
    written = {(tag, *point) for tag in ("x", "y") for point in points_of(mb.read(log_dir)["."], tag)}
    report = mb.repair(log_dir)
    if report.runs["."].copy:
        clean = mb.read(report.out)["."]
        for tag, column in clean.scalars.items():
            assert (np.diff(column.step) >= 0).all()
            assert {(tag, *point) for point in points_of(clean, tag)} <= written
        assert mb.repair(report.out).runs["."].copy is None


def points_of(run, tag):
    column = run.scalars.get(tag)
    return list(zip(column.step.tolist(), column.wall_time.tolist(), column.value.tolist(), strict=True)) if column else []


def test_only_the_runs_that_need_it_are_copied_under_their_names(broken, tmp_path):
    log_dir, _, _ = broken
    mb.Run(log_dir / "below").close()
    report = mb.repair(log_dir.parent, tmp_path / "elsewhere")
    assert {name: run.copy is not None for name, run in report.runs.items()} == {"run": True, "run/below": False}
    assert list(mb.read(tmp_path / "elsewhere")) == ["run"]


def test_a_directory_with_event_files_is_refused_before_anything_is_written(broken):
    log_dir, file, _ = broken
    before = file.read_bytes()
    with pytest.raises(mb.ArgumentError, match=r"argument 'out' .* holds event files already"):
        mb.repair(log_dir, log_dir)
    mb.repair(log_dir)
    with pytest.raises(mb.ArgumentError, match="choose another directory"):
        mb.repair(log_dir)
    assert file.read_bytes() == before


def test_a_path_without_event_files_is_one_error(tmp_path):
    with pytest.raises(mb.ReadError, match="holds no event files"):
        mb.repair(tmp_path)


def test_a_graph_survives(log_dir):
    graph = proto.Event(wall_time=1, step=0, graph_def=b"graph")
    write(log_dir / "tfevents.1", graph, *(scalar(step, 2) for step in (0, 1, 2, 3, 1)))
    _, clean = repaired(log_dir)
    assert clean.graphs["Default"].value == [b"graph"]
    assert clean.scalars["x"].step.tolist() == [0, 1]
