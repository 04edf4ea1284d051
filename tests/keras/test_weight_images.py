"""With write_images, weights become pictures of the numbers that they hold at the end of an epoch."""

import io

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk
from multiboard.arrays import fetch_array
from multiboard_keras import images as weight_images
from multiboard_keras import weights


def pixels_of(png):
    """Decode a PNG of one grey or colour picture, uint8 `[H, W, C]`."""
    from PIL import Image

    picture = np.asarray(Image.open(io.BytesIO(png)))
    return picture if picture.ndim == 3 else picture[..., None]


def to_bytes(values, low, high):
    return np.rint((values - low) / (high - low) * 255)


@pytest.fixture(scope="module")
def logged(images, tmp_path_factory):
    """Two epochs of a CNN whose weights are logged while it trains: what was written, and the weights at those moments."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inner = keras.Sequential([keras.Input((6 * 6 * 5,)), layers.Dense(12, name="fc")], name="inner")
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(4, 3, name="first"), layers.Conv2D(5, 1, name="point"), layers.Flatten(), inner]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    log_dir = tmp_path_factory.mktemp("images")
    held = []
    with mb.Run(log_dir) as run:

        def log(epoch, _):
            weight_images.log_weight_images(model, run, epoch, lambda variable: "/".join(variable.path.split("/")[-2:]))
            held.append({v.path.split("/", 1)[-1]: np.array(v) for v in model.weights})

        x, y = images
        callback = keras.callbacks.LambdaCallback(on_epoch_end=log)
        model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=[callback])
    return mb.read(log_dir)["."].images, held


def test_the_weights_of_nested_models_are_pictures_too(logged):
    tags = ["first/kernel", "first/bias", "point/kernel", "point/bias", "fc/kernel", "fc/bias"]
    assert sorted(logged[0]) == sorted(tags)
    assert all(column.step.tolist() == [0, 1] for column in logged[0].values())


def test_a_weight_that_is_read_later_is_that_of_its_moment(vectors):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    taken, held = [], []

    def end(*_):
        taken.append(weights.take(model.layers[0].kernel))
        held.append(np.array(model.layers[0].kernel))

    model.fit(*vectors, epochs=2, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=end)])
    for later, expected in zip(taken, held, strict=True):
        np.testing.assert_array_equal(fetch_array(later), expected)
    assert not np.array_equal(held[0], held[1])


def test_a_matrix_lies_on_its_side_and_goes_from_black_to_white_in_each_epoch(logged):
    pictures, held = logged
    for epoch in range(2):
        kernel = held[epoch]["fc/kernel"].T
        found = pixels_of(pictures["fc/kernel"].value[epoch][0])[..., 0]
        np.testing.assert_allclose(found, to_bytes(kernel, kernel.min(), kernel.max()), atol=1)
    assert not np.array_equal(held[0]["fc/kernel"], held[1]["fc/kernel"])
    assert "smallest value of each step is black" in pictures["fc/kernel"].description


def test_a_bias_is_a_row_and_a_pointwise_kernel_a_matrix(logged):
    assert pixels_of(logged[0]["fc/bias"].value[0][0]).shape == (1, 12, 1)
    assert pixels_of(logged[0]["point/kernel"].value[0][0]).shape == (4, 5, 1)


def test_every_kernel_of_a_convolution_is_a_tile(logged):
    pictures, held = logged
    kernel = held[1]["first/kernel"]
    found = pixels_of(pictures["first/kernel"].value[1][0])[..., 0]
    assert found.shape == (7, 7)
    expected = to_bytes(kernel, kernel.min(), kernel.max())
    for channel, (row, column) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
        np.testing.assert_allclose(found[row : row + 3, column : column + 3], expected[:, :, 0, channel], atol=1)
    assert (found[3] == 0).all()
    assert "one tile per output channel" in pictures["first/kernel"].description


def test_three_input_channels_are_colours_and_more_are_a_row_of_tiles():
    kernel = np.random.default_rng(0).random((2, 2, 3, 5), np.float32)
    colour = weight_images.draw(kernel)
    assert colour.shape == (5, 8, 3)
    np.testing.assert_allclose(colour[3:5, 0:2], weight_images.scale(kernel)[..., 3])
    kernel = np.random.default_rng(0).random((2, 2, 4, 5), np.float32)
    tiles = weight_images.draw(kernel)
    assert tiles.shape == (14, 11, 1)
    np.testing.assert_allclose(tiles[3:5, 6:8, 0], weight_images.scale(kernel)[:, :, 2, 1])


def test_a_large_matrix_becomes_means_of_blocks():
    matrix = np.arange(3 * 2500, dtype=np.float32).reshape(2500, 3)
    means = matrix[:2499].reshape(833, 3, 3).mean(axis=1).T
    np.testing.assert_allclose(weight_images.block_means(matrix.T)[:, :833], means)
    np.testing.assert_allclose(weight_images.block_means(matrix.T)[:, 833], matrix[2499])
    assert weight_images.draw(matrix).shape == (3, 834, 1)


@pytest.mark.parametrize(
    "shape",
    [(), (1,), (7,), (5, 3), (3, 5), (1, 1, 4, 2), (5, 4, 3), (3, 3, 1, 2), (2, 2, 3, 300), (3, 3, 600, 500), (2, 3, 3, 4, 5),
     (3, 1500, 2), (1025, 2000)],
)  # fmt: skip
def test_the_shape_of_a_picture_is_known_before_the_weight_is_there(shape):
    drawn = weight_images.draw(np.zeros(shape, np.float32))
    assert drawn.shape == weight_images.picture_shape(shape)
    assert max(drawn.shape) <= weight_images.SIDE


def test_equal_values_are_grey_and_infinite_ones_do_not_hide_the_others():
    assert (weight_images.draw(np.ones((2, 3), np.float32)) == 0.5).all()
    drawn = weight_images.draw(np.array([[0, 1, np.inf], [2, 4, np.nan]], np.float32))[..., 0]
    np.testing.assert_array_equal(drawn, [[0, 0.25, np.inf], [0.5, 1, np.nan]])


def test_weights_that_are_not_trained_are_pictures_among_the_buffers_and_frozen_ones_among_the_parameters(vectors, tmp_path):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((4,)), layers.BatchNormalization(name="norm"), layers.Dense(3, name="fc", trainable=False, use_bias=False)]
    )
    model.compile("sgd", "mse")
    model.fit(*vectors, verbose=0, callbacks=[mbk.TensorBoard(tmp_path, histogram_freq=1, write_images=True)])
    names = ["params/norm/scale", "params/norm/bias", "buffers/norm/mean", "buffers/norm/var", "params/fc/kernel"]
    assert sorted(mb.read(tmp_path)["."].images) == sorted(f"{name}/image" for name in names)
