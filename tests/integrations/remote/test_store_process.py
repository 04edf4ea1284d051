"""The libraries of object stores work in a process of their own, which serves the one that trains and ends with it."""

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

import multiboard as mb
from multiboard.errors import ArgumentError, MissingFrameworkError
from multiboard.remote import RemoteOptions, store_process
from multiboard.remote.store import Store, StoreError
from multiboard.remote.store_process import DistantStore, open_store
from multiboard.urls import join

LIBRARIES = ("fsspec", "s3fs", "aiobotocore", "botocore", "aiohttp")


@pytest.fixture
def start(tmp_path):
    """What starts a program that has a run on a URL."""
    started = []

    def start(url, text):
        script = tmp_path / "program.py"
        script.write_text(
            f"import os, signal, sys, time\nimport multiboard as mb\nfrom multiboard.remote import RemoteOptions\n{text}"
        )
        started.append(subprocess.Popen([sys.executable, str(script), url], stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def own_process(monkeypatch):
    """A process of the stores that no other test uses is started by this one, and ended."""
    monkeypatch.setattr(store_process, "_current", None)
    yield
    if store_process._current is not None:
        store_process._current.end()


def child_of(process):
    """Return the process of the stores of a program."""
    (child,) = psutil.Process(process.pid).children()
    return child


def test_a_process_that_trains_holds_nothing_of_the_libraries(bucket, start):
    text = """
run = mb.Run(sys.argv[1])
run.log({'x': 1.0}, 0)
run.close()
print(sorted({name.partition('.')[0] for name in sys.modules}))
"""
    process = start(join(bucket, "first"), text)
    modules = process.communicate(timeout=60)[0]
    assert "multiboard" in modules
    assert not [name for name in LIBRARIES if f"'{name}'" in modules]
    assert Store(join(bucket, "first")).list()


def test_files_go_and_come_back(bucket, file, tmp_path):
    store = open_store(join(bucket, "first"), None)
    assert isinstance(store, DistantStore)
    assert store.list() == {}
    assert store.stat("a") is None
    store.put(str(file), "a/b")
    store.get("a/b", str(tmp_path / "new" / "here"))
    assert (tmp_path / "new" / "here").read_bytes() == file.read_bytes()
    assert store.list() == {"a/b": store.stat("a/b")} == Store(join(bucket, "first")).list()


def test_paths_are_those_of_the_program_that_has_gone_elsewhere(bucket, file, monkeypatch):
    store = open_store(bucket, None)
    monkeypatch.chdir(file.parent)
    store.put(file.name, "a")
    store.get("a", "copy")
    assert (file.parent / "copy").read_bytes() == file.read_bytes()


def test_errors_are_the_same(bucket, proxy, faults, file, tmp_path):
    store = open_store(bucket, proxy.options(config_kwargs={"retries": {"max_attempts": 0}}))
    for name, lasting in (("denied", True), ("internal error", False)):
        proxy.inject(faults[name], times=100)
        with pytest.raises(StoreError, match="cannot put") as told:
            store.put(str(file), "a")
        assert told.value.lasting == lasting
        proxy.mend()
    with pytest.raises(FileNotFoundError):
        store.put(str(tmp_path / "nothing"), "a")
    store.put(str(file), "a")


def test_arguments_that_are_wrong_are_an_error_at_once(bucket):
    with pytest.raises(ArgumentError, match=r"nowhere://bucket.*no such protocol"):
        open_store("nowhere://bucket", None)
    with pytest.raises(ArgumentError, match="storage_options"):
        open_store(bucket, ["key"])


@pytest.mark.usefixtures("own_process")
def test_a_missing_package_is_named(monkeypatch, tmp_path):
    (tmp_path / "adlfs.py").write_text("raise ImportError('not here')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingFrameworkError, match=r"adlfs: pip install 'multiboard\[azure\]'"):
        open_store("abfs://container/runs", None)


def test_what_is_set_for_file_systems_in_the_program_holds(bucket, s3_environment, file, monkeypatch):
    import fsspec.config

    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    options = {"key": "any", "secret": "any", "client_kwargs": {"endpoint_url": s3_environment["AWS_ENDPOINT_URL"]}}
    monkeypatch.setitem(fsspec.config.conf, "s3", options)
    open_store(bucket, None).put(str(file), "a")
    assert list(Store(bucket, options).list()) == ["a"]


def test_a_file_system_of_the_program_itself_works_in_its_process(file, monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem
    from fsspec.registry import _registry

    class Drawer(MemoryFileSystem):
        store = {}  # noqa: RUF012
        pseudo_dirs = [""]  # noqa: RUF012

    monkeypatch.setitem(_registry, "drawer", Drawer)
    store = open_store("drawer://runs", None)
    assert isinstance(store, Store)
    store.put(str(file), "a")
    assert [name.rpartition("/")[2] for name in Drawer.store] == ["a"]


def test_options_that_cannot_be_sent_work_in_the_process_itself(bucket, file):
    class OpenSession(dict):
        def __reduce__(self):
            raise TypeError

    store = open_store(bucket, {"config_kwargs": OpenSession()})
    assert isinstance(store, Store)
    store.put(str(file), "a")
    assert list(store.list()) == ["a"]


def test_options_of_a_script_that_the_other_process_does_not_have_work_in_the_process_itself(bucket, start):
    text = """
class Key(str):
    pass
storage = {'key': Key(os.environ['AWS_ACCESS_KEY_ID']), 'secret': os.environ['AWS_SECRET_ACCESS_KEY']}
for name in ('first', 'second'):
    with mb.Run(sys.argv[1] + '/' + name, remote=storage if name == 'first' else None) as run:
        run.log({'x': 1.0}, 0)
"""
    process = start(bucket, text)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert {name.partition("/")[0] for name in Store(bucket).list()} == {"first", "second"}


def test_an_answer_that_cannot_be_sent_is_an_error_and_the_next_one_arrives(monkeypatch):
    from multiboard.remote import store_server

    answers = iter([lambda: None, {}])
    monkeypatch.setattr(store_server, "_call", lambda *_: next(answers))
    failed, error = pickle.loads(store_server._answer(pickle.dumps(("list", 0, (), []))))  # noqa: S301  # our own bytes
    assert failed
    assert isinstance(error, store_process.NotSentError)
    assert pickle.loads(store_server._answer(pickle.dumps(("list", 0, (), [])))) == (False, {})  # noqa: S301


@pytest.mark.usefixtures("own_process")
def test_a_file_system_that_the_program_knows_by_name_is_found(tmp_path, file, monkeypatch):
    import fsspec
    from fsspec.registry import known_implementations

    (tmp_path / "of_the_program.py").write_text(
        "from fsspec.implementations.local import LocalFileSystem\nclass Shelf(LocalFileSystem):\n    protocol = 'shelf'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(known_implementations, "shelf", {})
    fsspec.register_implementation("shelf", "of_the_program.Shelf", clobber=True)
    store = open_store(f"shelf://{tmp_path}/store", None)
    store.put(str(file), "a")
    assert isinstance(store, DistantStore)
    assert list(store.list()) == ["a"]


def test_settings_that_cannot_be_sent_hold_in_the_process_itself(bucket, monkeypatch):
    import fsspec.config

    monkeypatch.setitem(fsspec.config.conf, "any", {"session": threading.Lock()})
    assert isinstance(open_store(bucket, None), Store)


def test_a_program_that_is_no_python_is_not_started_again(bucket, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/usr/bin/editor")
    assert isinstance(open_store(bucket, None), Store)
    monkeypatch.setattr(sys, "executable", "")
    assert isinstance(open_store(bucket, None), Store)


@pytest.mark.usefixtures("own_process")
def test_where_no_process_can_be_started_the_process_itself_works(bucket, file, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    store = open_store(bucket, None)
    assert isinstance(store, Store)
    store.put(str(file), "a")
    assert list(store.list()) == ["a"]


def test_a_call_does_not_wait_for_another_one(bucket, proxy, fault, file, wait_for):
    store = open_store(bucket, proxy.options())
    proxy.inject(fault(delay=3.0), part_of_path="slow")
    thread = threading.Thread(target=store.put, args=(str(file), "slow"))
    thread.start()
    wait_for(lambda: proxy.met)
    store.put(str(file), "fast")
    assert thread.is_alive()
    assert list(store.list()) == ["fast"]
    thread.join()
    assert list(store.list()) == ["fast", "slow"]


def test_a_process_that_is_killed_is_started_again(bucket, file):
    store = open_store(bucket, None)
    before = store_process.store_process()
    os.kill(before._process.pid, signal.SIGKILL)
    with pytest.raises(StoreError, match="was killed") as told:
        [store.put(str(file), "a") for _ in range(1000)]
    assert not told.value.lasting
    store.put(str(file), "a")
    assert list(store.list()) == ["a"]
    assert store_process.store_process() is not before
    assert not psutil.pid_exists(before._process.pid)


def test_runs_lose_nothing_when_their_store_process_is_killed_amid_an_upload(bucket, proxy, fault, fetched, wait_for):
    url = join(bucket, "first")
    proxy.inject(fault(delay=2.0), method="PUT")
    with mb.Run(url, remote=RemoteOptions(proxy.options(), upload_every=0.1)) as run:
        run.log({"x": 0.0}, 0)
        time.sleep(0.15)
        run.flush()
        wait_for(lambda: proxy.met)
        os.kill(store_process.store_process()._process.pid, signal.SIGKILL)
        for step in range(1, 50):
            run.log({"x": float(step)}, step)
    data = mb.read(fetched(url))["."]
    assert data.scalars["x"].step.tolist() == list(range(50))
    assert not data.damage


@pytest.mark.parametrize("end", ["exit", "kill", "kill beside a forked process"])
def test_it_ends_with_the_process_that_trains(end, bucket, start, wait_for):
    text = f"""
run = mb.Run(sys.argv[1])
run.log({{'x': 1.0}}, 0)
if {end!r} != 'exit':
    forked = {end!r} == 'kill' or os.fork()
    if not forked:
        os.close(1)
        time.sleep(30)
        os._exit(0)
    print(forked if forked is not True else 0, flush=True)
    time.sleep(30)
print(0, flush=True)
sys.stdin.readline()
"""
    process = start(join(bucket, "first"), text)
    forked = int(process.stdout.readline())
    children = psutil.Process(process.pid).children()
    (child,) = (one for one in children if one.pid != forked)
    assert child.is_running()
    try:
        process.kill()
        process.wait()
        wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 10)
    finally:
        if forked:
            os.kill(forked, signal.SIGKILL)


def test_a_signal_to_all_processes_of_a_job_leaves_it_time_to_upload(bucket, start, fetched):
    url = join(bucket, "first")
    text = """
run = mb.Run(sys.argv[1])
run.log({'x': 1.0}, 0)
print(flush=True)
time.sleep(30)
"""
    process = start(url, text)
    process.stdout.readline()
    for pid in (child_of(process).pid, process.pid):
        os.kill(pid, signal.SIGTERM)
    assert process.wait(timeout=30) == -signal.SIGTERM
    data = mb.read(fetched(url))["."]
    assert data.scalars["x"].step.tolist() == [0]
    assert data.status == "failure"


def test_its_command_line_shows_no_credentials(bucket, proxy):
    store = open_store(bucket.replace("s3://", "s3://AKIDEXAMPLE0003:of-the-url@"), proxy.options())
    command = " ".join(psutil.Process(store_process.store_process()._process.pid).cmdline())
    assert "store_server" in command
    assert not [word for word in (proxy.options()["key"], proxy.options()["secret"], "of-the-url") if word in command]
    assert "of-the-url" not in repr(store)


def test_stores_of_runs_that_are_gone_are_forgotten(bucket):
    process = store_process.store_process()
    store = open_store(bucket, None)
    process.call("list", store._number)
    del store
    gc.collect()
    number = process.forgotten[-1]
    open_store(bucket, None)
    with pytest.raises(KeyError):
        process.call("list", number)
