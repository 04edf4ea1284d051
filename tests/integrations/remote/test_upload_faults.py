"""A store that fails, hangs and refuses costs neither values nor the time of the training."""

import time

import pytest

import multiboard as mb
from multiboard.remote import RemoteOptions, upload
from multiboard.remote.store import Store
from multiboard.urls import join

ONE_ATTEMPT = {"config_kwargs": {"retries": {"mode": "standard", "max_attempts": 1}}}


@pytest.mark.parametrize("name", ["slow down", "internal error", "cut before", "cut after"])
def test_everything_arrives_once_through_faults(name, faults, proxy, bucket, fetched, monkeypatch):
    monkeypatch.setattr(upload, "FIRST_DELAY", 0.05)
    url = join(bucket, "first")
    proxy.inject(faults[name], times=3)
    proxy.inject(faults[name], times=1, part_of_path="step", method="")
    with mb.Run(url, remote=RemoteOptions(proxy.options(**ONE_ATTEMPT), upload_every=0.1)) as run:
        for step in range(60):
            run.log({"x": float(step)}, step)
            time.sleep(0.01)
    assert len(proxy.met) == 4
    scalars = mb.read(fetched(url))["."].scalars
    assert scalars["x"].step.tolist() == list(range(60))


def test_a_call_never_waits_for_a_store_that_hangs(proxy, bucket, fault, fetched):
    url = join(bucket, "first")
    with mb.Run(url, remote=RemoteOptions(proxy.options(**ONE_ATTEMPT), upload_every=0.05)) as run:
        proxy.inject(fault(delay=1.5), times=2, method="")
        slowest = 0.0
        for step in range(200):
            begun = time.perf_counter()
            run.log({"x": float(step)}, step)
            slowest = max(slowest, time.perf_counter() - begun)
            time.sleep(0.005)
        assert proxy.met
    assert slowest < 1.0
    assert mb.read(fetched(url))["."].scalars["x"].step.tolist() == list(range(200))


def test_what_will_not_mend_is_said_once_and_tried_seldom(proxy, bucket, fault):
    url = join(bucket, "first")
    options = RemoteOptions(proxy.options(**ONE_ATTEMPT), upload_every=0.05, close_timeout=0.2)
    with pytest.warns(mb.MultiboardWarning) as said, mb.Run(url, remote=options) as run:
        proxy.inject(fault(403, "AccessDenied"), times=1e9)
        for step in range(40):
            run.log({"x": float(step)}, step)
            time.sleep(0.02)
        refused = len(proxy.met)
    assert 1 <= refused <= 3  # with those that the client repeats
    texts = [str(warning.message) for warning in said]
    assert len([text for text in texts if "Nothing is lost" in text]) == 1
    assert len([text for text in texts if f"multiboard upload '{url}'" in text]) == 1
    assert not Store(url).list()


def test_a_long_outage_is_said_and_waits_ever_longer(proxy, bucket, fault, monkeypatch):
    monkeypatch.setattr(upload, "_PATIENCE", 0.2)
    monkeypatch.setattr(upload, "FIRST_DELAY", 0.01)
    url = join(bucket, "first")
    options = RemoteOptions(proxy.options(**ONE_ATTEMPT), upload_every=0.05)
    with pytest.warns(mb.MultiboardWarning, match="Nothing is lost|counted while") as said, mb.Run(url, remote=options) as run:
        proxy.inject(fault(cut="before"), times=1e9)
        due = time.monotonic() + 30
        run.log({"x": 1.0}, 0)
        while "upload failed" not in run._reports.counts:
            assert time.monotonic() < due
            time.sleep(0.05)
        proxy.mend()
    assert "ever less often" in str(said[0].message)
    assert Store(url).list()


def test_a_wrong_url_is_said_at_once():
    with pytest.raises(mb.ArgumentError, match="no such protocol"):
        mb.Run("nowhere://bucket/run")
    with pytest.raises(mb.ArgumentError, match="spool_bytes"):
        mb.Run("memory://bucket/run", remote=RemoteOptions(spool_bytes=0))
    with pytest.raises(mb.ArgumentError, match="spool"):
        RemoteOptions(spool=7)
    with pytest.raises(mb.ArgumentError, match="remote"):
        mb.Run("memory://bucket/run", remote="a string")


def test_a_spool_that_cannot_be_made_is_an_error_that_names_the_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(mb.LogDirError, match=r"RemoteOptions\(spool=...\)"):
        mb.Run("memory://bucket/run", remote=RemoteOptions(spool=tmp_path / "file"))
