"""Runs on gs:// against an emulator of Google Cloud Storage on 127.0.0.1."""

import itertools
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

import multiboard as mb
from multiboard.dashboard import HOST, free_port
from multiboard.remote import RemoteOptions
from multiboard.remote.store import Store, StoreError
from multiboard.remote.store_process import DistantStore, open_store

_NUMBERS = itertools.count()
OPTIONS = {"token": "anon", "project": "any"}


@pytest.fixture(scope="module")
def address():
    """The address of the emulator, which keeps its objects in memory."""
    port = free_port()
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host", HOST, "--port", str(port), "--in-memory"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield f"http://{HOST}:{port}"
    process.terminate()
    process.wait()


@pytest.fixture
def url(address, s3_environment, monkeypatch):  # noqa: ARG001  # whose caches and spools are this test's own
    """The URL of a run in an empty bucket."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # which asks by gRPC, what the emulator does not speak
    name = f"bucket-{next(_NUMBERS)}"
    make = urllib.request.Request(
        f"{address}/storage/v1/b?project=any", f'{{"name": "{name}"}}'.encode(), {"Content-Type": "application/json"}
    )
    due = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(make).close()
        except urllib.error.URLError:
            assert time.monotonic() < due
            time.sleep(0.1)
        else:
            return f"gs://{name}/runs/first"


def test_a_run_is_written_taken_up_again_and_read(url):
    for begin in (0, 40):
        with mb.Run(url, resume=True, remote=RemoteOptions(OPTIONS, upload_every=0.2)) as run:
            assert run.start_step == begin
            for step in range(begin, begin + 40):
                run.log({"x": step / 8}, step)
                run.histogram("h", np.arange(step + 2.0), step)
                time.sleep(0.01)
                run.flush()
            run.child("validation").log({"x": 1.0}, begin)
    store = open_store(url, OPTIONS)
    assert isinstance(store, DistantStore)
    names = [name for name in store.list() if "/" not in name]
    assert len(names) >= 4
    assert names == sorted(names)
    runs = mb.read(url, storage_options=OPTIONS)
    assert runs["."].scalars["x"].value.tolist() == [step / 8 for step in range(80)]
    assert runs["."].histograms["h"].step.tolist() == list(range(80))
    assert runs["validation"].scalars["x"].step.tolist() == [0, 40]
    assert not any(run.damage for run in runs.values())


def test_files_are_put_got_listed_and_deleted(url, tmp_path):
    store = Store(url, OPTIONS)
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 20)
    assert store.list() == {}
    assert store.stat("a/b") is None
    store.put(str(file), "a/b")
    store.get("a/b", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == file.read_bytes()
    before = store.list()["a/b"]
    assert before == store.stat("a/b")
    file.write_bytes(b"new")
    store.put(str(file), "a/b")
    assert store.stat("a/b").version != before.version
    store.delete("a/b")
    assert store.list() == {}


def test_a_bucket_that_is_missing_is_an_error_that_lasts(url, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StoreError) as told:
        Store(url.replace("bucket", "nothing"), OPTIONS).put(str(tmp_path / "file"), "a")
    assert told.value.lasting
