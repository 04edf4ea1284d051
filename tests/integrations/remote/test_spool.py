"""The spool: bounded, locked, without credentials, and finished by whoever comes next."""

import errno
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import multiboard as mb
from multiboard.backlog import Backlog
from multiboard.cli import main
from multiboard.remote import RemoteOptions
from multiboard.remote.spool import Spool, size_of
from multiboard.remote.spools import waiting
from multiboard.remote.store import Store
from multiboard.urls import join

PASSWORD = "pa55-w0rd-of-nobody"  # noqa: S105


@pytest.fixture
def spool(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "multiboard" / "spool"


def leave_behind(url, proxy, faults, steps, **options):
    """Let a run end while its store refuses everything."""
    proxy.inject(faults["denied"], times=1e9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mb.Run(url, resume=True, remote=RemoteOptions(proxy.options(), close_timeout=0.1, **options)) as run:
            for step in steps:
                run.log({"x": float(step)}, step)
    proxy.mend()


def test_a_full_spool_is_a_full_disk_and_scalars_outlive_histograms(spool, proxy, bucket, faults, fetched):
    url, limit = join(bucket, "first"), 300_000
    proxy.inject(faults["slow down"], times=1e9)
    values = np.random.default_rng(0).normal(size=5000)
    with (
        pytest.warns(mb.MultiboardWarning, match="spool_bytes=300000|kind histogram are dropped|counted while"),
        mb.Run(url, memory_bytes=500_000, remote=RemoteOptions(proxy.options(), spool_bytes=limit, upload_every=0.1)) as run,
    ):
        for step in range(300):
            run.log({"x": float(step)}, step)
            for tag in range(10):
                run.histogram(f"h{tag}", values, step)
            time.sleep(0.005)
        assert size_of(spool) < 1.2 * limit
        proxy.mend()
    data = mb.read(fetched(url))["."]
    assert data.scalars["x"].step.tolist() == list(range(300))
    dropped = data.scalars["multiboard/dropped/histogram"].value[-1]
    assert sum(len(column) for column in data.histograms.values()) + dropped == 3000
    assert not list(spool.iterdir())


def test_a_spool_that_is_smaller_than_the_run_makes_room_by_uploading(spool, bucket, fetched):
    url = join(bucket, "first")
    with mb.Run(url, remote=RemoteOptions(spool_bytes=200_000)) as run:
        for step in range(10_000):
            run.log({"x": float(step), "y": 1.0}, step)
            if step % 500 == 0:
                time.sleep(0.05)
                assert size_of(spool) < 400_000
    assert mb.read(fetched(url))["."].scalars["x"].step.tolist() == list(range(10_000))


def test_uploads_lists_what_waits_and_finishes_it(spool, proxy, bucket, faults, fetched):
    url = join(bucket, "runs/first")
    leave_behind(url, proxy, faults, range(5))
    leave_behind(join(bucket, "runs/second"), proxy, faults, range(3))
    listed = CliRunner().invoke(main, ["upload"], env={"COLUMNS": "200"})
    assert listed.exit_code == 0
    assert url in listed.output
    assert "a process that has ended" in listed.output
    below = CliRunner().invoke(main, ["upload", url])
    assert below.exit_code == 0, below.output
    assert mb.read(fetched(url))["."].scalars["x"].step.tolist() == list(range(5))
    assert len(list(spool.iterdir())) == 1
    assert CliRunner().invoke(main, ["upload", "--all"]).exit_code == 0
    assert not list(spool.iterdir())
    assert "nothing waits" in CliRunner().invoke(main, ["upload"]).output


def test_upload_says_what_fails_and_leaves_it(spool, proxy, bucket, faults):
    url = join(bucket, "first")
    leave_behind(url, proxy, faults, range(5))
    proxy.inject(faults["denied"], times=1e9, method="")
    result = CliRunner().invoke(main, ["upload", url], env={"AWS_ENDPOINT_URL": proxy.address})
    assert result.exit_code == 1
    assert "cannot" in result.output
    assert "1 of 1 runs still wait" in result.output
    assert len(list(spool.iterdir())) == 1


def test_the_spool_of_a_process_that_lives_is_left_alone(spool, bucket):
    url = join(bucket, "first")
    with mb.Run(url) as run:
        run.log({"x": 1.0}, 0)
        run.flush()
        result = CliRunner().invoke(main, ["upload", url])
        assert result.exit_code == 1
        assert "still writes" in result.output
        assert Path(run.log_dir).is_dir()
    assert not list(spool.iterdir())


def test_credentials_are_in_no_warning_no_file_and_no_object(spool, proxy, bucket, faults, fetched, caplog, wait_for):
    options = proxy.options()
    secret = options["secret"]
    url = join(bucket, "first")
    denied = faults["denied"]._replace(message=f"the key {secret} is refused")
    with warnings.catch_warnings(record=True) as said, caplog.at_level("DEBUG", "multiboard"):
        warnings.simplefilter("always")
        with mb.Run(url, remote=RemoteOptions(options, upload_every=0.05, close_timeout=0.1)) as run:
            proxy.inject(denied, times=1e9)
            run.log({"x": 1.0}, 0)
            wait_for(lambda: proxy.met)
            assert secret not in repr(run)
        proxy.mend()
        kept = b"".join(path.read_bytes() for path in spool.rglob("*") if path.is_file())
        with mb.Run(url, resume=True, remote=RemoteOptions(options)):
            pass
    texts = " ".join([*(str(warning.message) for warning in said), caplog.text, repr(RemoteOptions(options))])
    assert "Nothing is lost" in texts
    assert secret not in texts
    assert kept
    assert secret.encode() not in kept
    arrived = [path.read_bytes() for path in fetched(url).rglob("*") if path.is_file()]
    assert arrived
    assert not [data for data in arrived if secret.encode() in data]


def test_the_password_of_a_url_is_not_kept_and_asked_for(spool, tmp_path):
    place = tmp_path / "store"
    script = tmp_path / "train.py"
    script.write_text(
        "import os, signal, sys, multiboard as mb\n"
        "run = mb.Run(sys.argv[1])\n"
        "run.log({'x': 1.0}, 0)\n"
        "run.flush()\n"
        "print(run.url, run.log_dir, run)\n"
        "sys.stdout.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    url = f"memory://me:{PASSWORD}@host{place}/first"
    result = subprocess.run([sys.executable, str(script), url], check=False, capture_output=True, text=True, timeout=60)
    assert "***@host" in result.stdout
    assert PASSWORD not in result.stdout + result.stderr
    kept = [path.read_bytes() for path in spool.rglob("*") if path.is_file()]
    assert len(kept) > 2
    assert not [data for data in kept if PASSWORD.encode() in data]
    refused = CliRunner().invoke(main, ["upload", "--all"])
    assert refused.exit_code == 1
    assert "pass the URL with its user and password" in refused.output
    assert CliRunner().invoke(main, ["upload", url]).exit_code == 0
    assert any("step0" in name for name in Store(url).list())
    assert not list(spool.iterdir())


def test_a_segment_that_somebody_deletes_is_said_and_holds_up_nothing(spool, proxy, bucket, faults, wait_for):
    url = join(bucket, "first")
    with (
        pytest.warns(mb.MultiboardWarning, match="was deleted before|Nothing is lost|counted while") as said,
        mb.Run(url, remote=RemoteOptions(proxy.options(), upload_every=0.05)) as run,
    ):
        proxy.inject(faults["denied"], times=1e9)
        run.log({"x": 1.0}, 0)
        wait_for(lambda: "upload refused" in run._reports.counts)
        run.log({"x": 1.0}, 1)
        (segment,) = spool.glob("*/first/*.step0")
        segment.unlink()
        proxy.mend()
    assert run._lane.sink._directory._room.used <= 0
    assert any(f"{segment} was deleted before it was uploaded" in str(warning.message) for warning in said)
    ends = [name.rpartition(".")[2] for name in Store(url).list()]
    assert [end for end in ends if end != "nostep"] == ["step1"]


def test_what_never_became_a_spool_is_tidied_up_and_foreign_directories_stay(spool, bucket):
    unborn, foreign = spool / "1700000000-0123abcd", spool / "notes"
    for directory in (unborn, foreign):
        directory.mkdir(parents=True)
        os.utime(directory, (1_700_000_000, 1_700_000_000))
    with mb.Run(join(bucket, "first")) as run:
        run.log({"x": 1.0}, 0)
    assert list(spool.iterdir()) == [foreign]


def test_a_spool_that_names_a_directory_elsewhere_is_none(spool, tmp_path):
    hostile = spool / "1700000000-0123abcd"
    hostile.mkdir(parents=True)
    for name in ("../../secrets", "..", ".", "", "/etc", 7):
        about = {"url": f"file://{tmp_path}/store", "complete": True, "token": "0123abcd", "name": name, "host": "h", "pid": 1}
        (hostile / "spool.json").write_text(json.dumps(about))
        assert waiting(str(spool)) == []
    assert Path(Spool.create(str(spool), "file:///runs/..", complete=True).log_dir).name == "run"


@pytest.mark.parametrize("fails", ["last records", "descriptor"])
def test_a_file_that_cannot_be_closed_is_uploaded_all_the_same(spool, tmp_path, fetched, monkeypatch, fails):
    def failing(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    url = f"file://{tmp_path}/store/first"
    with pytest.warns(mb.MultiboardWarning, match="Input/output|counted while"), mb.Run(url) as run:
        run.log({"x": 1.0}, 0)
        run.flush()
        monkeypatch.setattr(run._lane.sink._events._writer._file if fails == "descriptor" else Backlog, "close", failing)
    assert mb.read(fetched(url))["."].scalars["x"].step.tolist() == [0]
    assert not list(spool.iterdir())
