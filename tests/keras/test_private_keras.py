"""What Keras does not offer publicly has a fallback where it is missing."""

from types import SimpleNamespace

import keras
import pytest

from multiboard_keras._compat import accumulators, buffers, built_variables
from multiboard_keras.gradients import true_gradients


def test_an_optimizer_that_does_not_tell_its_variables_is_an_error_that_says_so():
    with pytest.raises(LookupError, match="this version of Keras does not tell which variables SimpleNamespace updates"):
        built_variables(SimpleNamespace())


def test_without_sums_the_gradient_is_said_to_be_of_one_micro_batch(dense):
    kernel = dense().trainable_variables[0]
    optimizer = keras.optimizers.SGD(gradient_accumulation_steps=2)
    assert accumulators(optimizer) is None
    (gradient,), stage = true_gradients(optimizer, [kernel], [keras.ops.ones((4, 3))])
    assert keras.ops.convert_to_numpy(gradient).sum() == 12
    assert stage == "one micro-batch, before the optimizer's accumulation and clipping"


def test_without_the_weights_of_layers_those_that_are_not_trained_now_are_buffers():
    norm = keras.layers.BatchNormalization()
    norm.build((None, 4))
    assert buffers(norm) == [norm.moving_mean, norm.moving_variance]
    assert buffers(SimpleNamespace(non_trainable_weights=norm.non_trainable_weights)) == norm.non_trainable_weights
