"""A train function whose compiled step is called directly does what it does when Keras calls it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import multiboard.keras as mbk
from multiboard_keras.compiled_step_tensorflow import CompiledStep, direct


class Telling(keras.Model):
    """A model whose logs are what it is told to compute from a batch."""

    def __init__(self, logs):
        super().__init__()
        self.logs = logs

    def train_step(self, data):
        return self.logs(data)


def nested(data):
    return {"b": {"sum": tf.reduce_sum(data), "rows": (data, data[0])}, "a": tf.shape(data)[0], "list": [data, data]}


def with_none(data):
    return {"none": None, "sum": tf.reduce_sum(data)}


def composite(data):
    return {"sum": tf.reduce_sum(data), "sparse": tf.sparse.from_dense(data), "ragged": tf.RaggedTensor.from_tensor(data)}


def of_its_type(data):
    total = tf.reduce_sum(data)
    return {"floats": total} if data.dtype.is_floating else {"integers": total, "shape": tf.shape(data)}


def compiled(logs, **options):
    model = Telling(logs)
    model.compile("sgd", **options)
    model.make_train_function()
    return model


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
        flat = [leaf for leaf in tf.nest.flatten(logs, expand_composites=True) if leaf is not None]
        types = [(type(leaf), leaf.dtype, leaf.device) for leaf in flat]
        found.append(([*logs], tf.nest.map_structure(type, logs), types, [leaf.numpy().tolist() for leaf in flat]))
    return found, None


@pytest.mark.parametrize(
    ("logs", "options"),
    [(nested, {}), (nested, {"jit_compile": True}), (composite, {}), (with_none, {})],
    ids=["nested", "under XLA", "composite", "none"],
)
def test_logs_and_the_end_are_those_of_keras(logs, options):
    model = compiled(logs, **options)
    ours = direct(model)
    assert type(ours) is CompiledStep
    expected = results(model.train_function, iterator())
    assert len(expected[0]) == 5
    assert results(ours, iterator()) == expected
    assert results(ours, iterator()) == expected


def test_a_function_that_is_traced_again_returns_what_the_new_trace_does():
    ours = direct(compiled(of_its_type))
    for dtype, names in (np.float32, ["floats"]), (np.int32, ["integers", "shape"]), (np.float32, ["floats"]):
        assert sorted(ours(iterator(dtype))) == names


def test_batches_that_no_iterator_of_tensorflow_draws_go_to_keras():
    data = np.ones((2, 3), np.float32)
    assert direct(compiled(nested))([data])["b"]["sum"].numpy() == 6


def test_an_error_of_the_step_is_raised_as_it_is():
    model = compiled(lambda data: {"sum": tf.debugging.check_numerics(tf.reduce_sum(data) / 0.0, "too large")})
    for function in model.train_function, direct(model):
        with pytest.raises(tf.errors.InvalidArgumentError, match="too large"):
            function(iterator())


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"steps_per_execution": 2}], ids=str)
def test_a_step_that_is_not_compiled_or_may_find_no_batch_stays_with_keras(options):
    model = compiled(nested, **options)
    assert direct(model) is model.train_function


def test_while_steps_are_computed_behind_their_calls_they_stay_with_keras(monkeypatch):
    model = compiled(nested)
    monkeypatch.setattr(tf.config.experimental, "get_synchronous_execution", lambda: False)
    assert direct(model) is model.train_function


@pytest.mark.parametrize("module", [__name__, keras.Model.make_train_function.__module__])
def test_a_train_function_of_the_user_stays_whatever_its_names_are(module):
    model = compiled(nested)
    multi_step_on_iterator = tf.function(lambda batches: tf.experimental.Optional.from_value(next(batches)))

    def function(batches):
        return {"more": len(multi_step_on_iterator(batches).get_value())}

    function.__module__ = module
    model.train_function = function
    assert direct(model) is function


def test_the_steps_of_a_logged_fit_are_called_directly(dense, vectors, tmp_path, monkeypatch):
    calls = []
    call = CompiledStep.__call__
    monkeypatch.setattr(CompiledStep, "__call__", lambda step, batches: calls.append(step) or call(step, batches))
    callback = mbk.TensorBoard(tmp_path, every=2, update_freq="batch")
    dense().fit(*vectors, batch_size=14, epochs=1, verbose=0, callbacks=[callback])
    assert len(calls) == len(vectors[0]) / 14
    assert len(set(calls)) == 2  # those that capture are of another function
