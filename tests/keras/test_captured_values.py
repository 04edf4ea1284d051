"""A capture holds the parameters before the update and the gradients of the update."""

import keras
import numpy as np

from multiboard.buckets import measure


def test_parameters_are_those_before_the_update(logged_fit):
    for column, position in [("params/conv1/kernel", 0), ("params/conv2/kernel", 4), ("params/logits/bias", 8)]:
        for step, rows in zip([0, 3, 6], logged_fit.data.histograms[column].value, strict=True):
            np.testing.assert_array_equal(rows, measure(logged_fit.weights[step][position]).rows())


def test_gradients_are_those_of_the_update(fit, dense, vectors):
    data = fit(dense(keras.optimizers.SGD(1.0)), batch_size=56, callback={"every": 1})
    model = dense()
    x, y = vectors
    kernel, bias = model.get_weights()
    error = 2 * (x @ kernel + bias - y) / y.size
    for tag, gradient in [("grads/fc/kernel", x.T @ error), ("grads/fc/bias", error.sum(axis=0))]:
        np.testing.assert_allclose(data.scalars[f"norm/{tag}"].value, [np.linalg.norm(gradient)], rtol=1e-5)
        assert data.histograms[tag].value[0][:, 2].sum() == gradient.size
        counted, expected = data.histograms[tag].value[0], measure(gradient.astype("float32")).rows()
        np.testing.assert_array_equal(counted, expected)


def test_a_gradient_is_seen_before_clipping(fit, dense):
    free = fit(dense(keras.optimizers.SGD(0.5)), callback={"every": 4}).scalars["norm/grads"].value[0]
    clipped = fit(dense(keras.optimizers.SGD(0.5, global_clipnorm=0.01)), callback={"every": 4}).scalars["norm/grads"].value[-1]
    assert clipped == free > 0.01


def test_the_loss_scale_is_taken_off_the_gradients(fit, dense):
    free = fit(dense(keras.optimizers.SGD(0.5)), callback={"every": 4}).scalars["norm/grads"].value[0]
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5), initial_scale=1024.0)
    scaled = fit(dense(optimizer), callback={"every": 4}).scalars
    np.testing.assert_allclose(scaled["norm/grads"].value[-1], free, rtol=1e-5)
    np.testing.assert_allclose(scaled["train/learning_rate"].value[-1], 0.5)


def test_a_looked_up_embedding_has_its_whole_gradient(fit):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,), dtype="int32"), keras.layers.Embedding(10, 3, name="embed")])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    words = np.array([[1, 1], [1, 2]], "int32")
    data = fit(model, words, np.ones((2, 2, 3), "float32"), callback={"every": 1})
    counted = data.histograms["grads/embed/embedding"].value[0]
    assert counted[:, 2].sum() == 30
    assert counted[counted[:, 0] == counted[:, 1]][0, 2] == 24  # eight words of ten are not looked up
