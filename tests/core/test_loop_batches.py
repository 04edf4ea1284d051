"""The loop that all adapters share takes any iterable, and counts the examples of what it hands out."""

import functools

import numpy as np
import pytest

import multiboard as mb
from multiboard.loop import count_examples, measured_loop
from multiboard.meter import Calls, Meter


def loop(loader, run, every=2, watching=None, start_step=0, examples=None):
    make_meter = functools.partial(Meter, run, every=every)
    return measured_loop(loader, run, make_meter, start_step=start_step, watching=watching, examples=examples)


class Indexed:
    """Batches by position, as old iterables have them."""

    def __getitem__(self, position):
        if position == 5:
            raise IndexError
        return np.zeros((4, position + 1))


LOADERS = {
    "list": lambda: [np.zeros((4, 2))] * 5,
    "generator": lambda: (np.zeros((4, 2)) for _ in range(5)),
    "iterator": lambda: iter([np.zeros((4, 2))] * 5),
    "by position": Indexed,
}


@pytest.mark.parametrize("name", LOADERS)
def test_every_iterable_is_measured(name, written):
    shapes = []

    def train(run):
        measured = loop(LOADERS[name](), run)
        shapes.extend((measured.step, len(batch)) for batch in measured)

    scalars = written(train).scalars
    assert shapes == [(step, 4) for step in range(5)]
    assert scalars["perf/step_ms"].step.tolist() == [2, 4]
    np.testing.assert_allclose(scalars["perf/examples_per_s"].value * scalars["perf/step_ms"].value, 4000, rtol=1e-5)


def test_the_loop_follows_what_counts_the_updates(written):
    counter, steps = Calls(7), []

    def train(run):
        measured = loop([np.zeros(4)] * 6, run, watching=counter)
        for position, _ in enumerate(measured, 1):
            counter.step += position % 2 == 0
            steps.append(measured.step)

    scalars = written(train).scalars
    assert steps == [7, 7, 8, 8, 9, 9]
    assert scalars["perf/first_step_ms"].step.tolist() == [7]
    assert scalars["perf/step_ms"].step.tolist() == [9]


@pytest.mark.parametrize(
    ("batch", "count"),
    [
        (np.zeros((8, 3)), 8),
        (np.zeros(()), None),
        ((np.zeros(()), np.zeros(8)), 8),
        ({"x": np.zeros((8, 2)), "y": 3}, 8),
        ({"text": ["a"] * 8}, 8),
        ("text", None),
        (7, None),
    ],
)
def test_the_examples_of_a_batch_are_those_of_its_first_array(batch, count):
    assert count_examples(batch) == count


@pytest.mark.parametrize("name", ["loader", "start_step", "examples"])
def test_a_wrong_argument_is_named(name, log_dir):
    wrong = {"loader": 7, "start_step": -1, "examples": 0}[name]
    with mb.Run(log_dir) as run, pytest.raises(mb.ArgumentError) as raised:
        loop(**{"loader": [], "run": run, name: wrong})
    assert raised.value.name == name
