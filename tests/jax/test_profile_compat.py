"""Without what JAX keeps private its profiler still does, through the public functions."""

import jax
import jax.numpy as jnp
import pytest

from multiboard.profile.tracer import ForeignProfilerError, Request
from multiboard.profile.xspace import HOST_PLANE, find_plane, read_space
from multiboard_jax import _compat_profiler
from multiboard_jax.profile import make_tracer


@pytest.fixture
def without_sessions(monkeypatch):
    """Let JAX have no private sessions."""
    monkeypatch.setattr(_compat_profiler, "_profiler", None)


def tracer_into(folder):
    return make_tracer(Request(str(folder), "default", False, True, False, None, False, False))


def trace(folder):
    """Return the names of the events of a step."""
    tracer = tracer_into(folder)
    tracer.prepare()
    tracer.start()
    tracer.step(7)
    jnp.ones(3).block_until_ready()
    (raw,) = tracer.stop()
    return [one.name for one in find_plane(read_space(raw.path), HOST_PLANE).event_metadata.values()]


@pytest.mark.usefixtures("without_sessions")
def test_the_public_functions_take_the_place_of_sessions(tmp_path):
    for _ in range(2):
        assert "train" in trace(tmp_path)


@pytest.mark.usefixtures("without_sessions")
def test_the_public_functions_tell_of_profiles_of_others(tmp_path):
    jax.profiler.start_trace(str(tmp_path / "theirs"))
    with pytest.raises(ForeignProfilerError):
        tracer_into(tmp_path).start()
    jax.profiler.stop_trace()


@pytest.mark.usefixtures("without_sessions")
def test_the_public_functions_are_not_stuck_after_a_file_that_cannot_be_written(tmp_path):
    tracer = tracer_into(tmp_path / "raw")
    tracer.start()
    (tmp_path / "raw").write_text("a file where the directory has to be")
    with pytest.raises(Exception, match="raw"):
        tracer.stop()
    assert "train" in trace(tmp_path)


def test_profiles_of_others_are_known_without_the_state_of_the_public_functions(monkeypatch, tmp_path):
    monkeypatch.setattr(_compat_profiler, "_is_public_one_running", lambda: False)
    jax.profiler.start_trace(str(tmp_path / "theirs"))
    with pytest.raises(ForeignProfilerError):
        tracer_into(tmp_path).start()
    jax.profiler.stop_trace()
    assert "train" in trace(tmp_path)
