"""What Keras does not offer publicly has a fallback where it is missing."""

import sys
from types import SimpleNamespace

import keras
import pytest

from multiboard.profile.tracer import ForeignProfilerError, Request
from multiboard_keras._compat import accumulators, buffers, built_variables, tensorflow_profiler_started
from multiboard_keras.gradients import true_gradients


def test_an_optimizer_that_does_not_tell_its_variables_is_an_error_that_says_so():
    with pytest.raises(LookupError, match="this version of Keras does not tell which variables SimpleNamespace updates"):
        built_variables(SimpleNamespace())


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow's profiler")
def test_a_tensorflow_that_does_not_tell_whether_a_profiler_was_started_leaves_that_of_the_user_alone(tmp_path, monkeypatch):
    import tensorflow as tf
    from tensorflow.python.profiler import profiler_v2

    from multiboard_keras.profile_tensorflow import make_tracer

    request = Request(str(tmp_path), "default", *[False] * 3, names=None, host_only=False, snapshot=False)
    with tf.profiler.experimental.Profile(str(tmp_path / "user")):
        session = profiler_v2._profiler
        monkeypatch.setitem(sys.modules, "tensorflow.python.profiler.profiler_v2", None)
        assert tensorflow_profiler_started() is None
        with pytest.raises(ForeignProfilerError):
            make_tracer(request).start()
        assert profiler_v2._profiler is session
    assert list((tmp_path / "user").rglob("*.xplane.pb"))


def test_without_sums_the_gradient_is_said_to_be_of_one_micro_batch(dense):
    kernel = dense().trainable_variables[0]
    optimizer = keras.optimizers.SGD(gradient_accumulation_steps=2)
    assert accumulators(optimizer) is None
    (gradient,), stage = true_gradients(optimizer, [kernel], [keras.ops.ones((4, 3))])
    assert keras.ops.convert_to_numpy(gradient).sum() == 12
    assert stage == "of one micro-batch"


def test_without_the_weights_of_layers_those_that_are_not_trained_now_are_buffers():
    norm = keras.layers.BatchNormalization()
    norm.build((None, 4))
    assert buffers(norm) == [norm.moving_mean, norm.moving_variance]
    assert buffers(SimpleNamespace(non_trainable_weights=norm.non_trainable_weights)) == norm.non_trainable_weights
