"""Files of profiles of every kind become sessions, and are found again."""

import gzip
import json
import os

import pytest

from multiboard.errors import ProfileReadError
from multiboard.profile.processing import finish_later
from multiboard.profile.sessions import claim_session, profiles_of
from multiboard.profile.summary import summarize
from multiboard.profile.trace_files import convert_trace, last_session, profiles_in, read_profile
from multiboard.profile.tracer import Raw
from multiboard.profile.xspace import SpaceBuilder, write_space


@pytest.fixture
def trace(kineto_traces, tmp_path):
    """A function that writes a trace of torch.profiler of a rank and returns its path."""

    def write(name="trace.json", rank=None, **arguments):
        content = kineto_traces.cuda(**arguments).json()
        content["distributedInfo"] = {"rank": rank}
        path = tmp_path / name
        data = json.dumps(content).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def test_a_trace_is_a_session_of_its_first_step(trace, tmp_path):
    done = convert_trace(trace(), tmp_path / "run")
    assert done.step == 500
    assert done.path == tmp_path / "run" / "plugins" / "profile" / "step_000500" / "node7.xplane.pb"
    assert done.size == done.path.stat().st_size
    assert read_profile(done.path) == done.space


def test_the_step_may_be_given(trace, tmp_path):
    assert convert_trace(trace(), tmp_path, 7).path.parent.name == "step_000007"


def test_ranks_of_one_capture_are_hosts_of_one_session(trace, tmp_path):
    paths = [convert_trace(trace(f"{rank}.json.gz", rank), tmp_path).path for rank in (0, 1, 1)]
    sessions = [(path.parent.name, path.name) for path in paths]
    assert sessions == [
        ("step_000500", "rank0.xplane.pb"),
        ("step_000500", "rank1.xplane.pb"),
        ("step_000500_r2", "rank1.xplane.pb"),
    ]


def test_a_file_is_summed_up_alike_before_and_after(trace, tmp_path):
    path = trace(steps=4)
    after = profiles_in(convert_trace(path, tmp_path).path)
    assert summarize(read_profile(path)) == summarize(read_profile(after[0]))
    assert summarize(read_profile(path)).device_busy_pct > 0


def test_a_profile_of_jax_or_tensorflow_gets_names(tmp_path):
    for event, expected in (("EagerExecute", "dense/MatMul:MatMul"), ("PjitFunction", "sequential/dense/MatMul:MatMul")):
        builder = SpaceBuilder()
        line = builder.plane("/host:CPU").line(1, "main")
        line.event(event, 0, 5)
        line.event("sequential/dense/MatMul:MatMul", 0, 5)
        write_space(builder.space, tmp_path / "old.xplane.pb")
        done = convert_trace(tmp_path / "old.xplane.pb", tmp_path)
        assert expected in {one.name for one in done.space.planes[0].event_metadata.values()}


def test_the_last_session_of_a_run_is_found(trace, tmp_path):
    first = convert_trace(trace(), tmp_path, 900).path
    second = convert_trace(trace(), tmp_path, 800).path
    os.utime(first.parent, (1, 1))
    assert last_session(tmp_path) == second.parent
    assert profiles_in(tmp_path) == profiles_in(second.parent) == profiles_in(second) == [second]


def test_a_session_whose_traces_wait_is_told_apart_from_none(trace, tmp_path):
    with pytest.raises(ProfileReadError, match="holds no session"):
        profiles_in(tmp_path)
    session = claim_session(profiles_of(tmp_path), 3, "here", {"step": 3})
    finish_later(session, "here", [Raw("kineto", str(trace()), "torch", {})], max_events=None, keep_raw=False)
    with pytest.raises(ProfileReadError, match=f"multiboard profile convert {session}"):
        profiles_in(tmp_path)
