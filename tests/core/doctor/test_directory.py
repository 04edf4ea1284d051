"""The doctor looks at a log directory: whether it can be written, and what is wrong with its runs."""

import pytest

import multiboard as mb
from multiboard.doctor import State, directory


def found(path):
    return {one.subject: one for one in directory.examine(path)}


def test_a_directory_in_order(log_dir):
    with mb.Run(log_dir / "one") as run:
        run.log({"x": 1.0}, 0)
    said = found(log_dir)
    assert {one.state for name, one in said.items() if name not in {"space", "file system"}} == {State.GOOD}
    assert said["writing"].text == f"{log_dir} can be written"
    assert said["runs"].text.startswith("1 runs, ")


def test_a_directory_that_is_not_there_yet(tmp_path):
    assert found(tmp_path / "a" / "b")["writing"].text == f"{tmp_path / 'a' / 'b'} can be created"


def test_a_file_in_the_place_of_the_directory(tmp_path):
    (tmp_path / "file").touch()
    assert found(tmp_path / "file" / "runs")["directory"].state is State.WRONG


def test_a_directory_in_which_nothing_can_be_created():
    assert found("/proc/runs")["writing"].state is State.WRONG


def test_damage_of_a_run_that_nobody_writes(log_dir):
    with mb.Run(log_dir / "one") as run:
        for step in range(9):
            run.text("x", "text", step)
        run.flush()
        (file,) = (log_dir / "one").iterdir()
        with file.open("ab") as torn:
            torn.write(b"1234")
        assert "one" not in found(log_dir)  # it may be on its way
    said = found(log_dir)["one"]
    assert said.state is State.CARE
    assert said.remedy == f"multiboard repair {log_dir / 'one'}"


def test_a_directory_that_cannot_be_looked_at_and_a_run_that_cannot_be_read(log_dir, monkeypatch):
    assert found(log_dir / ("x" * 300))["writing"].state is State.GOOD
    with mb.Run(log_dir / "one") as run:
        run.log({"x": 1.0}, 0)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    said = list(directory.examine(log_dir))[-1]
    assert said.state is State.WRONG
    assert said.text.endswith(" cannot be read: Permission denied")


def test_two_writers_of_one_run(log_dir):
    runs = [mb.Run(log_dir / "one", per_rank=None, on_error=lambda *_: None) for _ in range(2)]
    assert found(log_dir)["live files"].remedy == "multiboard serve passes --reload_multifile=true"
    for run in runs:
        run.close()


def test_a_run_of_many_files(log_dir):
    with mb.Run(log_dir / "one", max_file_bytes=200) as run:
        for step in range(60):
            run.text("x", "text" * 50, step)
    assert found(log_dir)["one"].remedy == f"multiboard compact {log_dir / 'one'}"


def test_large_runs_are_named_and_not_read(log_dir, monkeypatch):
    with mb.Run(log_dir / "one") as run:
        run.log({"x": 1.0}, 0)
    monkeypatch.setattr(directory, "_HUGE", 10)
    assert found(log_dir)["one"].remedy == f"multiboard prune {log_dir / 'one'} --media 20 --histograms 200"
    monkeypatch.setattr(directory, "_READ", 10)
    assert "not looked at for damage" in found(log_dir)["runs"].text
    assert "one" not in found(log_dir)


@pytest.mark.parametrize(("free", "state"), [(1e12, State.GOOD), (1e9, State.CARE), (1e6, State.WRONG)])
def test_a_disk_that_is_nearly_full(log_dir, monkeypatch, free, state):
    monkeypatch.setattr(directory.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free}))
    assert found(log_dir)["space"].state is state


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"a / ext4 rw 0 0\nb {tmp_path} nfs4 rw 0 0\nc {tmp_path}x tmpfs rw 0 0\n")
    monkeypatch.setattr(directory, "_MOUNTS", mounts)
    assert found(tmp_path)["file system"].text.startswith("nfs4, over a network")
    mounts.write_text(f"a / nfs rw 0 0\nb {tmp_path} fuseblk rw 0 0\n")
    assert found(tmp_path)["file system"].state is State.GOOD
