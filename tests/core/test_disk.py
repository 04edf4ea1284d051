"""Disks that fail and directories that vanish: the training goes on, and the file has no bad frame in the middle."""

import errno
import os
import shutil

import numpy as np
import pytest

import multiboard as mb


@pytest.fixture
def failing_writes(monkeypatch):
    """A dict: set 'error' to make every write of the process fail half-way with that errno."""
    state = {"error": None, "failed": 0}
    write = os.write

    def failing(descriptor, data):
        if state["error"] is None or descriptor < 3:
            return write(descriptor, data)
        if len(data) > 20:
            return write(descriptor, bytes(data[:20]))  # a part of a record is on the disk before the error comes
        state["failed"] += 1
        raise OSError(state["error"], os.strerror(state["error"]))

    monkeypatch.setattr("multiboard.files.os.write", failing)
    return state


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_values_wait_in_memory_until_the_disk_takes_them(log_dir, failing_writes, error):
    with (
        pytest.warns(mb.MultiboardWarning, match=f"cannot be written .{os.strerror(error)}.|counted while") as said,
        mb.Run(log_dir) as run,
    ):
        for step in range(300):
            failing_writes["error"] = error if 100 <= step < 200 else None
            run.log({"x": float(step)}, step)
            run.histogram("h", [1.0], step)
            if step % 50 == 49:
                assert run.flush() is not (100 <= step < 200)
    assert len([w for w in said if "cannot be written" in str(w.message)]) == 1
    assert failing_writes["failed"] > 0
    data = mb.read(log_dir)["."]
    assert not data.damage
    assert data.scalars["x"].step.tolist() == data.histograms["h"].step.tolist() == list(range(300))


def test_a_directory_that_was_deleted_is_made_again_and_said_once(log_dir):
    message = "was deleted while the run was writing; it goes on in a new file"
    with pytest.warns(mb.MultiboardWarning, match=message) as said, mb.Run(log_dir) as run:
        for step in range(100):
            if step == 30:
                assert run.flush()
                shutil.rmtree(log_dir)
            run.log({"x": float(step)}, step)
            run.image("i", np.zeros((2, 2)), step)
            if step % 20 == 19:
                assert run.flush()
    assert len([w for w in said if "was deleted" in str(w.message)]) == 1
    data = mb.read(log_dir)["."]
    assert data.scalars["x"].step.tolist() == data.images["i"].step.tolist() == list(range(30, 100))
    assert not data.damage


def test_a_file_that_was_replaced_is_left_alone(log_dir, steps):
    with pytest.warns(mb.MultiboardWarning, match="was deleted"), mb.Run(log_dir) as run:
        run.log({"x": 0.0}, 0)
        assert run.flush()
        (file,) = log_dir.iterdir()
        file.unlink()
        file.write_bytes(b"of somebody else")
        run.log({"x": 1.0}, 1)
    assert file.read_bytes() == b"of somebody else"
    assert len(list(log_dir.iterdir())) == 2
    file.unlink()
    assert steps(log_dir) == [1]


def test_a_directory_that_cannot_be_made_again_costs_no_exception(log_dir, tmp_path, steps):
    with pytest.warns(mb.MultiboardWarning), mb.Run(log_dir) as run:
        run.log({"x": 0.0}, 0)
        assert run.flush()
        shutil.rmtree(log_dir)
        log_dir.write_bytes(b"a file in the way")
        for step in range(1, 50):
            run.log({"x": float(step)}, step)
        run.flush()
        log_dir.unlink()
        for step in range(50, 100):
            run.log({"x": float(step)}, step)
    assert steps(log_dir)[-50:] == list(range(50, 100))
    assert tmp_path.exists()
