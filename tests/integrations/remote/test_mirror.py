"""Local copies of remote directories."""

import os
import subprocess
import sys
import threading
import time

import pytest

import multiboard as mb
from multiboard.errors import ArgumentError, ReadError
from multiboard.remote.mirror import Mirror, Mirroring, mirror
from multiboard.remote.store import StoreError

FIRST, SECOND = "runs/a/events.out.tfevents.1.0", "runs/a/events.out.tfevents.1.1"


@pytest.fixture
def put(s3, bucket):
    """Put objects into the bucket of the test."""

    def put_objects(objects):
        for name, data in objects.items():
            s3.put_object(Bucket=bucket.removeprefix("s3://"), Key=name, Body=data)

    return put_objects


@pytest.fixture
def copy(bucket, proxy, tmp_path):
    """A mirror of the bucket through the proxy."""
    return Mirror(f"{bucket}/runs", tmp_path / "copy", proxy.options())


def held(copy):
    return {
        path.relative_to(copy.path).as_posix(): path.read_bytes()
        for path in sorted(copy.path.rglob("*"))
        if path.is_file() and not path.relative_to(copy.path).parts[0].startswith(".multiboard-mirror")
    }


def test_a_copy_holds_the_files_and_a_second_look_copies_nothing(put, copy, proxy):
    files = {
        "a/events.out.tfevents.1.0": b"1" * 1000,
        "lr=1e-3, \N{GREEK SMALL LETTER BETA} #1%/tfevents": b"2" * 10,
        "tfevents": b"",
    }
    put({f"runs/{name}": data for name, data in files.items()} | {"runs2/tfevents": b"of another", "tfevents": b"above"})
    assert copy.update() == (3, 1010, 0, 3)
    assert held(copy) == files
    before = proxy.get_bytes, proxy.requests["GET"]
    assert copy.update() == (0, 0, 0, 3)
    assert proxy.requests["GET"] == before[1] + 1  # the listing


def test_a_copied_file_has_the_time_of_the_change(s3, bucket, put, copy):
    put({FIRST: b"1"})
    copy.update()
    changed = s3.head_object(Bucket=bucket.removeprefix("s3://"), Key=FIRST)["LastModified"]
    assert (copy.path / "a/events.out.tfevents.1.0").stat().st_mtime == changed.timestamp()


def test_a_look_copies_only_what_is_new(put, copy):
    put({FIRST: b"1" * 1000})
    copy.update()
    put({SECOND: b"2" * 50})
    assert copy.update() == (1, 50, 0, 2)


def test_event_files_profiles_and_projector_files_are_copied_and_checkpoints_are_not(put, copy):
    taken = {"a/events.out.tfevents.1", "a/plugins/profile/1/h.xplane.pb", "projector_config.pbtxt", "projector/x/tensors.tsv"}
    left = {"model.ckpt", "a/weights.safetensors", "a/checkpoint/data-00000-of-00001"}
    put({f"runs/{name}": b"x" for name in taken | left})
    copy.update()
    assert set(held(copy)) == taken


def test_names_that_lead_out_of_the_copy_are_left_out(put, copy):
    put({f"runs/{name}": b"x" for name in ("../events.out.tfevents.1", "a//tfevents", ".multiboard-mirror-tfevents", ".")})
    put({FIRST: b"1"})
    copy.update()
    assert list(held(copy)) == ["a/events.out.tfevents.1.0"]


def test_an_event_file_that_has_grown_is_continued_in_place_for_who_has_it_open(put, copy):
    put({FIRST: b"1" * 100})
    copy.update()
    with (copy.path / "a/events.out.tfevents.1.0").open("rb") as reader:
        assert reader.read() == b"1" * 100
        put({FIRST: b"1" * 100 + b"2" * 50})
        copy.update()
        assert reader.read() == b"2" * 50


def test_a_file_that_has_changed_is_replaced(put, copy):
    put({FIRST: b"1" * 100, "runs/projector_config.pbtxt": b"old"})
    copy.update()
    put({FIRST: b"3" * 100, "runs/projector_config.pbtxt": b"older"})
    assert copy.update().files == 2
    assert held(copy) == {"a/events.out.tfevents.1.0": b"3" * 100, "projector_config.pbtxt": b"older"}


def test_what_is_gone_there_is_deleted_here_and_nothing_else(s3, bucket, put, copy):
    put({FIRST: b"1", "runs/b/events.out.tfevents.2": b"2"})
    copy.update()
    (copy.path / "a" / "events.out.tfevents.own").write_bytes(b"mine")
    for name in (FIRST, "runs/b/events.out.tfevents.2"):
        s3.delete_object(Bucket=bucket.removeprefix("s3://"), Key=name)
    assert copy.update() == (0, 0, 2, 0)
    assert held(copy) == {"a/events.out.tfevents.own": b"mine"}
    assert not (copy.path / "b").exists()


def test_a_copy_that_was_damaged_here_is_mended(put, copy):
    put({FIRST: b"1" * 100})
    copy.update()
    (copy.path / "a/events.out.tfevents.1.0").write_bytes(b"1" * 20)
    copy.update()
    assert held(copy)["a/events.out.tfevents.1.0"] == b"1" * 100


def test_later_files_of_a_directory_wait_for_one_that_cannot_be_had(put, copy, proxy, faults):
    put({FIRST: b"1", SECOND: b"2", "runs/b/events.out.tfevents.1": b"3"})
    proxy.inject(faults["denied"], method="GET", part_of_path=FIRST, times=100)
    with pytest.raises(StoreError, match=r"tfevents\.1\.0"):
        copy.update()
    assert list(held(copy)) == ["b/events.out.tfevents.1"]
    proxy.mend()
    assert copy.update().files == 2
    assert len(held(copy)) == 3


@pytest.mark.parametrize("name", [f"b/tfevents.{'x' * 300}", "a/events.out.tfevents.1.0/tfevents"])
def test_a_name_that_cannot_be_here_costs_no_other_file(name, put, copy):
    put({FIRST: b"1", "runs/c/tfevents": b"3", f"runs/{name}": b"2"})
    with pytest.raises(OSError, match=r"too long|directory|exists"):
        copy.update()
    assert set(held(copy)) == {"a/events.out.tfevents.1.0", "c/tfevents"}


@pytest.mark.parametrize("name", ["internal error", "cut before"])
def test_a_copy_is_whole_behind_a_busy_server(name, put, copy, proxy, faults):
    objects = {f"runs/{number}/events.out.tfevents.1": bytes([number]) * 70_000 for number in range(10)}
    put(objects)
    proxy.inject(faults[name], method="GET", part_of_path="tfevents", times=3)
    copy.update()
    assert {f"runs/{name}": data for name, data in held(copy).items()} == objects
    assert len(proxy.met) == 3


def test_the_copy_of_a_process_that_was_killed_is_finished_by_the_next_one(put, copy, proxy, fault):
    put({f"runs/a/events.out.tfevents.{number}": b"x" * 1000 for number in range(30)})
    proxy.inject(fault(delay=0.2), method="GET", part_of_path="tfevents", times=1000)
    program = f"""
from multiboard.remote.mirror import Mirror
Mirror({copy.url!r}, {str(copy.path)!r}, {proxy.options()!r}).update()
"""
    child = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 60
    while not (copy.path / "a").is_dir() and time.monotonic() < deadline:
        time.sleep(0.02)
    child.kill()
    assert child.wait() == -9
    proxy.mend()
    copy.update()
    assert len(held(copy)) == 30
    assert set(held(copy).values()) == {b"x" * 1000}
    assert not list((copy.path / ".multiboard-mirror-parts").iterdir())


def test_two_copies_into_one_directory_at_the_same_time_wait_for_each_other(put, bucket, proxy, tmp_path):
    put({f"runs/{number}/events.out.tfevents.1": b"x" * 100 for number in range(20)})
    copies = [Mirror(f"{bucket}/runs", tmp_path / "copy", proxy.options()) for _ in range(3)]
    passes = []
    threads = [threading.Thread(target=lambda one=one: passes.append(one.update())) for one in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(one.files for one in passes) == [0, 0, 20]


def test_a_place_without_files_is_no_copy(bucket):
    with pytest.raises(ReadError, match=bucket):
        mirror(f"{bucket}/nothing")


def test_the_same_url_has_the_same_copy_with_its_name(put, bucket, tmp_path):
    put({FIRST: b"1"})
    path = mirror(f"{bucket}/runs/a")
    assert path == mirror(f"{bucket}/runs/a/")
    assert path.name == "a"
    assert path.is_relative_to(tmp_path / "cache" / "multiboard" / "mirror")
    assert path.parent.stat().st_mode & 0o077 == 0  # for its owner only
    assert mirror(f"{bucket}/runs") != path


def test_the_same_url_of_another_server_has_another_copy(put, bucket, proxy, monkeypatch):
    put({FIRST: b"1"})
    path = mirror(f"{bucket}/runs")
    other = mirror(f"{bucket}/runs", options=proxy.options())
    assert other != path
    assert other.name == path.name
    assert other == mirror(f"{bucket}/runs", options=proxy.options(secret="another"))  # noqa: S106
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
    assert mirror(f"{bucket}/runs") not in {path, other}


def test_a_user_without_a_home_is_told_what_to_set(bucket, monkeypatch):
    import pwd

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with pytest.raises(ArgumentError, match=r"XDG_CACHE_HOME.*no home directory"):
        mirror(f"{bucket}/runs")


def test_a_local_path_is_no_address_of_a_mirror(tmp_path):
    with pytest.raises(ArgumentError, match="url"):
        Mirror(str(tmp_path))


def test_a_mirror_in_the_background_outlives_errors_of_all_kinds(put, copy, monkeypatch):
    put({FIRST: b"1"})
    said, update = [], copy.update
    monkeypatch.setattr(copy, "update", lambda: update() if said else {}["nothing"])

    def say(text):
        said.append(text)
        raise BrokenPipeError

    with Mirroring(copy, 0.02, say):
        deadline = time.monotonic() + 60
        while len(said) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert "tried again" in said[0]
    assert len(held(copy)) == 1


def test_a_mirror_in_the_background_goes_on_after_an_error_and_says_it_once(put, copy, proxy, faults):
    said = []
    put({FIRST: b"1"})
    proxy.inject(faults["denied"], method="GET", times=3)
    with Mirroring(copy, 0.02, said.append):
        deadline = time.monotonic() + 60
        while len(said) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert held(copy) == {"a/events.out.tfevents.1.0": b"1"}
    assert len(said) == 2
    assert "cannot list" in said[0]
    assert "goes on" in said[1]


def test_a_server_that_hangs_does_not_keep_a_process_from_its_end(put, bucket, proxy, fault, tmp_path):
    put({FIRST: b"1"})
    proxy.inject(fault(delay=1000), method="GET", part_of_path="tfevents", times=100)
    patient, asked = proxy.options(config_kwargs={"read_timeout": 1000}), tmp_path / "asked"
    program = f"""
import pathlib, time
from multiboard.remote.mirror import Mirror, Mirroring
with Mirroring(Mirror({f"{bucket}/runs"!r}, {str(tmp_path / "copy")!r}, {patient!r}), 0.01):
    while not pathlib.Path({str(asked)!r}).exists():
        time.sleep(0.01)
"""
    child = subprocess.Popen([sys.executable, "-c", program])
    while not proxy.met and child.poll() is None:
        time.sleep(0.01)
    asked.touch()
    assert child.wait(30) == 0
    assert len(proxy.met) == 1


@pytest.mark.parametrize("every", [0, -1, "soon", True, float("nan")])
def test_an_interval_that_is_no_time_is_an_error(every, copy):
    with pytest.raises(ArgumentError, match="every"):
        Mirroring(copy, every)


def test_a_run_is_the_same_read_from_its_url_and_from_its_directory(bucket, s3, tmp_path):
    with mb.Run(tmp_path / "run", facts=False, max_file_bytes=100_000) as run:
        for step in range(5000):
            run.scalar("loss", 1 / (step + 1), step)
    for file in (tmp_path / "run").iterdir():
        s3.upload_file(str(file), bucket.removeprefix("s3://"), f"runs/first/{file.name}")
    assert len(os.listdir(tmp_path / "run")) > 1  # noqa: PTH208
    remote = mb.read(f"{bucket}/runs")["first"].scalars["loss"]
    local = mb.read(tmp_path / "run")["."].scalars["loss"]
    assert remote.step.tolist() == local.step.tolist()
    assert remote.value.tolist() == local.value.tolist()
