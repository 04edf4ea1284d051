"""A text may be made in the writer thread, of what is not there yet."""

import threading

import pytest

import multiboard as mb


class Later:
    """A text that needs what another thread brings."""

    def __init__(self, error=None):
        self.there = threading.Event()
        self.error = error

    def fetch(self):
        assert self.there.wait(30)
        if self.error:
            raise self.error
        return f"made by {threading.current_thread().name}"


def test_the_caller_goes_on_and_the_writer_makes_the_text(log_dir):
    later = Later()
    with mb.Run(log_dir) as run:
        run.text("t", later, 3, description="d")
        run.text("t", "plain", 4)
        later.there.set()
    column = mb.read(log_dir)["."].texts["t"]
    assert (column.step.tolist(), column.description) == ([3, 4], "d")
    assert column.value[0].startswith("made by ")
    assert threading.current_thread().name not in column.value[0]
    assert column.value[1] == "plain"


def test_a_text_that_fails_costs_only_itself(log_dir):
    later = Later(ValueError("gone"))
    later.there.set()
    with pytest.warns(mb.MultiboardWarning, match="ValueError: gone"), mb.Run(log_dir) as run:
        run.text("t", later, 0)
        run.text("t", "plain", 1)
    assert mb.read(log_dir)["."].texts["t"].step.tolist() == [1]
