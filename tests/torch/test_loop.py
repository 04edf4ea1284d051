"""The loop hands out the loader's batches as they are, and measures them."""

import gc
import threading
import time
import weakref
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import multiboard as mb
import multiboard.torch as mbt
from multiboard_torch.loop import loop

pytestmark = pytest.mark.filterwarnings("ignore:.*fork")  # newer Pythons warn of it in a process with threads, as a writer has

MEANS = ("perf/step_ms", "perf/input_wait_ms", "perf/input_share", "perf/examples_per_s")


class Slow(Dataset):
    """Examples whose values are their indices; one of them may fail, each takes some time."""

    def __init__(self, size, milliseconds=0.0, fails_at=None):
        self.size, self.seconds, self.fails_at = size, milliseconds / 1000, fails_at

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        if index == self.fails_at:
            raise ZeroDivisionError(f"example {index}")
        time.sleep(self.seconds)
        return torch.full((3,), float(index)), index


class Stream(IterableDataset):
    def __iter__(self):
        return iter(torch.arange(6))


def loader(size=12, batch_size=2, workers=0, **arguments):
    dataset = Slow(size, **{key: arguments.pop(key) for key in ("milliseconds", "fails_at") if key in arguments})
    if "multiprocessing_context" in arguments:  # a process that is spawned cannot import this file
        dataset = TensorDataset(torch.zeros(size, 3), torch.arange(size))
    if workers:
        arguments.setdefault("timeout", 60)
    return DataLoader(dataset, batch_size, num_workers=workers, **arguments)


def others():
    """Return the threads and child processes besides those of the run."""
    threads = [thread.name for thread in threading.enumerate() if not thread.name.startswith("multiboard")]
    return sorted(threads), torch.multiprocessing.active_children()


def end_as(before):
    """Tell whether the others become those before: a thread of a queue of the loader ends a moment after the loader does."""
    deadline = time.monotonic() + 30
    while others() != before and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    return others() == before


# ------------------------------------------------------------------ the batches


@pytest.mark.parametrize("arguments", [{}, {"workers": 1}, {"workers": 1, "multiprocessing_context": "spawn"}], ids=str)
def test_batches_order_and_length_are_those_of_the_loader(arguments, log_dir, written):
    plain = loader(**arguments)
    with mb.Run(log_dir) as run:
        measured = loop(plain, run, every=2)
        assert len(measured) == len(plain) == 6
        labels = [label.tolist() for _, label in measured]
    assert labels == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]]
    assert written().scalars["perf/step_ms"].step.tolist() == [2, 4, 5]


def test_batches_are_the_same_objects(log_dir):
    batches = [object(), [torch.zeros(2)], {"x": torch.zeros(1)}]
    with mb.Run(log_dir) as run:
        handed_out = list(loop(batches, run, examples=1))
    assert all(one is other for one, other in zip(handed_out, batches, strict=True))


def test_shuffling_draws_the_same_order(log_dir):
    def order(wrap):
        torch.manual_seed(7)
        return [label.tolist() for _ in range(2) for _, label in wrap(plain)]

    plain = loader(shuffle=True)
    with mb.Run(log_dir) as run:
        assert order(lambda batches: loop(batches, run)) == order(lambda batches: batches)


def test_a_batch_is_let_go_as_soon_as_the_user_lets_go(log_dir):
    with mb.Run(log_dir) as run:
        for batch in loop((torch.zeros(2) for _ in range(3)), run):
            held = weakref.ref(batch)
            del batch
            assert held() is None


def test_a_loader_without_a_length_has_none_in_the_loop(log_dir):
    with mb.Run(log_dir) as run:
        with pytest.raises(TypeError):
            len(loop(DataLoader(Stream(), 2), run))
        with pytest.raises(TypeError):
            len(loop((batch for batch in ()), run))
        assert [batch.tolist() for batch in loop(DataLoader(Stream(), 2), run)] == [[0, 1], [2, 3], [4, 5]]


def test_an_empty_loader_writes_nothing(log_dir, written):
    with mb.Run(log_dir) as run:
        assert list(loop([], run)) == []
        run.log({"train/loss": 1.0}, 0)
    assert list(written().scalars) == ["train/loss"]


# ------------------------------------------------------------------ steps


def test_steps_go_on_over_epochs_and_what_is_left_of_one_is_written_at_its_end(log_dir, written):
    with mb.Run(log_dir) as run:
        measured = loop([torch.zeros(4)] * 5, run, every=3, start_step=10)
        assert measured.step == 10
        steps = [measured.step for _ in range(3) for _ in measured]
    assert steps == list(range(10, 25))
    scalars = written().scalars
    assert scalars["perf/first_step_ms"].step.tolist() == [10]
    assert {tuple(scalars[tag].step.tolist()) for tag in MEANS} == {(13, 14, 17, 19, 22, 24)}


def test_nested_loops_over_one_loader_go_on_counting(log_dir, written):
    with mb.Run(log_dir) as run:
        measured = loop([torch.zeros(1), torch.zeros(2)], run, every=1)
        seen = [(measured.step, len(outer), len(inner)) for outer in measured for inner in measured]
    assert seen == [(1, 1, 1), (2, 1, 2), (4, 2, 1), (5, 2, 2)]
    for tag in MEANS:
        assert np.isfinite(written().scalars[tag].value).all()
    assert (written().scalars["perf/input_share"].value <= 1).all()


def test_with_a_watch_several_batches_of_one_update_have_its_step(network, loss_at, log_dir, written):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    steps = []
    with mb.Run(log_dir) as run, mbt.watch(model, optimizer, run, every=100, start_step=7) as watching:
        measured = loop([torch.zeros(8)] * 12, run, every=2, watching=watching)
        for position, _ in enumerate(measured, 1):
            loss_at(model, position).backward()
            if position % 2 == 0:
                optimizer.step()
            steps.append(measured.step)
    assert steps == [7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12]
    scalars = written().scalars
    assert scalars["perf/first_step_ms"].step.tolist() == [7]
    assert scalars["perf/step_ms"].step.tolist() == [9, 11, 12]
    np.testing.assert_allclose(scalars["perf/examples_per_s"].value * scalars["perf/step_ms"].value, 2 * 8 * 1000)


# ------------------------------------------------------------------ times


def test_waiting_for_a_slow_loader_is_told_from_a_slow_step(log_dir):
    shares = {}
    for name, wait, work in [("loader", 20, 0), ("step", 0, 20)]:
        with mb.Run(log_dir / name) as run:
            for _ in loop(loader(8, 1, milliseconds=wait), run, every=7):
                time.sleep(work / 1000)
        scalars = mb.read(log_dir / name)["."].scalars
        shares[name] = scalars["perf/input_share"].value[0]
        assert scalars["perf/step_ms"].value[0] >= 20
    assert shares["loader"] > shares["step"]


def test_what_happens_between_epochs_and_in_pauses_is_not_counted(log_dir, written):
    outside = 0.0
    with mb.Run(log_dir) as run:
        measured = loop([torch.zeros(1)] * 3, run, every=100)
        list(measured)
        began = time.perf_counter()
        for _ in range(3):
            start = time.perf_counter()
            time.sleep(0.1)
            outside += time.perf_counter() - start
            for _ in measured:
                with measured.paused():
                    start = time.perf_counter()
                    time.sleep(0.02)
                    outside += time.perf_counter() - start
        total = time.perf_counter() - began
    steps = written().scalars["perf/step_ms"]
    assert steps.step.tolist() == [2, 5, 8, 11]
    assert 0 < 3 * steps.value[1:].sum() * (1 - 1e-6) / 1000 <= total - outside


# ------------------------------------------------------------------ ends


@pytest.mark.parametrize("workers", [0, 1])
def test_an_early_break_leaves_no_thread_and_no_process(workers, log_dir, written):
    with mb.Run(log_dir) as run:
        before = others()
        measured = loop(loader(workers=workers), run, every=2)
        for _ in range(2):
            for _, label in measured:
                if label[0] >= 6:
                    break
        assert measured.step == 7
        assert end_as(before)
    assert written().scalars["perf/step_ms"].step.tolist() == [2, 5]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_exception_of_the_loader_reaches_the_user_unchanged(workers, log_dir):
    before = others()
    with mb.Run(log_dir) as run:
        seen = []
        with pytest.raises(ZeroDivisionError, match="example 5"):
            seen.extend(label.tolist() for _, label in loop(loader(workers=workers, fails_at=5), run))
    assert seen == [[0, 1], [2, 3]]
    assert end_as(before)


def test_after_an_exception_of_the_loader_its_next_batch_can_be_asked_for_as_without_the_loop(log_dir, written):
    def labels(batches):
        found, iterator = [], iter(batches)
        while True:
            try:
                found.append(next(iterator)[1].tolist())
            except ZeroDivisionError:
                found.append("failed")
            except StopIteration:
                return found

    with mb.Run(log_dir) as run:
        assert labels(loop(loader(6, fails_at=2), run)) == labels(loader(6, fails_at=2)) == [[0, 1], "failed", [4, 5]]
    scalars = written().scalars
    np.testing.assert_allclose(scalars["perf/examples_per_s"].value * scalars["perf/step_ms"].value, [2 * 1000])


def test_an_exception_of_the_body_is_the_users_and_the_next_epoch_works(log_dir, written):
    with mb.Run(log_dir) as run:
        measured = loop([torch.zeros(1)] * 3, run, every=1)
        with pytest.raises(KeyError):
            for _ in measured:
                raise KeyError
        assert [measured.step for _ in measured] == [1, 2, 3]
    assert written().scalars["perf/first_step_ms"].step.tolist() == [1]
    assert written().scalars["perf/step_ms"].step.tolist() == [2, 3]


def test_an_iterator_may_be_used_by_hand(log_dir):
    with mb.Run(log_dir) as run:
        iterator = iter(loop(loader(), run))
        assert len(list(islice(iterator, 4))) == 4
        assert len(list(iterator)) == 2
        with pytest.raises(StopIteration):
            next(iterator)


@pytest.mark.parametrize("close_at", [0, 3])
def test_a_closed_run_does_not_end_the_loop_and_is_said_once(close_at, log_dir):
    run = mb.Run(log_dir)
    batches = []
    with pytest.warns(mb.MultiboardWarning, match="is closed") as said:
        for batch in loop([torch.zeros(1)] * 6, run, every=1):
            batches.append(batch)
            if len(batches) == close_at + 1:
                run.close()
    assert len(batches) == 6
    assert len(said) == 1


def test_a_process_without_a_run_gets_the_batches_and_the_steps(tmp_path):
    measured = loop([{"text": object()}] * 3, None, every=1)
    assert [measured.step for _ in measured] == [0, 1, 2]
    assert list(tmp_path.iterdir()) == []
