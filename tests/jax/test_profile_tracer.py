"""One window of JAX's own profiler, on the CPU: what is in the file, who else may profile, and what a failure leaves behind."""

import gzip
import itertools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from multiboard.profile.tracer import ForeignProfilerError, Request
from multiboard.profile.xspace import HOST_PLANE, TASK_PLANE, find_plane, read_space, stats_of
from multiboard_jax.profile import JaxTracer, make_tracer

X = jnp.arange(64.0).reshape(8, 8)
STEPS = range(500, 503)


@jax.jit
def update(x):
    return jnp.tanh(x @ x)


def request(folder, **options):
    defaults = {"level": "default", "memory": False, "layers": True, "python": False, "names": None}
    return Request(str(folder), **{**defaults, "host_only": False, "snapshot": False, **options})


def trace(folder, **options):
    """Profile some steps with an input wait each, and return the raw files."""
    tracer, x = make_tracer(request(folder, **options)), update(X)
    tracer.prepare()
    tracer.start()
    for number in STEPS:
        tracer.step(number)
        with tracer.input():
            x = x + 1
        x = update(x)
    return tracer.stop()


@pytest.fixture(scope="module")
def raws(tmp_path_factory):
    """What a window with all options but Python's functions leaves behind."""
    return trace(tmp_path_factory.mktemp("raw"), memory=True)


@pytest.fixture(scope="module")
def host(raws):
    """Name, start, end and stats of all events of the host in this window, in the order of their beginning."""
    return events_of(raws[0].path)


def events_of(path):
    plane = find_plane(read_space(path), HOST_PLANE)
    found = []
    for line in plane.lines:
        for event in line.events:
            start = line.timestamp_ns * 1000 + event.offset_ps
            name = plane.event_metadata[event.metadata_id].name
            found.append((name, start, start + event.duration_ps, stats_of(event, plane)))
    return sorted(found, key=lambda event: event[1])


def named(events, name):
    return [event for event in events if event[0] == name]


def test_every_step_has_one_marker_with_its_global_number_and_they_follow_each_other(host):
    markers = named(host, "train")
    assert [stats["step_num"] for *_, stats in markers] == list(STEPS)
    assert [stats["_r"] for *_, stats in markers] == [1] * len(STEPS)
    assert all(before[2] <= after[1] for before, after in itertools.pairwise(markers))


def test_the_wait_for_input_is_inside_its_step_and_marked_as_xprof_looks_for_it(host):
    waits = named(host, "input")
    for wait, marker in zip(waits, named(host, "train"), strict=True):
        assert marker[1] <= wait[1] <= wait[2] <= marker[2]
        expected = {"_ipl_stage_id": 1 << 40, "_ipl_stage_name": "input", "_ipl_stage_cat": "preprocessing"}
        assert wait[3].items() >= expected.items()


def test_the_operations_of_every_step_and_no_others_are_there(host):
    operations = [event for event in host if event[3].get("hlo_module", "").startswith("jit_update") and "hlo_op" in event[3]]
    names = [name for name, *_ in operations]
    assert names
    assert {names.count(name) for name in names} == {len(STEPS)}


def test_programs_that_were_compiled_before_have_their_hlo_in_the_file(raws):
    metadata = find_plane(read_space(raws[0].path), "/host:metadata")
    assert any(one.name.startswith("jit_update") for one in metadata.event_metadata.values())


def test_the_file_says_when_it_began(raws):
    plane = find_plane(read_space(raws[0].path), TASK_PLANE)
    assert stats_of(plane, plane)["profile_start_time"] > 1.7e18  # ns since 1970


def test_functions_of_python_are_not_traced_by_default(host):
    assert not any("test_profile_tracer.py" in name for name, *_ in host)


def test_live_buffers_are_saved_beside_the_trace(raws):
    assert [(raw.kind, raw.framework) for raw in raws] == [("xspace", "jax"), ("pprof", "jax")]
    assert b"test_profile_tracer" in gzip.decompress(Path(raws[1].path).read_bytes())


def test_without_memory_there_is_the_trace_alone(tmp_path):
    assert [raw.kind for raw in trace(tmp_path)] == ["xspace"]


@pytest.mark.parametrize("level", ["light", "deep"])
def test_every_level_has_markers_and_operations(level, tmp_path):
    events = events_of(trace(tmp_path, level=level)[0].path)
    assert len(named(events, "train")) == len(STEPS)
    assert any("hlo_op" in stats for *_, stats in events)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there Python's functions are traced")
def test_it_is_said_that_functions_of_python_are_left_out(tmp_path):
    (raw,) = trace(tmp_path, python=True)
    assert "below Python 3.12" in raw.facts["notes"][0]


def test_a_profile_of_somebody_else_goes_on_undisturbed(tmp_path):
    jax.profiler.start_trace(str(tmp_path))
    for attempt in (JaxTracer.prepare, JaxTracer.start):
        with pytest.raises(ForeignProfilerError, match="goes on"):
            attempt(make_tracer(request(tmp_path)))
        update(X).block_until_ready()
    jax.profiler.stop_trace()
    (path,) = tmp_path.rglob("*.xplane.pb")
    assert len([1 for name, *_ in events_of(path) if name == "PjitFunction(update)"]) >= 2


def test_somebody_else_may_start_a_profile_in_the_middle_of_a_window(tmp_path):
    tracer = make_tracer(request(tmp_path / "ours"))
    tracer.start()
    tracer.step(0)
    jax.profiler.start_trace(str(tmp_path / "theirs"))
    with pytest.raises(ForeignProfilerError, match="in the middle of the window"):
        tracer.step(1)
    update(X).block_until_ready()
    tracer.abort()
    jax.profiler.stop_trace()
    (path,) = (tmp_path / "theirs").rglob("*.xplane.pb")
    assert any("hlo_op" in stats for *_, stats in events_of(path))
    assert len(named(events_of(trace(tmp_path)[0].path), "train")) == len(STEPS)


def test_after_a_file_that_cannot_be_written_all_can_profile_again(tmp_path):
    with pytest.raises(OSError, match="missing"):
        trace(tmp_path / "missing")
    assert trace(tmp_path)
    jax.profiler.start_trace(str(tmp_path))
    jax.profiler.stop_trace()


def test_an_aborted_window_leaves_nothing_behind(tmp_path):
    tracer = make_tracer(request(tmp_path))
    tracer.start()
    tracer.step(3)
    tracer.abort()
    tracer.abort()
    assert tracer.stop() == []
    assert list(tmp_path.iterdir()) == []
    assert trace(tmp_path)


def test_the_window_waits_for_what_has_been_launched(tmp_path):
    @jax.jit
    def slow(x):
        return jax.lax.fori_loop(0, 3000, lambda _, x: jnp.tanh(x @ x), x)

    x = jnp.ones((64, 64))
    slow(x).block_until_ready()
    before = slow(x + 1)
    tracer = make_tracer(request(tmp_path))
    tracer.start()
    assert before.is_ready()
    tracer.step(0)
    after = slow(x)
    tracer.stop()
    assert after.is_ready()
