"""Means are divided without Keras where that gives the same numbers, and only there."""

import keras
import numpy as np
import pytest

from multiboard_keras.means import divide, means_in


def container(*metrics, weighted=()):
    """Return the metrics of a model compiled with some, after a batch."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile("sgd", "mse", metrics=list(metrics), weighted_metrics=list(weighted))
    x = np.random.default_rng(0).random((4, 3), np.float32)
    model.train_on_batch(x, x)
    return next(metric for metric in model.metrics if isinstance(metric.result(), dict))


def tensors(*numbers):
    return [keras.ops.convert_to_tensor(number, "float32") for number in numbers]


def divided(metric, state):
    return divide({name: (state[total], state[count]) for name, (total, count) in means_in(metric).items()})


def test_the_means_of_a_container_are_those_of_its_result():
    metric = container("mae", "mse", weighted=["mae"])
    state = tensors(1.0, 3.0, 2e-20, 7.0, -5.0, 0.3)
    own, theirs = divided(metric, state), metric.stateless_result(state)
    assert own.keys() == theirs.keys()
    assert {name: np.float32(number) for name, number in own.items()} == {
        name: np.float32(keras.ops.convert_to_numpy(number)) for name, number in theirs.items()
    }


@pytest.mark.parametrize(
    ("total", "count"), [(3.0, 0.0), (0.0, 0.0), (np.nan, 2.0), (1.0, np.nan), (np.inf, 2.0), (np.inf, np.inf), (3e38, 1e-3)]
)
def test_a_mean_is_divided_as_keras_does(total, count):
    metric = keras.metrics.Mean(name="size")
    own = divided(metric, tensors(total, count))["size"]
    with np.errstate(over="ignore"):
        written = np.asarray(float(own), np.float32)
    theirs = keras.ops.convert_to_numpy(metric.stateless_result(tensors(total, count)))
    np.testing.assert_array_equal(written, theirs)


class Doubled(keras.metrics.Mean):
    """A mean with a result of its own."""

    def result(self):
        return 2 * super().result()


class OfTwo(keras.metrics.Metric):
    """A metric that computes with the results of those inside."""

    def __init__(self, name="of_two"):
        super().__init__(name=name)
        self.first, self.second = keras.metrics.Mean(), keras.metrics.Mean()

    def result(self):
        return self.first.result() + self.second.result()


@pytest.mark.parametrize(
    "metric",
    [
        Doubled(name="doubled"),
        OfTwo(),
        keras.metrics.Sum(),
        keras.metrics.RootMeanSquaredError(),
        keras.metrics.AUC(),
        keras.metrics.Mean(dtype="float16"),
    ],
    ids=lambda metric: type(metric).__name__,
)
def test_what_is_more_than_a_mean_of_float32_is_left_to_keras(metric):
    assert means_in(metric) is None


def test_a_container_with_one_of_those_is_left_to_keras():
    assert means_in(container("mae", keras.metrics.RootMeanSquaredError())) is None
    assert means_in(container("mae")) is not None
