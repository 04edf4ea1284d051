"""Old runs go, with what TensorBoard shows of them and nothing else."""

import os
import time

import numpy as np
import pytest

import multiboard as mb
from multiboard.retention.deletion import chosen, delete


@pytest.fixture
def runs(tmp_path):
    """Four runs, written 4, 3, 2 and 1 days ago."""
    found = []
    for days in (4, 3, 2, 1):
        directory = tmp_path / f"{days}-days"
        with mb.Run(directory) as run:
            run.log({"x": 1.0}, 0)
        for file in directory.iterdir():
            os.utime(file, (time.time() - days * 86400 - 60,) * 2)
        found.append(directory)
    return found


@pytest.mark.parametrize(
    ("keep_last", "days", "expected"),
    [(None, None, ""), (2, None, "43"), (0, None, "4321"), (9, None, ""), (None, 3, "43"), (3, 2, "4"), (1, 3, "43")],
)
def test_a_run_goes_if_both_rules_say_so(runs, keep_last, days, expected):
    found = chosen(runs[::-1], keep_last, None if days is None else days * 86400)
    assert "".join(path.name[0] for path in found) == expected


def test_files_of_others_and_runs_below_stay(tmp_path):
    log_dir = tmp_path / "run"
    with mb.Run(log_dir) as run:
        run.log({"x": 1.0}, 0)
        run.embedding("e", np.zeros((3, 2)), step=0)
        with run.child("val") as child:
            child.log({"x": 1.0}, 0)
    session = log_dir / "plugins" / "profile" / "one"
    session.mkdir(parents=True)
    (session / "host.xplane.pb").write_bytes(b"1234")
    (log_dir / "model.pt").write_bytes(b"weights")
    size = sum(path.stat().st_size for path in log_dir.rglob("*") if path.is_file() and "val" not in path.parts) - len(b"weights")
    said = delete(log_dir, idle=0, act=False)
    assert (said.size, said.others) == (size, 1)
    assert session.exists()
    assert delete(log_dir, idle=0) == said
    assert sorted(path.name for path in log_dir.iterdir()) == ["model.pt", "val"]
    assert len(mb.read(log_dir)["val"].scalars["x"]) == 1


def test_a_directory_that_is_empty_then_goes_too(runs):
    delete(runs[0])
    assert not runs[0].exists()


def test_what_only_looks_like_a_part_of_the_run_stays(tmp_path):
    """A program in a directory `projector`, an archive of event files, a session of nobody, and what a link leads to."""
    log_dir, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    with mb.Run(log_dir) as run:
        run.log({"x": 1.0}, 0)
        run.embedding("e", np.zeros((3, 2)), step=0)
    theirs = ("projector/model.py", "plugins/profile/views/__init__.py", "events.out.tfevents.1.gz", "weights.pt")
    for name in theirs:
        (log_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (log_dir / name).write_bytes(b"not of TensorBoard")
    elsewhere.mkdir()
    (elsewhere / "host.xplane.pb").write_bytes(b"1234")
    (elsewhere / "tensors.tsv").write_text("1\n")
    (log_dir / "plugins" / "profile" / "linked").symlink_to(elsewhere)
    with (log_dir / "projector_config.pbtxt").open("a") as config:
        config.write(
            'embeddings {\n tensor_path: "weights.pt"\n}\n'
            'embeddings {\n tensor_path: "../elsewhere/tensors.tsv"\n}\n'
            'embeddings {\n tensor_path: "projector/e"\n}\n'
        )
    assert delete(log_dir, idle=0).left_alone == ""
    left = {path.relative_to(log_dir).as_posix() for path in log_dir.rglob("*") if path.is_file()}
    assert left == set(theirs)
    assert len(list(elsewhere.iterdir())) == 2


def test_profiles_of_a_directory_behind_a_link_stay(runs, tmp_path):
    session = tmp_path / "shared" / "profile" / "one"
    session.mkdir(parents=True)
    (session / "host.xplane.pb").write_bytes(b"1234")
    (runs[0] / "plugins").symlink_to(tmp_path / "shared")
    delete(runs[0])
    assert (session / "host.xplane.pb").exists()
    assert [path.name for path in runs[0].iterdir()] == ["plugins"]


def test_the_event_files_go_last(runs, monkeypatch):
    """A run whose deletion is cut short is found again."""
    session = runs[0] / "plugins" / "profile" / "one"
    session.mkdir(parents=True)
    (session / "host.xplane.pb").write_bytes(b"1234")
    (event_file,) = runs[0].glob("events*")

    def stop(path, **_):
        raise PermissionError(path)

    monkeypatch.setattr("pathlib.Path.unlink", stop)
    with pytest.raises(PermissionError):
        delete(runs[0])
    assert event_file.exists()
    assert not session.exists()


def test_a_run_that_is_gone_meanwhile_is_left_alone(runs):
    session = runs[0] / "plugins" / "profile" / "one"
    session.mkdir(parents=True)
    (session / "host.xplane.pb").write_bytes(b"1234")
    (event_file,) = runs[0].glob("events*")
    event_file.rename(runs[0].parent / event_file.name)
    assert chosen(runs[:1], 0, None) == runs[:1]
    assert delete(runs[0]).left_alone == "it has no event files any more"
    assert session.exists()
