"""Directories of captures: one for each, none of anybody else's is touched."""

import errno
import os
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest

from multiboard.profile import sessions
from multiboard.profile.tracer import Raw


def write(session, host):
    (session / f"{host}.xplane.pb").write_bytes(b"x")


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_step_that_has_a_session_gets_another_one(tmp_path):
    made = [sessions.claim_session(tmp_path, 500, "host", {}).name for _ in range(3)]
    assert made == ["step_000500", "step_000500_r2", "step_000500_r3"]


def test_ranks_of_one_capture_share_a_session(tmp_path):
    assert {sessions.claim_session(tmp_path, 5, f"rank{i}", {}).name for i in range(3)} == {"step_000005"}
    assert {sessions.claim_session(tmp_path, 5, f"rank{i}", {}).name for i in range(3)} == {"step_000005_r2"}


def test_ranks_that_come_at_the_same_time_share_a_session(tmp_path):
    barrier, made = threading.Barrier(8), []

    def claim(rank):
        barrier.wait(30)
        made.append(sessions.claim_session(tmp_path, 5, f"rank{rank}", {}).name)

    threads = [threading.Thread(target=claim, args=(rank,)) for rank in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["step_000005"] * 8


@pytest.mark.parametrize("seen", ["ALL_HOSTS.op_stats_v2.pb", ".cached_tools.json", "cache_version.txt", "1.SSTABLE"])
def test_a_session_that_somebody_has_looked_at_is_not_shared(tmp_path, seen):
    first = sessions.claim_session(tmp_path, 5, "rank0", {})
    (first / seen).touch()
    assert sessions.claim_session(tmp_path, 5, "rank1", {}).name == "step_000005_r2"


def test_a_session_of_another_host_is_not_shared(tmp_path):
    sessions.claim_session(tmp_path, 5, "host", {})
    assert sessions.claim_session(tmp_path, 5, "other", {}).name == "step_000005_r2"


def test_only_the_newest_sessions_of_this_host_are_kept(tmp_path):
    for step in (30, 10, 20, 40):
        session = sessions.claim_session(tmp_path, step, "rank0", {})
        os.utime(session / "rank0.multiboard.json", ns=(step, len(names(tmp_path))))
        write(session, "rank0")
        (session / "ALL_HOSTS.op_stats_v2.pb").touch()
    foreign = tmp_path / "2026_01_01"
    foreign.mkdir()
    write(foreign, "rank0")
    sessions.prune(session, "rank0", 2)
    assert names(tmp_path) == ["2026_01_01", "step_000020", "step_000040"]
    sessions.prune(session, "rank0", None)
    assert len(names(tmp_path)) == 3


def test_what_another_rank_has_in_a_session_stays(tmp_path):
    for step in (10, 20):
        for rank in (0, 1):
            session = sessions.claim_session(tmp_path, step, f"rank{rank}", {})
            write(session, f"rank{rank}")
    sessions.prune(session, "rank0", 1)
    assert names(tmp_path / "step_000010") == ["rank1.multiboard.json", "rank1.xplane.pb"]
    sessions.prune(session, "rank1", 1)
    assert names(tmp_path) == ["step_000020"]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [({}, None), ({"rank": 3}, "rank3"), ({"rank": 0, "world": 1}, None), ({"rank": 0, "world": 2}, "rank0")],
)
def test_a_file_is_named_by_the_rank_only_if_there_are_several(facts, expected):
    assert sessions.host_name([Raw("kineto", "", "torch", facts)]) == (expected or os.uname().nodename)


def test_the_session_that_was_just_made_stays_when_the_clock_has_jumped_back(tmp_path):
    for step in (10, 20):
        session = sessions.claim_session(tmp_path, step, "node7", {})
        os.utime(session / "node7.multiboard.json", ns=(2**62, 2**62))
    newest = sessions.claim_session(tmp_path, 30, "node7", {})
    sessions.prune(newest, "node7", 2)
    assert names(tmp_path) == ["step_000020", "step_000030"]


def test_a_run_may_be_named_by_bytes_that_are_no_text():
    assert sessions.listed_name(Path(os.fsdecode(b"runs/\xff\xc3\xbc/plugins/profile/step_000500"))) == "\ufffdü/step_000500"


def test_nothing_is_left_of_a_session_whose_note_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions.json, "dump", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        sessions.claim_session(tmp_path, 10, "node7", {})
    assert names(tmp_path) == []
