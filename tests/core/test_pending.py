"""Values that are still being computed are waited for by the writer thread, never by the caller."""

import gc
import threading
import weakref

import numpy as np
import pytest

import multiboard as mb
from multiboard.buckets import measure
from multiboard.values import Capture, MeasuredBatch


class Later:
    """A pending value that is ready when its event is set."""

    def __init__(self, value):
        self.ready = threading.Event()
        self.value = value

    def fetch(self):
        assert self.ready.wait(30)
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


def batch_of(*arrays):
    measured = [measure(array) for array in arrays]
    return MeasuredBatch(*(np.stack([getattr(m, name) for m in measured]) for name in ("counts", "specials", "moments")))


def test_the_caller_goes_on_while_a_value_is_computed(written):
    def actions(run):
        later = Later(3.5)
        run.log({"x": later, "y": 1.0}, 0)
        run.log({"y": 2.0}, 1)
        assert run.flush(timeout=0.2) is False
        later.ready.set()

    data = written(actions)
    assert data.scalars["x"].value.tolist() == [3.5]
    assert data.scalars["y"].value.tolist() == [1.0, 2.0]


def test_a_value_that_is_lost_costs_only_itself(written):
    def actions(run):
        for step in range(3):
            later = Later(RuntimeError("Array has been deleted") if step == 1 else float(step))
            later.ready.set()
            run.log({"x": later, "y": 1.0}, step)

    with pytest.warns(mb.MultiboardWarning, match=r"'x' could not be read at step 1: Array has been deleted"):
        data = written(actions)
    assert data.scalars["x"].step.tolist() == [0, 2]
    assert data.scalars["y"].step.tolist() == [0, 1, 2]


def test_a_scalar_that_did_not_come_to_be_is_not_written(written):
    def actions(run):
        for step in range(3):
            later = Later(None if step == 1 else float(step))
            later.ready.set()
            run.log({"x": later, "y": 1.0}, step)
            run.scalar("z", later, step)

    data = written(actions)
    assert [data.scalars[tag].step.tolist() for tag in ("x", "y", "z")] == [[0, 2], [0, 1, 2], [0, 2]]
    assert not any(tag.startswith(("nonfinite/", "multiboard/")) for tag in data.scalars)


def test_a_capture_becomes_histograms_norms_and_counts_under_the_uniform_tags(written):
    kernel, gradient = np.arange(6.0), np.array([1.0, np.nan, np.inf])
    later = Later(batch_of(kernel, gradient))
    later.ready.set()
    capture = Capture(
        ("params/dense/kernel", "grads/dense/kernel"), later, 7, 0.0, {"params/dense/kernel": "`dense.weight` of Linear"}
    )
    data = written(lambda run: run.capture(capture))
    np.testing.assert_array_equal(data.histograms["params/dense/kernel"].value[0], measure(kernel).rows())
    assert data.histograms["params/dense/kernel"].description == "`dense.weight` of Linear"
    scalars = {tag: column.value.tolist() for tag, column in data.scalars.items()}
    assert scalars.pop("norm/params/dense/kernel") == scalars.pop("norm/params") == [np.float32(np.sqrt(55))]
    assert np.isnan(scalars.pop("norm/grads/dense/kernel")).all()
    assert np.isnan(scalars.pop("norm/grads")).all()
    assert scalars == {"nonfinite/params": [0.0], "nonfinite/grads": [2.0], "nonfinite/grads/dense/kernel": [2.0]}
    assert all(column.step.tolist() == [7] for column in data.scalars.values())


def test_a_capture_that_fails_is_reported_and_the_run_goes_on(written):
    def actions(run):
        later = Later(RuntimeError("device lost"))
        later.ready.set()
        run.capture(Capture(("params/a/kernel",), later, 0, 0.0))
        run.log({"x": 1.0}, 0)

    with pytest.warns(mb.MultiboardWarning, match="device lost"):
        data = written(actions)
    assert list(data.scalars) == ["x"]


def test_a_tag_of_a_capture_cannot_have_another_kind(log_dir):
    with mb.Run(log_dir) as run:
        run.log({"params/a/kernel": 1.0}, 0)
        with pytest.raises(mb.TagKindError):
            run.capture(Capture(("params/a/kernel",), Later(None), 0, 0.0))


@pytest.mark.parametrize("logged_steps", [1, 3])
def test_a_refused_capture_lets_go_of_its_tensors_at_once(log_dir, logged_steps):
    """Also where the refusal is raised: its traceback must not keep a copy of the model until the next garbage collection."""
    gc.disable()
    try:
        with mb.Run(log_dir) as run:
            for step in range(logged_steps):
                run.log({"params/a/kernel": 1.0}, step)
            later = Later(None)
            alive = weakref.ref(later)
            capture = Capture(("params/a/kernel",), later, logged_steps - 1, 0.0)
            with pytest.raises(mb.TagKindError) if logged_steps == 1 else pytest.warns(mb.MultiboardWarning):
                run.capture(capture)
            del later, capture
            assert alive() is None
    finally:
        gc.enable()
