"""A run on a URL goes on where its segments in the store, and those that still wait in a spool, leave off."""

import os
import threading
import time
import warnings
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

import multiboard as mb
from multiboard import event_writer
from multiboard.remote import RemoteOptions, destination
from multiboard.remote.spool import Spool
from multiboard.remote.store import Store
from multiboard.urls import join

ONE_ATTEMPT = {"config_kwargs": {"retries": {"mode": "standard", "max_attempts": 1}}}


@pytest.fixture
def url(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return f"file://{tmp_path}/store/first"


def log_steps(url, steps, *, resume=True, **options):
    with mb.Run(url, resume=resume, remote=RemoteOptions(**options)) as run:
        start = run.start_step
        for step in steps:
            run.log({"x": float(step)}, step)
    return start


def steps_in_tensorboard(directory, tag="x"):
    accumulator = EventAccumulator(str(directory), tensor_size_guidance={"scalars": 0})
    accumulator.Reload()
    return [point.step for point in accumulator.Tensors(tag)]


def leave_behind(url, proxy, faults, log):
    """Let a run end while its store refuses everything."""
    proxy.inject(faults["denied"], times=1e9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mb.Run(url, resume=True, remote=RemoteOptions(proxy.options(), close_timeout=0.1)) as run:
            log(run)
    proxy.mend()


def test_the_names_in_the_store_say_where_to_go_on(proxy, bucket, fetched):
    url, options = join(bucket, "first"), {"storage_options": proxy.options()}
    assert log_steps(url, range(3000), **options) == 0
    read_before = proxy.get_bytes
    assert log_steps(url, range(3000, 3010), **options) == 3000
    assert proxy.get_bytes - read_before < 5_000 < sum(stored.size for stored in Store(url).list().values())
    assert steps_in_tensorboard(fetched(url)) == list(range(3010))


def test_steps_that_are_written_again_replace_the_old_ones(url, fetched):
    log_steps(url, range(10))
    assert log_steps(url, range(5, 12)) == 10
    assert steps_in_tensorboard(fetched(url)) == list(range(12))


def test_a_run_without_resume_starts_over(url, fetched, monkeypatch):
    log_steps(url, range(10))
    monkeypatch.setattr(event_writer, "_written", set())  # as in a new process
    assert log_steps(url, range(3), resume=False) == 0
    assert steps_in_tensorboard(fetched(url)) == [0, 1, 2]


def test_the_same_process_adds_to_what_it_has_written(url, fetched):
    log_steps(url, range(10), resume=False)
    log_steps(url, [10, 11], resume=False)
    assert steps_in_tensorboard(fetched(url)) == list(range(12))


def test_files_of_other_writers_are_read_for_their_last_step(url, tmp_path):
    with mb.Run(tmp_path / "store" / "first") as other:
        other.log({"x": 1.0}, 41)
    assert log_steps(url, []) == 42


def test_child_runs_go_on_by_themselves(url, fetched):
    for expected in (0, 8):
        with mb.Run(url, resume=True, remote=RemoteOptions()) as run:
            assert run.start_step == 0
            child = run.child("validation")
            assert child.start_step == expected
            child.log({"y": 1.0}, 7)
    assert mb.read(fetched(url))["validation"].scalars["y"].step.tolist() == [7, 7]


def test_segments_sort_behind_all_that_was_ever_there_also_if_the_clock_was_set_back(url, fetched, monkeypatch):
    clock = iter(range(2_000_000_000, 1_000_000_000, -1000))
    monkeypatch.setattr("multiboard.files.time.time", lambda: float(next(clock)))
    for step in range(4):
        log_steps(url, [step], upload_every=0.05)
    assert mb.read(fetched(url))["."].scalars["x"].step.tolist() == [0, 1, 2, 3]
    assert steps_in_tensorboard(fetched(url)) == [0, 1, 2, 3]


def test_what_waits_in_a_spool_counts_and_goes_first(proxy, bucket, fetched, fault, tmp_path):
    url, options = join(bucket, "first"), {"storage_options": proxy.options(), "upload_every": 0.1}
    log_steps(url, range(5), **options)
    proxy.inject(fault(403, "AccessDenied"), times=1e9)
    with pytest.warns(mb.MultiboardWarning, match="could not be uploaded|cannot put|counted while"):
        log_steps(url, range(5, 10), close_timeout=0.5, **options)
    with pytest.warns(mb.MultiboardWarning, match="could not be uploaded|cannot put|counted while"):
        assert log_steps(url, range(10, 15), close_timeout=0.5, **options) == 10
    proxy.mend()
    assert log_steps(url, range(15, 20), **options) == 15
    assert steps_in_tensorboard(fetched(url)) == list(range(20))
    assert list(Store(url).list()) == [path.rpartition("/")[2] for path in proxy.sizes]
    assert not list((tmp_path / "state" / "multiboard" / "spool").iterdir())


def test_a_run_that_is_to_go_on_needs_the_store_and_one_that_starts_does_not(proxy, bucket, fault, monkeypatch, tmp_path):
    monkeypatch.setattr(destination, "_PATIENCE", 0.0)
    url = join(bucket, "first")
    proxy.inject(fault(503, "SlowDown"), method="GET", times=1e9)
    with pytest.raises(mb.LogDirError, match=r"first.*cannot list"):
        mb.Run(url, resume=True, remote=proxy.options(**ONE_ATTEMPT))
    assert not list((tmp_path / "state" / "multiboard" / "spool").iterdir())
    with pytest.warns(mb.MultiboardWarning, match="starts nevertheless"), mb.Run(url, remote=proxy.options(**ONE_ATTEMPT)) as run:
        run.log({"x": 1.0}, 0)
    assert len(Store(url).list()) == 1


def test_later_embeddings_are_added_to_those_in_the_store(url, fetched):
    for step in range(2):
        with mb.Run(url, resume=True) as run:
            run.embedding(f"e{step}", [[1.0, 2.0], [3.0, 4.0]], step=step)
    assert (fetched(url) / "projector_config.pbtxt").read_text().count("embeddings {") == 2


@pytest.mark.parametrize("resume", [False, True])
def test_a_child_run_that_is_opened_again_goes_on_behind_what_it_has_uploaded(url, fetched, resume, monkeypatch, wait_for):
    monkeypatch.setattr("multiboard.files.time.time", lambda: 1_800_000_000.0)
    begins = []
    with mb.Run(url, resume=resume, remote=RemoteOptions(upload_every=0.05)) as run:
        for i in range(3):
            with run.child("validation") as child:
                begins.append(child.start_step)
                child.log({"y": float(i)}, 7)
            wait_for(lambda: not list(Path(run.log_dir, "validation").iterdir()))
    assert begins == [0, 8, 8] if resume else [0, 0, 0]
    data = mb.read(fetched(url))["validation"].scalars["y"]
    assert (data.step.tolist(), data.value.tolist()) == ([7, 7, 7], [0.0, 1.0, 2.0])
    assert steps_in_tensorboard(fetched(url) / "validation", "y") == ([7] if resume else [7, 7, 7])


def test_what_another_process_is_uploading_at_the_moment_counts(proxy, bucket, faults, fetched, tmp_path):
    url = join(bucket, "first")
    leave_behind(url, proxy, faults, lambda run: [run.log({"x": float(step)}, step) for step in range(5)])
    (path,) = (tmp_path / "state" / "multiboard" / "spool").iterdir()
    busy = Spool.adopt(str(path))
    assert log_steps(url, [5]) == 5
    busy.let_go()
    assert log_steps(url, [6]) == 6
    assert steps_in_tensorboard(fetched(url)) == list(range(7))


def test_spools_are_finished_in_the_order_of_writing_also_if_the_clock_was_set_back(proxy, bucket, faults, tmp_path):
    url, spools = join(bucket, "first"), tmp_path / "state" / "multiboard" / "spool"
    for seconds, step in (("1900000000", 0), ("1800000000", 1)):
        leave_behind(url, proxy, faults, lambda run: run.log({"x": 1.0}, step))  # noqa: B023  # called here
        (newest,) = (path for path in spools.iterdir() if not path.name.startswith("1900"))
        newest.rename(newest.with_name(f"{seconds}-{newest.name[-8:]}"))
    proxy.sizes.clear()
    log_steps(url, [2], storage_options=proxy.options())
    assert [path.rpartition(".")[2] for path in proxy.sizes if "nostep" not in path] == ["step0", "step1", "step2"]


def test_a_run_that_adds_replaces_nothing_also_if_the_store_cannot_be_reached_when_it_starts(proxy, bucket, fault, fetched):
    url = join(bucket, "first")
    log_steps(url, range(5))
    time.sleep(1.1)  # names of one second sort by chance if what is there is not known
    proxy.inject(fault(503, "SlowDown"), method="GET", times=1e9)
    with pytest.warns(mb.MultiboardWarning, match="starts nevertheless"):
        log_steps(url, [5], resume="add", storage_options=proxy.options(**ONE_ATTEMPT))
    assert steps_in_tensorboard(fetched(url)) == list(range(6))


def test_a_run_that_could_not_be_opened_leaves_neither_a_thread_nor_a_spool(proxy, bucket, fault, tmp_path, wait_for):
    url = join(bucket, "first")
    with mb.Run(tmp_path / "local") as other:
        other.log({"x": 1.0}, 41)
    (file,) = (tmp_path / "local").iterdir()
    Store(url).put(str(file), file.name)
    proxy.inject(fault(503, "SlowDown"), method="GET", part_of_path="tfevents", times=1e9)
    with pytest.raises(mb.LogDirError, match="cannot get"):
        mb.Run(url, resume=True, remote=proxy.options(**ONE_ATTEMPT))
    wait_for(lambda: not [thread for thread in threading.enumerate() if thread.name == "multiboard-uploader"])
    assert not list((tmp_path / "state" / "multiboard" / "spool").iterdir())


def test_a_left_file_that_the_store_does_not_take_holds_up_nothing_else(proxy, bucket, faults, wait_for):
    url = join(bucket, "first")
    leave_behind(url, proxy, faults, lambda run: (run.log({"x": 1.0}, 0), Path(run.log_dir, "notes.txt").write_text("note")))
    proxy.inject(faults["denied"], part_of_path="notes.txt", times=1e9)
    with (
        pytest.warns(mb.MultiboardWarning, match="could not be uploaded|cannot put|counted while"),
        mb.Run(url, remote=RemoteOptions(proxy.options(), upload_every=0.1, close_timeout=0.1)) as run,
    ):
        Path(run.log_dir, "more.txt.tmp").write_text("more")
        Path(run.log_dir, "more.txt.tmp").rename(Path(run.log_dir, "more.txt"))
        os.utime(Path(run.log_dir, "more.txt"), (1_700_000_000, 1_700_000_000))
        wait_for(lambda: "upload refused" in run._reports.counts)
        run.log({"x": 1.0}, 1)
        wait_for(lambda: any(name.endswith("step1") for name in Store(url).list()))
    assert [name.rpartition(".")[2] for name in Store(url).list() if "nostep" not in name] == ["step0", "step1", "txt"]


def test_embeddings_whose_list_waits_in_a_spool_are_kept(proxy, bucket, faults, fetched):
    url = join(bucket, "first")
    leave_behind(url, proxy, faults, lambda run: run.embedding("e0", [[1.0, 2.0], [3.0, 4.0]], step=0))
    with mb.Run(url, resume=True) as run:
        run.embedding("e1", [[1.0, 2.0], [3.0, 4.0]], step=1)
    assert (fetched(url) / "projector_config.pbtxt").read_text().count("embeddings {") == 2
