"""Errors of multiboard are the same in another process, whatever their classes are made of."""

import pickle

import pytest

from multiboard import errors
from multiboard.remote.store_errors import StoreError

ERRORS = (
    errors.ArgumentError("every", -1, "pass a positive number"),
    errors.LogDirError("runs", "it is a file"),
    errors.TagError(""),
    errors.TagKindError("x", "image", "scalar"),
    errors.StepError("first"),
    errors.ValueKindError("x", {}, "pass a number"),
    errors.ValueShapeError("x", (2, 3), "pass a vector"),
    errors.CallError(ZeroDivisionError("division by zero")),
    errors.ClosedRunError("runs"),
    errors.ReadError("runs"),
    errors.ProfileReadError("trace", "it is empty"),
    errors.MissingFrameworkError("multiboard.torch", "torch", "torch"),
    StoreError("put", "s3://bucket", "Refused", "no permission", lasting=True),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_after_its_way_to_another_process(error):
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_no_class_of_errors_is_left_out():
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MultiboardError)}
    assert kinds - {errors.MultiboardError} <= {type(error) for error in ERRORS}
