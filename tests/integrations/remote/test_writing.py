"""What a run on a URL logs is in the store when the run is closed, as it would be in a directory."""

import time
from pathlib import Path

import numpy as np
import pytest

import multiboard as mb
from multiboard.remote import RemoteOptions
from multiboard.remote.store import Store
from multiboard.urls import join

RNG = np.random.default_rng(0)
SOON = RemoteOptions(upload_every=0.2)


def log_some(run, steps):
    for step in steps:
        run.log({"train/loss": 1.0 / (step + 1), "train/accuracy": step * 0.5}, step)
        if step % 10 == 0:
            run.histogram("weights", np.arange(step + 2.0), step)
            run.text("note", f"at {step}", step)
            run.image("picture", np.full((8, 8, 3), step % 256, np.uint8), step)


@pytest.fixture(params=["s3", "memory", "file"])
def url(request, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    if request.param == "s3":
        return join(request.getfixturevalue("bucket"), "runs/first")
    return f"memory://{tmp_path.name}/first" if request.param == "memory" else f"file://{tmp_path}/store/first"


def spools(tmp_path):
    return sorted((tmp_path / "state" / "multiboard" / "spool").glob("*"))


def test_everything_arrives_and_the_spool_is_gone(url, fetched, tmp_path):
    with mb.Run(url, config={"lr": 0.1}, remote=SOON) as run, mb.Run(tmp_path / "local", config={"lr": 0.1}) as local:
        assert run.log_dir.startswith(str(tmp_path / "state"))
        assert run.url == url
        for begin in range(0, 200, 50):
            log_some(run, range(begin, begin + 50))
            log_some(local, range(begin, begin + 50))
            time.sleep(0.25)
    assert spools(tmp_path) == []
    there, here = mb.read(fetched(url))["."], mb.read(tmp_path / "local")["."]
    assert not there.damage
    assert there.hparams == here.hparams
    assert there.status == "success"
    for kind in ("scalars", "histograms", "texts", "images"):
        assert getattr(there, kind).keys() == getattr(here, kind).keys()
        for tag, column in getattr(here, kind).items():
            assert getattr(there, kind)[tag].step.tolist() == column.step.tolist()
            np.testing.assert_equal(getattr(there, kind)[tag].value, column.value)
    assert len(list(fetched(url).iterdir())) > 2


def test_segments_appear_while_the_run_lives_and_never_change(bucket, wait_for):
    url = join(bucket, "first")
    store = Store(url)
    seen = {}
    with mb.Run(url, remote=SOON) as run:
        for step in range(5):
            run.log({"x": float(step)}, step)
            wait_for(lambda: len(store.list()) > step)  # noqa: B023  # called here
            now = store.list()
            assert {name: now[name] for name in seen} == seen
            seen = now
    assert seen.items() <= store.list().items()
    assert [name.rpartition(".")[2] for name in store.list()][:5] == [f"step{step}" for step in range(5)]


def test_a_later_segment_is_never_there_before_an_earlier_one(proxy, bucket, fault):
    for _ in range(3):
        proxy.inject(fault(503, "SlowDown"), times=1, method="PUT")
    url = join(bucket, "first")
    with mb.Run(url, remote=RemoteOptions(proxy.options(), upload_every=0.1)) as run:
        for step in range(100):
            run.log({"x": float(step)}, step)
            time.sleep(0.01)
    order = list(proxy.sizes)
    assert len(order) > 4
    assert order == sorted(order)


def test_child_runs_go_below_the_url(url, fetched):
    with mb.Run(url, remote=SOON) as run:
        child = run.child("validation/big")
        assert child.url == f"{url}/validation/big"
        run.log({"x": 1.0}, 0)
        child.log({"y": 2.0}, 7)
    runs = mb.read(fetched(url))
    assert runs["."].scalars["x"].step.tolist() == [0]
    assert runs["validation/big"].scalars["y"].step.tolist() == [7]


def test_a_child_that_is_closed_early_does_not_wait_for_the_upload(proxy, bucket, fault):
    proxy.inject(fault(503, "SlowDown"), times=1e9)
    with mb.Run(join(bucket, "first"), remote=RemoteOptions(proxy.options(), upload_every=0.1, close_timeout=30)) as run:
        child = run.child("validation")
        child.log({"y": 2.0}, 7)
        begun = time.monotonic()
        child.close()
        assert time.monotonic() - begun < 10
        proxy.mend()


def test_profiles_and_projector_files_arrive_whole_and_again_when_they_change(url, fetched, wait_for):
    with mb.Run(url, remote=SOON) as run:
        run.embedding("e", np.eye(4), step=0)
        profile = Path(run.log_dir, "plugins", "profile", "step_5")
        profile.mkdir(parents=True)
        (profile / "host.xplane.pb.7.tmp").write_bytes(b"half")
        (profile / "host.xplane.pb.7.tmp").rename(profile / "host.xplane.pb")
        (profile / "other.xplane.pb.8.tmp").write_bytes(b"left behind")
        store = Store(url)
        name = "plugins/profile/step_5/host.xplane.pb"
        run.flush()
        wait_for(lambda: name in store.list())
        (profile / "host.xplane.pb").write_bytes(b"another content")
    copy = fetched(url)
    assert (copy / name).read_bytes() == b"another content"
    assert (copy / "projector_config.pbtxt").exists()
    assert list(copy.glob("projector/*/**/tensors.tsv"))
    assert not list(copy.rglob("*.tmp"))


def test_an_unchanged_file_is_sent_once(proxy, bucket, wait_for):
    with mb.Run(join(bucket, "first"), remote=RemoteOptions(proxy.options(), upload_every=0.05)) as run:
        Path(run.log_dir, "notes.txt").write_text("unchanged")
        wait_for(lambda: any(path.endswith("notes.txt") for path in proxy.sizes))
        for step in range(10):
            run.log({"x": 1.0}, step)
            time.sleep(0.05)
    assert [sizes for path, sizes in proxy.sizes.items() if path.endswith("notes.txt")] == [[9]]


def test_what_is_uploaded_is_little_more_than_what_a_local_run_writes(proxy, bucket, tmp_path):
    with (
        mb.Run(join(bucket, "first"), facts=False, remote=RemoteOptions(proxy.options(), upload_every=1)) as run,
        mb.Run(tmp_path / "local", facts=False) as local,
    ):
        for step in range(150):
            for tag in range(20):
                values = RNG.normal(size=500)
                for each in (run, local):
                    each.histogram(f"layer/{tag}", values, step)
    written = sum(file.stat().st_size for file in (tmp_path / "local").iterdir())
    assert written > 1_000_000  # so that what each segment repeats is little
    assert written <= proxy.put_bytes <= 1.05 * written


def test_flush_asks_for_an_upload_and_does_not_wait_for_it(proxy, bucket, fault, wait_for):
    url = join(bucket, "first")
    proxy.inject(fault(delay=1.0), times=2)
    with mb.Run(url, remote=RemoteOptions(proxy.options(), upload_every=0.1)) as run:
        run.log({"x": 1.0}, 0)
        begun = time.monotonic()
        assert run.flush()
        assert time.monotonic() - begun < 0.9
        wait_for(lambda: Store(url).list())


def test_a_durable_run_and_a_forgotten_run_arrive(url, fetched, wait_for):
    with mb.Run(url, durable=True, remote=SOON) as run:
        for step in range(20):
            run.log({"x": 1.0}, step)
    run = mb.Run(f"{url}-forgotten", remote=SOON)
    run.log({"x": 1.0}, 3)
    del run
    wait_for(lambda: any("step3" in name for name in Store(f"{url}-forgotten").list()))
    assert mb.read(fetched(url))["."].scalars["x"].step.tolist() == list(range(20))


def test_files_of_any_size_are_cut_where_the_user_wants(bucket):
    url = join(bucket, "first")
    with mb.Run(url, max_file_bytes=20_000) as run:
        for step in range(3000):
            run.log({"x": float(step)}, step)
    sizes = [stored.size for stored in Store(url).list().values()]
    assert len(sizes) > 5
    assert max(sizes) <= 20_000
