"""A wrapped step drives a profiler: windows are of global steps, and the training stays what it is."""

import importlib.util
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import multiboard as mb
import multiboard.jax as mbj
from multiboard.profile.op_names import split_name
from multiboard.profile.xspace import HOST_PLANE, find_plane, read_space, stats_of

_spec = importlib.util.spec_from_file_location("profiled_models", Path(__file__).parent / "programs" / "profiled_models.py")
models = importlib.util.module_from_spec(_spec)
sys.modules["profiled_models"] = models  # for the names of its classes
_spec.loader.exec_module(models)

CNN, LAYERS = models.TRAININGS["nnx cnn"]


def train(step, steps, arguments=None, training=CNN, loader=None):
    """Call a step of NNX some times, and return its losses and arguments."""
    arguments = arguments or training.start()
    batches = [training.batch] * steps if loader is None else loader
    return [float(step(*arguments, *batch)["loss"]) for batch in batches], arguments


def events_of(session):
    """Name and stats of all events of the host in the one file of a session."""
    (path,) = session.glob("*.xplane.pb")
    plane = find_plane(read_space(path), HOST_PLANE)
    return [
        (plane.event_metadata[event.metadata_id].name, stats_of(event, plane)) for line in plane.lines for event in line.events
    ]


def steps_of(session):
    return [stats["step_num"] for name, stats in events_of(session) if name == "train" and "step_num" in stats]


def layers_of(session):
    names = [split_name(stats["tf_op"])[0] for _, stats in events_of(session) if "tf_op" in stats]
    return {name.removeprefix("backward/") for name in names}


@pytest.fixture
def profiler(run):
    """A function that makes a profiler of the run."""
    return lambda **options: mb.Profiler(run, **{"steps": 3, "convert": "now", **options})


@pytest.fixture
def sessions(log_dir):
    """A function that returns the sessions of the run, in their order."""
    return lambda: sorted((log_dir / "plugins" / "profile").glob("*"))


def test_a_window_has_the_steps_that_were_asked_for_and_the_layers_of_the_model(run, profiler, sessions, written, causes):
    with run:
        train(mbj.wrap_train_step(CNN.step, run, every=10, profiler=profiler(start=4)), 9)
    (session,) = sessions()
    assert session.name == "step_000004"
    assert steps_of(session) == [4, 5, 6]
    assert layers_of(session) >= set(LAYERS)
    assert written().scalars["profile/step_ms"].step.tolist() == [4]
    assert causes == []


def test_steps_are_global_when_a_training_is_resumed(run, profiler, sessions):
    with run:
        step = mbj.wrap_train_step(CNN.step, run, every=1000, start_step=500, profiler=profiler(start=504))
        train(step, 7)
    assert [steps_of(session) for session in sessions()] == [[504, 505, 506]]


def test_a_window_right_at_the_beginning_waits_until_all_is_compiled(run, profiler, sessions):
    with run:
        train(mbj.wrap_train_step(CNN.step, run, every=1000, profiler=profiler(start=0, warmup=2)), 7)
    assert [steps_of(session) for session in sessions()] == [[4, 5, 6]]  # step 1 is the first that measures nothing


def test_a_window_waits_for_a_step_that_was_compiled_anew(run, profiler, sessions):
    step = mbj.wrap_train_step(CNN.step, run, every=1000, profiler=profiler(start=4, warmup=2))
    smaller = tuple(part[:2] for part in CNN.batch)
    with run:
        arguments = CNN.start()
        for batch in [CNN.batch] * 3 + [smaller] * 7:
            step(*arguments, *batch)
    assert [steps_of(session) for session in sessions()] == [[6, 7, 8]]


def test_a_step_that_came_compiled_has_its_layers_in_the_profile(run, profiler, sessions):
    with run:
        train(mbj.wrap_train_step(CNN.jit(CNN.step), run, every=1000, profiler=profiler(start=3)), 7)
    assert layers_of(sessions()[0]) >= set(LAYERS)


def test_what_measures_is_no_work_of_the_layers(run, profiler, sessions):
    with run:
        step = mbj.wrap_train_step(CNN.step, run, every=6, activations=["*"], profiler=profiler(start=5, steps=2))
        train(step, 8)
    names = [split_name(stats["tf_op"]) for _, stats in events_of(sessions()[0]) if "tf_op" in stats]
    assert {"dot_general", "conv_general_dilated"} <= {kind for _, kind in names}
    products = [name for name in names if name[1] in {"dot_general", "conv_general_dilated"}]
    per_layer = {layer: products.count((layer, kind)) for layer, kind in products}
    assert {per_layer[layer] % 2 for layer in LAYERS} == {0}  # of a step that is measured, and of one that is not
    assert any(layer == "multiboard" for layer, _ in names)


def test_losses_and_weights_are_bit_identical_with_a_window_and_without(run, profiler):
    with run:
        step = mbj.wrap_train_step(CNN.step, run, every=4, profiler=profiler(start=3))
        losses, (model, *_) = train(step, 8)
    expected, (other, *_) = train(CNN.jit(CNN.step), 8)
    assert losses == expected
    for ours, theirs in zip(*(jax.tree.leaves(models.nnx.state(one)) for one in (model, other)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_loop_marks_its_waits_in_the_profile_of_the_step_that_it_watches(run, profiler, sessions, written):
    def batches():
        for _ in range(9):
            time.sleep(0.02)
            yield CNN.batch

    with run:
        step = mbj.wrap_train_step(CNN.step, run, every=1000, profiler=profiler(start=4))
        train(step, 9, loader=mbj.loop(batches(), run, watching=step))
    assert [name for name, _ in events_of(sessions()[0])].count("input") == 3
    assert 0 < written().scalars["profile/input_pct"].value[0] < 100


def test_a_loop_alone_drives_a_profiler(run, profiler, sessions):
    step = CNN.jit(CNN.step)
    with run:
        train(step, 9, loader=mbj.loop([CNN.batch] * 9, run, profiler=profiler(start=4)))
    assert [steps_of(session) for session in sessions()] == [[4, 5, 6]]


def test_a_loop_gives_its_profiler_to_the_step_that_it_watches(run, profiler, sessions):
    with run:
        step = mbj.wrap_train_step(CNN.step, run, every=1000)
        train(step, 9, loader=mbj.loop([CNN.batch] * 9, run, watching=step, profiler=profiler(start=4)))
        with pytest.raises(mb.ArgumentError, match="another one"):
            mbj.loop([], run, watching=step, profiler=profiler(start=20))
    assert [steps_of(session) for session in sessions()] == [[4, 5, 6]]


def test_a_loop_by_hand_is_profiled(run, profiler, sessions):
    step, arguments = CNN.jit(mbj.name_layers(CNN.step)), CNN.start()
    with run, profiler(start=3) as prof:
        for n, batch in enumerate(prof.input([CNN.batch] * 8)):
            with prof.step(n):
                step(*arguments, *batch)
    assert steps_of(sessions()[0]) == [3, 4, 5]
    assert layers_of(sessions()[0]) >= set(LAYERS)


def test_a_step_that_raises_in_a_window_leaves_the_profile_and_the_profiler_usable(run, profiler, sessions, tmp_path):
    with run:
        step = mbj.wrap_train_step(CNN.step, run, every=1000, profiler=profiler(start=4))
        _, arguments = train(step, 5)
        with pytest.raises(TypeError):
            step(*arguments)
        train(step, 3, arguments)
    jax.profiler.start_trace(str(tmp_path / "theirs"))
    jax.profiler.stop_trace()
    assert steps_of(sessions()[0]) == [4, 5, 6]


def test_a_profile_of_the_user_goes_on_and_the_run_says_why_there_is_no_other(run, profiler, sessions, causes, tmp_path):
    step = mbj.wrap_train_step(CNN.step, run, every=1000, profiler=profiler(start=3))
    with run:
        _, arguments = train(step, 2)
        jax.profiler.start_trace(str(tmp_path / "theirs"))
        train(step, 6, arguments)
        jax.profiler.stop_trace()
    assert sessions() == []
    assert any("another profile of JAX is running and goes on" in message for _, message in causes)
    assert list((tmp_path / "theirs").rglob("*.xplane.pb"))


@pytest.mark.parametrize("wrap", [mbj.wrap_train_step, mbj.loop])
def test_something_else_than_a_profiler_is_refused(wrap, run):
    with run, pytest.raises(mb.ArgumentError, match=r"pass a multiboard\.Profiler"):
        wrap(CNN.step if wrap is mbj.wrap_train_step else [], run, profiler=True)


def test_two_steps_that_share_a_profiler_are_in_one_window_with_the_layers_of_both(run, profiler, sessions):
    other, other_layers = models.TRAININGS["nnx transformer"]
    with run:
        prof = profiler(start=4)
        steps = [mbj.wrap_train_step(one.step, run, every=1000, profiler=prof) for one in (CNN, other)]
        first, second = CNN.start(), other.start()
        for _ in range(9):
            steps[0](*first, *CNN.batch)
            steps[1](*second, *other.batch)
    assert [steps_of(session) for session in sessions()] == [[4, 5, 6]]
    assert layers_of(sessions()[0]) >= {*LAYERS, *other_layers}
