"""A profiler over a training loop: what it does when, and that nothing of it reaches the training."""

import pytest

import multiboard as mb
from multiboard.profile.sessions import profiles_of
from multiboard.profile.tracer import ForeignProfilerError
from multiboard.profile.xspace import find_plane, read_space, stats_of


def train(profiler, steps, body=lambda _: None):
    for n in steps:
        with profiler.step(n):
            body(n)


def written_steps(log_dir):
    (path,) = profiles_of(log_dir).glob("*/*.xplane.pb")
    plane = find_plane(read_space(path), "/host:CPU")
    return [stats_of(event, plane)["step_num"] for line in plane.lines for event in line.events]


@pytest.fixture
def run(log_dir):
    with mb.Run(log_dir, facts=False) as opened:
        yield opened


def test_a_window_is_prepared_started_marked_and_stopped_once(toy, run, sessions):
    with mb.Profiler(run, start=5, steps=3, warmup=2, convert="lazy") as profiler:
        train(profiler, range(12))
    assert toy.calls == ["prepare", "start", 5, 6, 7, "stop"]
    assert list(sessions(run.log_dir)) == ["step_000005"]


def test_a_step_begins_when_the_one_before_ends(toy, log_dir):
    with mb.Profiler(log_dir, start=2, steps=2, warmup=0, convert="lazy") as profiler:
        train(profiler, range(6), body=lambda n: toy.calls.append(f"in {n}"))
    assert toy.calls == ["in 0", "in 1", "start", 2, "in 2", 3, "in 3", "stop", "in 4", "in 5"]


def test_an_adapter_that_names_steps_gets_the_same_markers(toy, log_dir):
    profiler = mb.Profiler(None, start=5, steps=3, convert="lazy")
    profiler.attach(log_dir, "toy", facts=lambda: {"layers": ["a"]})
    for n in range(12):
        if n >= profiler.next_step:
            profiler.reached(n)
    profiler.close()
    assert toy.calls == ["prepare", "start", 5, 6, 7, "stop"]


def test_facts_of_an_adapter_that_raise_are_left_out(toy, log_dir, sessions):
    with pytest.warns(mb.MultiboardWarning, match="is left out: ZeroDivisionError"):
        profiler = mb.Profiler(log_dir, start=1, steps=1, convert="lazy", warmup=0)
        profiler.attach(None, "toy", facts=lambda: 1 / 0)
        train(profiler, range(4))
        profiler.close()
    assert toy.steps() == [[1]]
    assert list(sessions(log_dir)) == ["step_000001"]


def test_what_a_tracer_has_to_say_of_a_window_is_said_once(toy, log_dir):
    toy.notes = ["the events of the device are missing"]
    with pytest.warns(mb.MultiboardWarning, match="steps 1 to 2: the events of the device are missing") as said:
        profiler = mb.Profiler(log_dir, start=1, steps=2, every=5, convert="lazy", warmup=0)
        train(profiler, range(20))
        profiler.close()
    assert len(said) == 1


def test_the_tracer_is_asked_for_what_the_user_wants(toy, log_dir):
    with mb.Profiler(log_dir, start=0, steps=1, warmup=0, level="deep", memory=False, layers=False, convert="lazy") as profiler:
        train(profiler, range(3))
    (request,) = toy.requests
    assert request[1:5] == ("deep", False, False, False)
    assert (request.names, request.host_only, request.snapshot) == (None, False, False)


def test_several_parts_of_one_step_are_one_step(toy, log_dir):
    with mb.Profiler(log_dir, start=3, steps=2, warmup=2, convert="lazy") as profiler:
        train(profiler, [n // 3 for n in range(20)])
    assert toy.steps() == [[3, 4]]


def test_what_is_between_two_steps_belongs_to_none(toy, log_dir):
    profiler = mb.Profiler(log_dir, start=5, steps=3, warmup=0, convert="lazy")
    for n in range(4, 7):
        profiler.reached(n)
    profiler.left(7)
    profiler.left(7)
    profiler.reached(7)
    profiler.left(8)
    assert toy.calls == ["start", 5, 6, "pause", "pause", 7, "stop"]
    profiler.reached(8)
    profiler.close()
    assert toy.calls[-1] == "stop"


@pytest.mark.usefixtures("toy")
def test_a_step_that_has_ended_is_kept_when_the_training_ends_with_it(log_dir, sessions):
    with pytest.warns(mb.MultiboardWarning, match="the profile of step 5 ended early"):
        profiler = mb.Profiler(log_dir, start=5, warmup=0, convert="lazy")
        profiler.reached(5)
        profiler.left(6)
        profiler.close()
    assert list(sessions(log_dir)) == ["step_000005"]


def test_every_tenth_step_can_be_named_alone(toy, log_dir):
    with mb.Profiler(log_dir, start=30, steps=20, warmup=20, convert="lazy") as profiler:
        train(profiler, range(0, 100, 10))
    assert toy.steps() == [[30, 40]]


def test_a_window_of_a_second_profiler_is_skipped_and_says_who_has_the_first(toy, tmp_path):
    with pytest.warns(mb.MultiboardWarning, match="the profiler of '.*first' captures a window of its own") as said:
        first = mb.Profiler(tmp_path / "first", start=2, steps=5, warmup=0, convert="lazy")
        second = mb.Profiler(tmp_path / "second", start=3, steps=2, warmup=0, every=10, convert="lazy")
        for n in range(20):
            with first.step(n), second.step(n):
                pass
        first.close()
        second.close()
    assert len(said) == 1
    assert toy.steps() == [[2, 3, 4, 5, 6], [13, 14]]


@pytest.mark.parametrize("method", ["make", "prepare", "start", "step", "input", "stop"])
def test_a_tracer_that_raises_ends_the_window_and_the_training_goes_on(toy, run, sessions, method):
    toy.failures[method] = RuntimeError("broken on purpose")
    trained = []
    with pytest.warns(mb.MultiboardWarning, match="RuntimeError: broken on purpose") as said:
        profiler = mb.Profiler(run, start=2, steps=2, warmup=1, every=10, repeat=2, convert="lazy")
        for n in profiler.input(range(20)):
            with profiler.step(n):
                trained.append(n)
            if n == 8:
                assert not profiler.open
                toy.failures.clear()
        profiler.close()
    assert len(said) == 1
    assert trained == list(range(20))
    assert toy.calls.count("abort") == (method != "make")
    assert list(sessions(run.log_dir)) == ["step_000012"]


def test_a_foreign_profiler_goes_on_and_is_said_once(toy, run):
    toy.failures["start"] = ForeignProfilerError("torch.profiler is running")
    with pytest.warns(mb.MultiboardWarning, match="torch.profiler is running") as said:
        profiler = mb.Profiler(run, start=2, steps=2, warmup=0, every=5, convert="lazy")
        train(profiler, range(30))
        profiler.close()
    assert len(said) == 1
    assert "stop" not in toy.calls


def test_a_step_that_raises_ends_the_window_keeps_it_and_raises_on(toy, run, sessions):
    def body(n):
        if n == 4:
            raise ZeroDivisionError("of the user")

    with pytest.warns(mb.MultiboardWarning, match="steps 2 to 3 ended early: ZeroDivisionError was raised in step 4"):
        profiler = mb.Profiler(run, start=2, steps=7, warmup=0, convert="lazy")
        with pytest.raises(ZeroDivisionError):
            train(profiler, range(20), body)
        assert toy.calls[-1] == "stop"
        profiler.close()
    assert list(sessions(run.log_dir)) == ["step_000002"]


@pytest.mark.parametrize("method", ["start", "step", "stop"])
def test_an_interrupt_inside_of_a_tracer_reaches_the_training_and_leaves_no_profiler_on(toy, log_dir, method):
    toy.failures[method] = KeyboardInterrupt()
    profiler = mb.Profiler(log_dir, start=2, steps=2, warmup=0, convert="lazy")
    with pytest.raises(KeyboardInterrupt):
        train(profiler, range(20))
    assert toy.calls[-1] == "abort"
    assert not profiler.open
    profiler.close()


def test_a_run_that_is_closed_ends_the_window_and_keeps_it(toy, log_dir, sessions):
    with pytest.warns(mb.MultiboardWarning, match="steps 2 to 3 ended early: it was closed"), mb.Run(log_dir) as run:
        profiler = mb.Profiler(run, start=2, steps=7, warmup=0, convert="lazy")
        for n in range(5):
            profiler.reached(n)
    assert toy.calls[-1] == "stop"
    assert list(sessions(log_dir)) == ["step_000002"]
    profiler.reached(5)
    profiler.close()
    assert toy.calls[-1] == "stop"


def test_a_profiler_that_is_forgotten_in_a_window_stops_it(toy, log_dir, sessions):
    profiler = mb.Profiler(log_dir, start=2, steps=7, warmup=0, convert="lazy")
    for n in range(5):
        profiler.reached(n)
    with pytest.warns(mb.MultiboardWarning, match="ended early"):
        del profiler
    assert toy.calls[-1] == "stop"
    assert list(sessions(log_dir)) == ["step_000002"]


@pytest.mark.parametrize("start", [500, 11])
def test_a_window_that_never_came_is_said(toy, run, start):
    with (
        pytest.warns(mb.MultiboardWarning, match=f"ended before step {start}") as said,
        mb.Profiler(run, start=start) as profiler,
    ):
        train(profiler, range(10))
    assert len(said) == 1
    assert toy.calls == ([] if start == 500 else ["prepare", "abort"])


def test_a_window_of_nothing_but_the_beginning_of_a_step_is_none(toy, run, sessions):
    with (
        pytest.warns(mb.MultiboardWarning, match="from step 10 on: it was closed before this step had ended"),
        mb.Profiler(run, start=10) as profiler,
    ):
        train(profiler, range(10))
    assert toy.calls[-1] == "abort"
    assert not sessions(run.log_dir)


def test_a_step_that_has_not_ended_has_no_marker(toy, log_dir):
    with pytest.warns(mb.MultiboardWarning, match="steps 2 to 3 ended early"):
        profiler = mb.Profiler(log_dir, start=2, convert="now")
        train(profiler, range(4))
        profiler.close()
    assert toy.steps() == [[2, 3, 4]]
    assert written_steps(log_dir) == [2, 3]


def test_a_step_that_a_training_goes_back_from_has_no_marker(toy, log_dir):
    with (
        pytest.warns(mb.MultiboardWarning, match="steps 2 to 3 ended early: step 0 came after step 4"),
        mb.Profiler(log_dir, start=2, convert="now") as profiler,
    ):
        for n in (0, 1, 2, 3, 4, 0, 1, 2):
            profiler.reached(n)
    assert toy.steps() == [[2, 3, 4]]
    assert written_steps(log_dir) == [2, 3]


def test_a_training_that_goes_on_behind_the_window_says_nothing(toy, run):
    with mb.Profiler(run) as profiler:
        train(profiler, range(1000, 1010))
    assert not toy.calls


def test_an_unknown_place_and_an_unknown_framework_are_said(toy, monkeypatch, log_dir):
    with pytest.warns(mb.MultiboardWarning, match="pass a run, or let an adapter drive it"):
        train(mb.Profiler(None, start=0, warmup=0), range(3))
    monkeypatch.setattr("multiboard.profile.driver.loaded", lambda: ("jax", "torch"))
    with pytest.warns(mb.MultiboardWarning, match="imported jax and torch; pass framework="):
        train(mb.Profiler(log_dir, start=0, warmup=0), range(3))
    assert not toy.calls


def test_a_step_without_a_number_is_an_error_of_the_first_call(toy, log_dir):
    profiler = mb.Profiler(log_dir)
    for wrong in (None, "1", 1.5):
        with pytest.raises(mb.StepError):
            profiler.step(wrong)
    with profiler.step(0):
        pass
    with pytest.warns(mb.MultiboardWarning, match="step None") as said:
        profiler.reached(None)
        with profiler.step(None):
            pass
    assert len(said) == 1
    assert not toy.calls


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("level", "full"),
        ("level", 1),
        ("memory", 1),
        ("snapshot", "yes"),
        ("trigger", "slow>x"),
        ("trigger", 9),
        ("max_seconds", 0),
        ("max_events", 0),
        ("keep", 0),
        ("convert", "later"),
        ("framework", "mxnet"),
        ("framework", ()),
    ],
)
def test_a_wrong_argument_is_named(name, value, log_dir):
    with pytest.raises(mb.ArgumentError) as refused:
        mb.Profiler(log_dir, **{name: value})
    assert refused.value.name == name


def test_a_run_that_is_none_is_refused():
    with pytest.raises(mb.ArgumentError, match="pass a multiboard"):
        mb.Profiler(5)


def test_the_two_other_spellings_open_the_same_windows(toy, log_dir):
    with mb.Profiler.from_profile_batch(log_dir, "3,4", convert="lazy") as profiler:
        train(profiler, range(10))
    with mb.Profiler.from_schedule(log_dir, wait=1, warmup=1, active=2, repeat=2, convert="lazy") as profiler:
        train(profiler, range(20))
    assert toy.steps() == [[2, 3], [2, 3], [6, 7]]


def test_a_window_that_warms_up_may_begin_after_it_was_asked_to_end(toy, log_dir):
    with mb.Profiler(log_dir, start=10, steps=2, warmup=5, convert="lazy") as profiler:
        for n in range(20):
            profiler.reached(n)
            if n == 7:
                profiler.end()
                assert toy.calls == ["prepare", "abort"]
    assert toy.calls == ["prepare", "abort", "prepare", "start", 10, 11, "stop"]


def test_a_window_ends_when_it_is_asked_to_and_the_next_one_comes(toy, run):
    with pytest.warns(mb.MultiboardWarning, match="ended early: it was asked to end"):
        profiler = mb.Profiler(run, start=2, steps=5, warmup=0, every=10, repeat=2, convert="lazy")
        for n in range(20):
            profiler.reached(n)
            if n == 4:
                profiler.end()
                assert not profiler.open
    assert toy.steps() == [[2, 3, 4], [12, 13, 14, 15, 16]]
