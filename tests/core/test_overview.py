"""Runs are counted without their values, and the counts are those of `mb.read`."""

import numpy as np
import pytest

import multiboard as mb
from multiboard import proto
from multiboard.overview import overview
from multiboard.records import frame

KINDS = ("scalars", "histograms", "images", "texts", "audios", "pr_curves", "meshes", "tensors", "graphs")


def read(path):
    """Return points, first and last step of each tag by what `mb.read` returns."""
    return {
        name: {
            (kind, tag): (len(column), column.step.min(), column.step.max())
            for kind in KINDS
            for tag, column in getattr(run, kind).items()
        }
        for name, run in mb.read(path).items()
    }


def counted(path):
    return {
        name: {key: (tag.points, tag.first, tag.last) for key, tag in run.tags.items()} for name, run in overview(path).items()
    }


def write(log_dir, values, steps=range(40)):
    """Write a file as other loggers do: an event for each step, of values given as fields."""
    log_dir.mkdir(exist_ok=True)
    events = [proto.Event(wall_time=1.0, file_version="brain.Event:2")]
    events += [proto.Event(wall_time=2.0, step=step, summary={"value": values(step)}) for step in steps]
    file = log_dir / f"events.out.tfevents.{len(list(log_dir.iterdir()))}"
    file.write_bytes(b"".join(frame(event.SerializeToString()) for event in events))
    return file


def metadata(plugin):
    return {"plugin_data": {"plugin_name": plugin}}


@pytest.fixture
def run_of_all_kinds(log_dir, sketch):
    random = np.random.default_rng(0)
    with mb.Run(log_dir / "all", config={"lr": 0.1}, max_file_bytes=30_000) as run:
        for step in range(-3, 300):
            run.log({"a": step, "b/c": float("nan")}, step)
            run.scalar("alone", 1.0, step * 2**20)
            if step % 10 == 0:
                run.histogram("h", random.normal(size=100), step)
                run.image("i", random.random((4, 4, 3)), step)
                run.text("t", "text" * step, step)
                run.audio("s", np.zeros(100), step, sample_rate=8000)
                run.mesh("m", np.zeros((1, 4, 3)), faces=np.zeros((1, 2, 3), np.int32), step=step)
                run.tensor("raw", np.float64(1), step)
                run.tensor("rows", np.arange(step + 10), step)
                run.pr_curve("p", [0, 1, 1], [0.1, 0.5, 0.9], step)
        run.graph(sketch.graph())
    with mb.Run(log_dir / "none"):
        pass
    return log_dir


def test_all_kinds_of_a_run(run_of_all_kinds):
    expected = read(run_of_all_kinds)
    assert {kind for kind, _ in expected["all"]} == set(KINDS)
    assert counted(run_of_all_kinds) == expected


def test_bytes_of_tags_are_those_of_the_file(run_of_all_kinds):
    found = overview(run_of_all_kinds)["all"]
    assert found.size == sum(file.stat().st_size for file in (run_of_all_kinds / "all").iterdir())
    assert len(found.files) > 3
    by_kind = {kind: sum(tag.size for (one, _), tag in found.tags.items() if one == kind) for kind in KINDS}
    assert found.size * 0.8 < sum(by_kind.values()) <= found.size
    assert found.tags["scalars", "a"].size == pytest.approx(found.tags["scalars", "b/c"].size, rel=0.01)
    assert 303 * 20 < found.tags["scalars", "a"].size < 303 * 40
    assert found.tags["images", "i"].size > 31 * 48


ONE = {"dtype": 1, "float_val": [1.0]}
TWO = {"dtype": 1, "float_val": [1.0, 2.0], "tensor_shape": {"dim": [{"size": 2}]}}
TEXT = {"dtype": 7, "string_val": [b"a"]}
HISTOGRAM = {"min": 0, "max": 1, "bucket_limit": [1], "bucket": [1]}
FOREIGN = {
    "numbers": [{"tag": "x", "simple_value": 1.0}],
    "older histograms": [{"tag": "h", "histo": HISTOGRAM}],
    "older media": [{"tag": "i", "image": {"encoded": b"png"}}, {"tag": "s", "audio": {"encoded": b"wav"}}],
    "two kinds": [{"tag": "x", "simple_value": 1.0}, {"tag": "x", "histo": HISTOGRAM}],
    "described tensors": [{"tag": "x", "tensor": ONE, "metadata": metadata("scalars")}],
    "one number": [{"tag": "x", "tensor": ONE}],
    "two numbers": [{"tag": "x", "tensor": TWO}],
    "an unknown plugin": [{"tag": "x", "tensor": TEXT, "metadata": metadata("unknown")}],
    "no value": [],
}


@pytest.mark.parametrize("values", FOREIGN.values(), ids=FOREIGN)
def test_files_of_other_loggers(log_dir, values):
    write(log_dir, lambda _: values)
    write(log_dir, lambda _: values, range(30, 33))
    assert counted(log_dir) == read(log_dir)


@pytest.mark.parametrize(("plugin", "tensor"), [("multiboard", ONE), ("scalars", ONE), ("text", TEXT)])
@pytest.mark.parametrize("late", [0, 7, 39, 50])
def test_files_that_describe_a_tag_late_or_never(log_dir, plugin, tensor, late):
    write(log_dir, lambda step: [{"tag": "x", "tensor": tensor, "metadata": metadata(plugin) if step == late else {}}])
    write(log_dir, lambda _: [{"tag": "x", "tensor": tensor}], range(30, 50))
    assert counted(log_dir) == read(log_dir)


def test_files_whose_events_differ(log_dir):
    write(log_dir, lambda step: [{"tag": f"x{i}", "simple_value": 1.0} for i in range(step % 4)])
    assert counted(log_dir) == read(log_dir)


def test_damage_is_found_where_reading_finds_it(log_dir):
    file = write(log_dir, lambda step: [{"tag": "x", "simple_value": 1.0}] if step % 2 else [{"tag": f"t{step}", "tensor": ONE}])
    data = bytearray(file.read_bytes())
    for place in (100, 300, 700):
        data[place] ^= 8
    file.write_bytes(data[:-2])
    (run,) = mb.read(log_dir).values()
    (found,) = overview(log_dir).values()
    assert len(found.damage[file.name]) > 3
    assert found.damage == run.damage
    assert counted(log_dir) == read(log_dir)


def test_only_the_wanted_runs_are_looked_at(run_of_all_kinds):
    assert list(overview(run_of_all_kinds, lambda name: name == "none")) == ["none"]


def test_a_run_is_live_as_long_as_somebody_writes_it(log_dir):
    with mb.Run(log_dir) as run:
        run.log({"x": 1.0}, 0)
        run.flush()
        (found,) = overview(log_dir).values()
        assert found.live
    (found,) = overview(log_dir).values()
    assert not found.live
    assert found.steps == (0, 0)
    assert found.written == max(file.stat().st_mtime for file in log_dir.iterdir())
