"""Waits for batches are marked in windows only, and the loader stays as it is."""

import threading

import pytest

import multiboard as mb
from multiboard.loop import measured_loop
from multiboard.meter import Meter


class Loader:
    batch_size = 4

    def __init__(self, length=12):
        self.length, self.passes = length, 0

    def __len__(self):
        return self.length

    def __iter__(self):
        self.passes += 1
        return iter(range(self.length))


def test_waits_are_marked_in_a_window_only(toy, log_dir):
    with mb.Profiler(log_dir, start=2, steps=2, warmup=1, convert="lazy") as profiler:
        for n in profiler.input(range(9)):
            with profiler.step(n):
                toy.calls.append(f"in {n}")
    assert toy.calls == ["in 0", "prepare", "in 1", "start", 2, "input", "in 2", 3, "input", "in 3", "stop"] + [
        f"in {n}" for n in range(4, 9)
    ]


@pytest.mark.usefixtures("toy")
def test_a_loader_keeps_its_batches_its_length_and_its_attributes(log_dir):
    profiler, loader = mb.Profiler(log_dir, start=None), Loader()
    batches = profiler.input(loader)
    assert len(batches) == 12
    assert batches.batch_size == 4
    assert list(batches) == list(batches) == list(range(12))
    assert loader.passes == 2
    assert list(profiler.input(iter("abc"))) == ["a", "b", "c"]
    with pytest.raises(AttributeError):
        _ = batches.sampler
    with pytest.raises(TypeError):
        len(profiler.input(iter("abc")))
    with pytest.raises(mb.ArgumentError, match="pass an iterable of batches"):
        profiler.input(5)


def test_what_a_loader_raises_in_a_window_arrives_and_the_window_goes_on(toy, log_dir):
    def broken():
        yield 0
        raise OSError("a file is gone")

    with mb.Profiler(log_dir, start=0, steps=2, warmup=0, convert="lazy") as profiler:
        profiler.reached(0)
        with pytest.raises(OSError, match="a file is gone"):
            list(profiler.input(broken()))
        assert profiler.open
        profiler.reached(1)
        profiler.reached(2)
    assert toy.calls[-1] == "stop"


def test_a_wait_inside_of_a_wait_is_one(toy, log_dir):
    with mb.Profiler(log_dir, start=0, steps=1, warmup=0, convert="lazy") as profiler:
        profiler.reached(0)
        with profiler.waiting(), profiler.waiting():
            pass
        profiler.reached(1)
    assert toy.calls == ["start", 0, "input", "stop"]


def make_loop(loader, profiler, watching=None):
    return measured_loop(
        loader,
        None,
        lambda watching: Meter(None, watching=watching),
        start_step=0,
        watching=watching,
        examples=1,
        profiler=profiler,
    )


def test_a_measured_loop_drives_a_profiler_by_its_batches(toy, log_dir):
    with mb.Profiler(log_dir, start=2, steps=2, warmup=1, convert="lazy") as profiler:
        loop = make_loop(range(4), profiler)
        for _ in range(2):
            for _ in loop:
                toy.calls.append(f"in {loop.step}")
    assert toy.calls[:11] == ["in 0", "prepare", "in 1", "start", 2, "input", "in 2", 3, "input", "in 3", "stop"]
    assert toy.calls[11:] == [f"in {n}" for n in range(4, 8)]


def test_what_is_between_two_epochs_of_a_measured_loop_belongs_to_no_step(toy, log_dir):
    with mb.Profiler(log_dir, start=2, steps=3, warmup=1, convert="lazy") as profiler:
        loop = make_loop(range(4), profiler)
        for _ in range(2):
            for _ in loop:
                pass
            toy.calls.append("validation")
    epoch, other = ["prepare", "start", 2, "input", 3, "input", 4, "input", "pause"], ["input", 4, "input", "stop"]
    assert toy.calls == [*epoch, "validation", *other, "validation"]


def test_a_measured_loop_leaves_the_steps_to_what_counts_the_updates(toy, log_dir):
    class Handle:
        step = 7

    with mb.Profiler(log_dir, start=7, steps=1, warmup=0, convert="lazy") as profiler:
        Handle.profiler = profiler
        profiler.reached(7)
        assert list(make_loop(range(2), None, watching=Handle())) == [0, 1]
        profiler.reached(8)
    assert toy.calls == ["start", 7, *["input"] * 4, "stop"]


@pytest.mark.parametrize("parts", [1, 2])
def test_what_is_between_two_epochs_belongs_to_no_step_of_what_counts_the_updates(toy, log_dir, parts):
    class Handle:
        step = 0

    with mb.Profiler(log_dir, start=1, steps=3, warmup=0, convert="lazy") as profiler:
        loop = make_loop(range(2 * parts), profiler, Handle())
        for _ in range(3):
            for part in loop:
                if part % parts == parts - 1:
                    Handle.step += 1
                    profiler.reached(Handle.step)
            toy.calls.append("validation")
    assert [call for call in toy.calls if call != "input"] == [
        *("start", 1, 2, "pause", "validation"),
        *(2, 3, "stop", "validation", "validation"),
    ]


def test_an_evaluation_in_the_middle_of_an_epoch_belongs_to_no_step(toy, log_dir):
    class Handle:
        step = 0

    with mb.Profiler(log_dir, start=1, steps=2, warmup=0, convert="lazy") as profiler:
        loop = make_loop(range(6), profiler, Handle())
        for _ in loop:
            with loop.paused():  # before the update: of the step
                pass
            Handle.step += 1
            profiler.reached(Handle.step)
            if Handle.step == 2:
                with loop.paused():
                    toy.calls.append("evaluation")
    assert [call for call in toy.calls if call != "input"] == ["start", 1, 2, "pause", "evaluation", 2, "stop"]


@pytest.mark.parametrize("drives", [False, True])
def test_what_is_between_two_epochs_of_a_loop_by_hand_belongs_to_no_step(toy, log_dir, drives):
    n = 0
    with mb.Profiler(log_dir, start=1, steps=3, warmup=0, convert="lazy") as profiler:
        batches = profiler.input(range(2))
        for _ in range(3):
            for _ in batches:
                with profiler.step(n):
                    if drives:  # an adapter, which may be in the middle of an update
                        profiler.reached(n + 1)
                n += 1
            toy.calls.append("validation")
    calls = [call for call in toy.calls if call not in {"input", "validation"}]
    assert calls == (["start", 1, 2, 3, "stop"] if drives else ["start", 1, 2, "pause", 2, 3, "stop"])


def test_a_thread_that_draws_ahead_ends_no_step(toy, log_dir):
    with mb.Profiler(log_dir, start=1, steps=3, warmup=0, convert="lazy") as profiler:
        for n in range(2):
            with profiler.step(n):
                pass
        thread = threading.Thread(target=lambda: list(profiler.input(range(2))))
        thread.start()
        thread.join()
        for n in range(2, 5):
            with profiler.step(n):
                pass
    assert toy.calls == ["start", 1, 2, 3, "stop"]


def test_a_loop_refuses_what_is_no_profiler():
    with pytest.raises(mb.ArgumentError, match="pass a multiboard"):
        make_loop(range(2), object())
