"""TensorFlow's profiler does what a window asks of it, and is free afterwards whatever happens."""

import time
from pathlib import Path

import pytest
import tensorflow as tf

from multiboard.profile.tracer import ForeignProfilerError, Request
from multiboard.profile.xspace import read_space
from multiboard_keras.profile_tensorflow import make_tracer

PAUSE = 0.01


@pytest.fixture
def request_of(tmp_path):
    """The function that makes a request at a level."""

    def make(level="default", *, python=False):
        return Request(str(tmp_path), level, memory=True, layers=True, python=python, names=None, host_only=False, snapshot=False)

    return make


def work():
    return tf.linalg.matmul(tf.ones((8, 8)), tf.ones((8, 8)))


def events_of(raws, name):
    """Return when the events of a name begin and end, in picoseconds."""
    (raw,) = raws
    (plane,) = (plane for plane in read_space(raw.path).planes if plane.name == "/host:CPU")
    events = [event for line in plane.lines for event in line.events if plane.event_metadata[event.metadata_id].name == name]
    return [(event.offset_ps, event.offset_ps + event.duration_ps) for event in events]


def test_steps_and_waits_are_marked_and_what_comes_in_a_pause_belongs_to_no_step(request_of):
    tracer = make_tracer(request_of())
    tracer.prepare()
    tracer.start()
    for number in (5, 6):
        tracer.step(number)
        with tracer.input():
            time.sleep(PAUSE)
        work()
    tracer.pause()
    with tf.profiler.experimental.Trace("between"):
        work()
    raws = tracer.stop()
    assert (raws[0].kind, raws[0].framework) == ("xspace", "tensorflow")
    steps, waits, ((between, _),) = (events_of(raws, name) for name in ("train", "input", "between"))
    assert len(steps) == len(waits) == 2
    for (begin, end), (wait, after) in zip(steps, waits, strict=True):
        assert begin <= wait < after <= end <= between
        assert after - wait >= PAUSE * 1e12


def test_a_session_of_the_user_goes_on_and_is_told(request_of, tmp_path):
    with tf.profiler.experimental.Profile(str(tmp_path / "user")):
        for begin in ("prepare", "start"):
            with pytest.raises(ForeignProfilerError, match="another profile of TensorFlow is running and goes on"):
                getattr(make_tracer(request_of()), begin)()
        work()
    assert list((tmp_path / "user").rglob("*.xplane.pb"))


def test_what_was_aborted_leaves_no_file_and_a_free_profiler(request_of, tmp_path):
    tracer = make_tracer(request_of("deep"))
    tracer.abort()
    tracer.start()
    tracer.step(1)
    tracer.abort()
    tracer.abort()
    assert tracer.stop() == []
    assert not list(Path(tmp_path).rglob("*.xplane.pb"))
    with tf.profiler.experimental.Profile(str(tmp_path / "user")):
        work()


def test_a_folder_that_cannot_be_written_leaves_a_free_profiler(request_of, tmp_path):
    tracer = make_tracer(request_of()._replace(folder=str(tmp_path / "file")))
    (tmp_path / "file").write_text("")
    tracer.start()
    with pytest.raises(tf.errors.OpError):
        tracer.stop()
    tracer.abort()
    assert make_tracer(request_of()).prepare() is None
