"""Tensors kept element by element are those of the fit, in the compared layout, and keeping them changes nothing."""

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk
from multiboard import exact_samples
from multiboard.errors import ArgumentError

ALL = ("params", "grads", "updates", "activations")


def kept(data):
    return {tag: column for tag, column in data.tensors.items() if tag.startswith("exact/")}


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory, cnn):
    """A fit of the CNN of which all captured steps are kept, as the model at the end and what was written."""
    log_dir = tmp_path_factory.mktemp("kept")
    model = cnn()
    exact = mb.Exact(steps=3, kinds=ALL[:3], limit=100)
    callback = mbk.TensorBoard(log_dir, every=3, update_freq="batch", exact=exact)
    x, y = images
    options = {"validation_data": (x[:20], y[:20]), "shuffle": False, "batch_size": 16, "epochs": 2, "verbose": 0}
    model.fit(x, y, callbacks=[callback], **options)
    return model, mb.read(log_dir)["."]


def test_the_training_is_the_same_bit_for_bit(whole, plain_fit):
    model, _ = whole
    for left, right in zip(model.get_weights(), plain_fit.model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_parameters_and_updates_are_those_of_the_model(whole, plain_fit):
    found = kept(whole[1])
    names = [variable.path for variable in plain_fit.model.trainable_variables]
    for native, tag in (("conv1/kernel", "conv1/kernel"), ("norm/gamma", "norm/scale"), ("logits/bias", "logits/bias")):
        at = next(i for i, name in enumerate(names) if name.endswith(native))
        for row, step in enumerate((0, 3, 6)):
            before, after = plain_fit.weights[step][at], plain_fit.weights[step + 1][at]
            np.testing.assert_array_equal(found[f"exact/params/{tag}"].value[row], before)
            np.testing.assert_allclose(found[f"exact/updates/{tag}"].value[row], after - before, atol=1e-7)
    assert {column.step.tolist() == [0, 3, 6] for column in found.values()} == {True}
    assert len(found) == 3 * len(names)


def test_of_large_tensors_a_sample_is_kept(whole, plain_fit):
    column = kept(whole[1])["exact/params/conv2/kernel"]
    weight = next(
        values for variable, values in zip(plain_fit.model.trainable_variables, plain_fit.weights[0], strict=True)
        if variable.path.endswith("conv2/kernel")
    )  # fmt: skip
    assert weight.size > 100
    assert column.value[0].tolist() == weight.reshape(-1)[exact_samples.sample(weight.size, 100)].tolist()
    assert exact_samples.parse(column.description) == ("float32", (3, 3, 4, 4), False, 100)


def test_gradients_are_those_of_the_update(dense, fit):
    model = dense()
    before = model.layers[0].kernel.numpy().copy()
    found = kept(fit(model, callback={"every": 1, "exact": mb.Exact(steps=[0], kinds=["grads", "updates"])}, steps_per_epoch=1))
    np.testing.assert_allclose(
        found["exact/grads/fc/kernel"].value[0] * -0.5, found["exact/updates/fc/kernel"].value[0], atol=1e-6
    )
    np.testing.assert_allclose(found["exact/updates/fc/kernel"].value[0], model.layers[0].kernel.numpy() - before, atol=1e-6)


def test_outputs_of_layers_are_kept_where_batches_are_of_one_size(dense, vectors, fit):
    model = dense()
    before = model.get_weights()
    x, y = vectors
    exact = mb.Exact(kinds=["activations"])
    options = {"callback": {"every": 1, "activations": "*", "exact": exact}}
    found = kept(fit(model, x[:48], y[:48], **options))
    column = found["exact/activations/fc"]
    np.testing.assert_allclose(column.value[0], x[:16] @ before[0] + before[1], atol=1e-5)


def test_true_keeps_parameters_and_gradients_of_step_0(dense, fit):
    found = kept(fit(dense(), callback={"every": 2, "exact": True}))
    assert set(found) == {f"exact/{kind}/fc/{role}" for kind in ("params", "grads") for role in ("kernel", "bias")}
    assert all(column.step.tolist() == [0] for column in found.values())


def test_heads_are_merged_as_the_layer_table_says(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3, 8))
    outputs = keras.layers.MultiHeadAttention(2, 4, name="attn")(inputs, inputs)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    query = next(v for v in model.trainable_variables if v.path.endswith("query/kernel")).numpy().copy()
    x = np.ones((16, 3, 8), np.float32)
    model.fit(x, x, verbose=0, callbacks=[mbk.TensorBoard(tmp_path, every=1, exact=True)])
    found = kept(mb.read(tmp_path)["."])
    np.testing.assert_array_equal(found["exact/params/attn/query/kernel"].value[0], query.reshape(8, 8))


def test_a_step_that_is_not_captured_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="step 5"):
        mbk.TensorBoard(tmp_path, every=10, exact=mb.Exact(steps=[5]))
