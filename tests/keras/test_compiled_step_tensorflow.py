"""A train function whose compiled step is called directly does what it does when Keras calls it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from multiboard_keras.compiled_step_tensorflow import CompiledStep, direct


class Telling(keras.Model):
    """A model whose logs are what it is told to compute from a batch."""

    def __init__(self, logs):
        super().__init__()
        self.logs = logs

    def train_step(self, data):
        return self.logs(data)


def nested(data):
    return {"b": {"sum": tf.reduce_sum(data), "rows": (data, data[0])}, "a": tf.shape(data)[0]}


def composite(data):
    return {"sum": tf.reduce_sum(data), "sparse": tf.sparse.from_dense(data), "ragged": tf.RaggedTensor.from_tensor(data)}


def of_its_type(data):
    return (
        {"floats": tf.reduce_sum(data)} if data.dtype.is_floating else {"integers": tf.reduce_sum(data), "shape": tf.shape(data)}
    )


def train_function(logs, **options):
    model = Telling(logs)
    model.compile("sgd", **options)
    model.make_train_function()
    return model.train_function


def iterator(dtype=np.float32):
    return iter(tf.data.Dataset.from_tensor_slices(np.arange(27, dtype=dtype).reshape(9, 3) - 5).batch(2))


def results(function, batches):
    """What a function returns until the end, with types and in order, and what it raises then."""
    found = []
    while len(found) < 10:
        try:
            logs = function(batches)
        except (StopIteration, tf.errors.OutOfRangeError) as end:
            return found, type(end)
        flat = tf.nest.flatten(logs, expand_composites=True)
        types = [(type(leaf), leaf.dtype, leaf.device) for leaf in flat]
        found.append(([*logs], tf.nest.map_structure(type, logs), types, [leaf.numpy().tolist() for leaf in flat]))
    return found, None


@pytest.mark.parametrize(
    ("logs", "options", "calls"),
    [
        (nested, {}, 5),
        (nested, {"jit_compile": True}, 5),
        (nested, {"steps_per_execution": 2}, 3),
        (nested, {"steps_per_execution": 5}, 1),  # the second call finds no batch
        (composite, {}, 5),
    ],
    ids=["a step", "under XLA", "two steps", "five steps", "composite"],
)
def test_logs_and_the_end_are_those_of_keras(logs, options, calls):
    function = train_function(logs, **options)
    ours = direct(function)
    assert type(ours) is CompiledStep
    expected = results(function, iterator())
    assert len(expected[0]) == calls
    assert results(ours, iterator()) == expected
    assert results(ours, iterator()) == expected


def test_a_function_that_is_traced_again_returns_what_the_new_trace_does():
    ours = direct(train_function(of_its_type))
    for dtype, names in (np.float32, ["floats"]), (np.int32, ["integers", "shape"]), (np.float32, ["floats"]):
        assert sorted(ours(iterator(dtype))) == names


def test_batches_that_no_iterator_of_tensorflow_draws_go_to_keras():
    data = np.ones((2, 3), np.float32)
    assert direct(train_function(nested))([data])["b"]["sum"].numpy() == 6


@pytest.mark.parametrize("steps", [1, 3])
def test_an_error_of_the_step_is_raised_as_it_is(steps):
    def logs(data):
        return {"sum": tf.debugging.check_numerics(tf.reduce_sum(data) / 0.0, "too large")}

    for function in (made := train_function(logs, steps_per_execution=steps)), direct(made):
        with pytest.raises(tf.errors.InvalidArgumentError, match="too large"):
            function(iterator())


def test_a_step_that_returns_its_outputs_as_they_are_is_understood():
    multi_step_on_iterator = tf.function(lambda batches: nested(next(batches)))

    def function(batches):
        return multi_step_on_iterator(batches)

    assert type(direct(function)) is CompiledStep
    assert results(direct(function), iterator()) == results(function, iterator())


def test_a_train_function_that_keras_did_not_compile_is_left_alone():
    eager = train_function(nested, run_eagerly=True)
    assert direct(eager) is eager
    assert direct(print) is print
