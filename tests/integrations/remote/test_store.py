"""Whole files in remote places: a real S3 server, a directory, and fsspec's memory."""

import functools
import http.server
import subprocess
import sys
import threading

import pytest

from multiboard.errors import ArgumentError, MissingFrameworkError
from multiboard.remote.store import Store, StoreError


@pytest.fixture(params=["s3", "file", "memory"])
def store(request, tmp_path):
    if request.param == "s3":
        return Store(f"{request.getfixturevalue('bucket')}/runs/first")
    return Store(f"memory://{tmp_path}" if request.param == "memory" else f"file://{tmp_path}/remote/first")


def test_a_file_comes_back_as_it_went(store, file, tmp_path):
    store.put(str(file), "a/b/x.1")
    store.get("a/b/x.1", str(tmp_path / "new" / "here"))
    assert (tmp_path / "new" / "here").read_bytes() == file.read_bytes()


def test_a_place_without_files_holds_nothing(store):
    assert store.list() == {}
    assert store.stat("a") is None
    store.delete("a")


def test_files_are_listed_by_relative_name_with_size_and_version(store, file):
    store.put(str(file), "b")
    store.put(str(file), "a/c")
    listed = store.list()
    assert list(listed) == ["a/c", "b"]
    assert {stored.size for stored in listed.values()} == {5120}
    assert store.stat("b") == listed["b"]
    assert store.stat("a") is None


def test_a_file_of_the_same_name_is_replaced_and_gets_another_version(store, file):
    store.put(str(file), "a")
    before = store.list()["a"]
    file.write_bytes(b"new" * 5)
    store.put(str(file), "a")
    assert store.list()["a"].size == 15
    assert store.list()["a"].version != before.version


def test_what_another_process_has_put_is_listed_at_once(store, file):
    other = Store(store._address)
    assert store.list() == {}
    other.put(str(file), "a")
    assert list(store.list()) == ["a"]
    other.delete("a")
    assert store.list() == {}


def test_a_file_that_is_missing_is_an_error_that_lasts_and_leaves_nothing_behind(store, tmp_path):
    with pytest.raises(StoreError, match="cannot get") as told:
        store.get("nothing", str(tmp_path / "got" / "x"))
    assert told.value.lasting
    assert list((tmp_path / "got").iterdir()) == []


def test_a_store_works_in_a_forked_process(bucket, file):
    program = f"""
import os, sys, time
from multiboard.remote.store import Store
store = Store({bucket!r})
store.put({str(file)!r}, "a")
child = os.fork()
if not child:
    try:
        store.put({str(file)!r}, "b")
    finally:
        os._exit(0)
os.waitpid(child, 0)
assert list(store.list()) == ["a", "b"]
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)


@pytest.fixture
def web_server(tmp_path, s3_environment):  # noqa: ARG001  # without proxies of the network
    """The URL of a directory that a plain web server lists."""
    (tmp_path / "web" / "first run").mkdir(parents=True)
    (tmp_path / "web" / "first run" / "events.out.tfevents.1").write_bytes(b"12345")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=tmp_path / "web"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_listing_of_a_web_server_can_be_read_and_not_written(web_server, file, tmp_path):
    store = Store(web_server)
    assert {name: stored.size for name, stored in store.list().items()} == {"first run/events.out.tfevents.1": 5}
    store.get("first run/events.out.tfevents.1", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == b"12345"
    with pytest.raises(StoreError, match="cannot put") as told:
        store.put(str(file), "a")
    assert told.value.lasting


def test_a_directory_shows_no_file_that_is_on_its_way(file, tmp_path):
    store = Store(f"file://{tmp_path}/remote")
    store.put(str(file), "a")
    (tmp_path / "remote" / ".1f.multiboard-part").write_bytes(b"half")
    assert list(store.list()) == ["a"]
    store.put(str(file), "a")
    assert sorted(path.name for path in (tmp_path / "remote").iterdir()) == [".1f.multiboard-part", "a"]


def test_an_upload_that_breaks_off_leaves_nothing_behind(file, tmp_path, monkeypatch):
    from fsspec.implementations.local import LocalFileSystem

    def break_off(self, _, path, **__):
        with self.open(path, "wb") as part:
            part.write(b"half")
        raise ConnectionResetError

    monkeypatch.setattr(LocalFileSystem, "put_file", break_off)
    with pytest.raises(StoreError, match="cannot put"):
        Store(f"file://{tmp_path}/remote").put(str(file), "a")
    assert list((tmp_path / "remote").iterdir()) == []


@pytest.mark.usefixtures("s3_environment")
def test_a_bucket_that_is_missing_is_an_error_that_lasts(file):
    with pytest.raises(StoreError, match="bucket does not exist") as told:
        Store("s3://no-such-bucket/runs").put(str(file), "a")
    assert told.value.lasting


def test_missing_permission_lasts_and_a_busy_server_does_not(bucket, proxy, faults, file):
    store = Store(bucket, proxy.options(config_kwargs={"retries": {"max_attempts": 0}}))
    proxy.inject(faults["denied"])
    with pytest.raises(StoreError) as told:
        store.put(str(file), "a")
    assert told.value.lasting
    proxy.inject(faults["internal error"], times=100)
    with pytest.raises(StoreError) as told:
        store.put(str(file), "a")
    assert not told.value.lasting
    proxy.mend()
    store.put(str(file), "a")
    assert list(store.list()) == ["a"]


@pytest.mark.parametrize("name", ["slow down", "internal error", "cut before", "cut after"])
def test_a_fault_that_passes_is_not_seen(name, bucket, proxy, faults, file):
    proxy.inject(faults[name])
    Store(bucket, proxy.options()).put(str(file), "a")
    assert proxy.met == [faults[name]]
    assert Store(bucket).list()["a"].size == 5120


def test_an_answer_that_comes_too_late_is_asked_for_again(bucket, proxy, fault, file):
    proxy.inject(fault(delay=2.0))
    Store(bucket, proxy.options(config_kwargs={"read_timeout": 0.5})).put(str(file), "a")
    assert proxy.requests["PUT"] == 2
    assert Store(bucket).list()["a"].size == 5120


def test_errors_show_no_credentials_that_the_server_repeats(bucket, proxy, fault, file):
    options = proxy.options(token="a-token-of-nobody")  # noqa: S106
    secrets = (options["key"], options["secret"], options["token"])
    proxy.inject(fault(403, "AccessDenied", message=f"no: {' '.join(secrets)}"))
    with pytest.raises(StoreError, match=r"no: \*\*\* \*\*\* \*\*\*") as told:
        Store(bucket, options).put(str(file), "a")
    assert not any(secret in f"{told.value!r} {told.value.__cause__!r}" for secret in secrets)


@pytest.mark.usefixtures("s3_environment")
def test_errors_show_no_credentials_of_the_url(file):
    with pytest.raises(StoreError) as told:
        Store("s3://AKIDEXAMPLE0002:other/secret@bucket/runs").put(str(file), "a")
    assert str(told.value).startswith("s3://***@bucket/runs/a: cannot put")
    assert not any(secret in str(told.value) for secret in ("AKIDEXAMPLE0002", "other", "secret"))


def test_an_unknown_protocol_is_an_error_that_names_the_url():
    with pytest.raises(ArgumentError, match=r"nowhere://bucket.*no such protocol"):
        Store("nowhere://bucket")


def test_storage_options_that_are_no_mapping_are_an_error():
    with pytest.raises(ArgumentError, match="storage_options"):
        Store("memory://a", "key=1")


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    from fsspec.registry import _registry, known_implementations

    monkeypatch.setitem(known_implementations, "abfs", {"class": "not_here.Blobs", "err": "Install adlfs"})
    monkeypatch.delitem(_registry, "abfs", raising=False)
    with pytest.raises(MissingFrameworkError, match=r"adlfs: pip install 'multiboard\[azure\]'"):
        Store("abfs://container/runs")
