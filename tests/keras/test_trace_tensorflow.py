"""TensorFlow's graphs tell which tensors may leave the train step."""

import tensorflow as tf

from multiboard_keras._compat import trace_level


def test_tensors_inside_a_condition_are_told_from_those_of_the_step():
    levels = {}

    def branch():
        levels["inside"] = trace_level()
        return tf.constant(1.0)

    @tf.function(autograph=False)
    def step(x):
        levels["before"] = trace_level()
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cond(x > 0, branch, lambda: x)
        levels["after"] = trace_level()
        return tape.gradient(y, x)

    step(tf.constant(2.0))
    assert levels["before"] == levels["after"] != levels["inside"]
