"""`multiboard convert` says what it wrote, what could not stay as it was, and ends with 1 if there is nothing."""

import pytest
from click.testing import CliRunner

import multiboard as mb
from multiboard import proto
from multiboard.cli import main
from multiboard.records import frame


@pytest.fixture
def command():
    return lambda *arguments: CliRunner().invoke(main, ["convert", *map(str, arguments)])


@pytest.fixture
def old(tmp_path):
    def event(tag, step):
        made = proto.Event(wall_time=1.0, step=step)
        made.summary.value.add(tag=tag).simple_value = 1.0
        return frame(made.SerializeToString())

    for name, tag in {".": "x", "loss_train": "loss"}.items():
        (tmp_path / "old" / name).mkdir(parents=True, exist_ok=True)
        data = b"".join(event(tag, step) for step in range(1200))
        (tmp_path / "old" / name / "events.out.tfevents.1").write_bytes(data if name == "." else data[:-3])
    (tmp_path / "old" / "model.pt").write_bytes(b"weights")
    return tmp_path / "old"


def test_the_report_has_a_line_per_run(command, old, tmp_path):
    done = command(old, tmp_path / "new")
    assert done.exit_code == 0
    *lines, damage, last = done.output.splitlines()
    assert lines == [
        ".: 1,200 events, 1,200 scalar",
        "  1 other file was not copied: TensorBoard does not read it",
        "loss_train: 1,199 events, 1,199 scalar",
    ]
    assert damage.startswith("  events.out.tfevents.1, byte ")
    assert damage.endswith("the file ends inside a record of 27 bytes")
    assert last == f"2,399 values of 2 runs are in 2 runs in {tmp_path / 'new'}"


def test_merged_runs_are_named(command, old, tmp_path):
    done = command(old, tmp_path / "new", "--merge-sub-runs")
    assert f"loss_train: 1,199 events, 1,199 scalar, merged into {tmp_path / 'new'}" in done.output
    assert list(mb.read(tmp_path / "new")) == ["."]


def test_of_many_tags_that_lose_something_a_few_are_named(command, tmp_path):
    (tmp_path / "old").mkdir()
    with (tmp_path / "old" / "events.out.tfevents.1").open("wb") as file:
        for tag in range(20):
            made = proto.Event(wall_time=1.0)
            value = made.summary.value.add(tag=f"x{tag}")
            value.tensor.dtype = 2
            value.tensor.double_val.append(0.1)
            file.write(frame(made.SerializeToString()))
    lines = command(tmp_path / "old", tmp_path / "new").output.splitlines()
    assert lines[1] == "  tag 'x0' has numbers of higher precision than float32, to which they are rounded."
    assert lines[6] == "  and 15 more tags with such changes"
    assert len(lines) == 8


@pytest.mark.parametrize("place", ["old", "nothing"])
def test_a_mistake_is_one_line(command, old, tmp_path, place):
    (tmp_path / "nothing").mkdir()
    done = command(tmp_path / place, old)
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
    assert done.output.startswith("Error: ")


def test_a_log_on_a_url_is_converted_to_a_directory(command, old, tmp_path, monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fsspec.filesystem("memory").put(str(old), f"/{tmp_path.name}/old", recursive=True)
    done = command(f"memory://{tmp_path.name}/old", tmp_path / "new")
    assert done.exit_code == 0, done.output
    assert sorted(mb.read(tmp_path / "new")) == [".", "loss_train"]
