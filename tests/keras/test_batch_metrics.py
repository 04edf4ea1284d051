"""Metrics of a batch are of that batch alone."""

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk

BATCH = 16


def squared_errors(model, x, y, weight=1.0):
    kernel, bias = model.get_weights()
    errors = weight * np.square(x.astype(np.float64) @ kernel + bias - y).mean(axis=1)
    return [errors[start : start + BATCH].mean() for start in range(0, len(x), BATCH)]


@pytest.fixture
def frozen(dense):
    """A model that trains with a learning rate of 0, so that every batch meets the same weights."""
    return lambda **options: dense(keras.optimizers.SGD(0.0), **options)


def test_the_loss_is_that_of_the_batch(fit, frozen, vectors):
    data = fit(model := frozen(), callback={"update_freq": "batch"})
    np.testing.assert_allclose(data.scalars["train/loss"].value, squared_errors(model, *vectors), rtol=1e-6)


def test_the_same_loss_is_logged_at_captured_steps(fit, frozen, vectors):
    data = fit(model := frozen(), callback={"update_freq": "batch", "every": 2})
    np.testing.assert_allclose(data.scalars["train/loss"].value, squared_errors(model, *vectors), rtol=1e-6)


def test_losses_follow_the_weights_of_each_step(logged_fit, images, cnn):
    x, y = images
    model = cnn()
    model.layers[1].trainable = True
    for step in (0, 5):
        for variable, value in zip(model.trainable_variables, logged_fit.weights[step], strict=True):
            variable.assign(value)
        batch = slice(step % 4 * BATCH, step % 4 * BATCH + BATCH)
        logits = keras.ops.convert_to_numpy(model(x[batch], training=True)).astype(np.float64)
        chosen = logits[np.arange(len(logits)), y[batch]]
        loss = (np.log(np.exp(logits).sum(axis=1)) - chosen).mean()
        np.testing.assert_allclose(logged_fit.data.scalars["train/loss"].value[step], loss, rtol=1e-5)
        accuracy = (logits.argmax(axis=1) == y[batch]).mean()
        np.testing.assert_allclose(logged_fit.data.scalars["train/accuracy"].value[step], accuracy, rtol=1e-6)


def test_an_integer_logs_every_third_batch(fit, frozen, vectors):
    data = fit(model := frozen(), callback={"update_freq": 3}, epochs=2)
    assert data.scalars["train/loss"].step.tolist() == [0, 3, 6]
    np.testing.assert_allclose(data.scalars["train/loss"].value, np.array(squared_errors(model, *vectors))[[0, 3, 2]], rtol=1e-6)


def test_epoch_logs_the_means_of_keras_at_the_last_update(fit, dense, vectors):
    history = {}

    class Logs(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            history[epoch] = logs["loss"]

    model = dense()
    model.fit(*vectors, batch_size=BATCH, epochs=2, shuffle=False, verbose=0, callbacks=[Logs()])
    data = fit(dense(), epochs=2, callback={"update_freq": "epoch"})
    assert data.scalars["train/loss"].step.tolist() == [3, 7]
    np.testing.assert_allclose(data.scalars["train/loss"].value, list(history.values()), rtol=1e-6)


def test_sample_weights_count(fit, frozen, vectors):
    weight = np.linspace(0, 2, len(vectors[0])).astype("float32")
    data = fit(model := frozen(), sample_weight=weight, callback={"update_freq": "batch"})
    np.testing.assert_allclose(data.scalars["train/loss"].value, squared_errors(model, *vectors, weight), rtol=1e-6)


def test_class_weights_count(fit, images):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax", name="fc")]
    )
    model.compile(keras.optimizers.SGD(0.0), loss="sparse_categorical_crossentropy")
    x, y = images
    chosen = model.predict(x, verbose=0).astype(np.float64)[np.arange(len(y)), y]
    losses = np.where(y == 3, 5.0, 1.0) * -np.log(chosen)
    data = fit(model, x, y, class_weight={k: 5.0 if k == 3 else 1.0 for k in range(10)}, callback={"update_freq": "batch"})
    expected = [losses[start : start + BATCH].mean() for start in range(0, len(y), BATCH)]
    np.testing.assert_allclose(data.scalars["train/loss"].value, expected, rtol=1e-5)


def test_every_output_has_its_losses_and_metrics_under_the_names_of_keras(fit, vectors):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    outputs = [keras.layers.Dense(3, name=name)(inputs) for name in ("left", "right")]
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.0), loss=["mse", "mae"], metrics=[["mae"], ["mse"]])
    x, y = vectors
    data = fit(model, x, [y, y], callback={"update_freq": "batch"})
    errors = [np.asarray(prediction, np.float64) - y for prediction in model.predict(x, verbose=0)]
    squares, sizes = [np.square(error).mean(axis=1) for error in errors], [np.abs(error).mean(axis=1) for error in errors]
    expected = {
        "train/left_loss": squares[0],
        "train/right_loss": sizes[1],
        "train/left_mae": sizes[0],
        "train/right_mse": squares[1],
        "train/loss": squares[0] + sizes[1],
    }
    assert {tag for tag in data.scalars if tag.startswith("train/")} == {*expected, "train/epoch", "train/learning_rate"}
    for tag, values in expected.items():
        means = [values[start : start + BATCH].mean() for start in range(0, len(x), BATCH)]
        np.testing.assert_allclose(data.scalars[tag].value, means, rtol=1e-5, err_msg=tag)


class Own(keras.Model):
    """A model with a metric in an attribute, which gets one update with each of what `values` makes of the targets of a batch."""

    def __init__(self, metric, *values):
        super().__init__()
        self.fc = keras.layers.Dense(3, name="fc")
        self.metric = metric
        self.values = values

    def call(self, x):
        return self.fc(x)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        for value in self.values:
            self.metric.update_state(value(y))
        return super().compute_metrics(x, y, y_pred, sample_weight)


def test_a_metric_of_the_users_own_counts_per_batch(fit, vectors):
    model = Own(keras.metrics.Mean(name="largest"), keras.ops.max)
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    data = fit(model, callback={"update_freq": "batch"})
    expected = [vectors[1][start : start + BATCH].max() for start in range(0, 56, BATCH)]
    np.testing.assert_allclose(data.scalars["train/largest"].value, expected, rtol=1e-6)


def test_what_keras_has_computed_for_a_metric_is_not_computed_again(dense, vectors, tmp_path):
    def calls(**options):
        called = []

        def size(_y, prediction):
            called.append(0)
            return keras.ops.mean(keras.ops.abs(prediction), axis=-1)

        model = dense(keras.optimizers.SGD(0.0), metrics=[size])
        model.fit(*vectors, batch_size=BATCH, epochs=2, verbose=0, **options)  # Keras builds the metric in the first batch
        del called[:]
        model.fit(*vectors, batch_size=BATCH, epochs=2, verbose=0, **options)
        return len(called)

    assert calls(callbacks=[mbk.TensorBoard(tmp_path, update_freq="batch", write_graph=False)]) == calls()
    assert len(mb.read(tmp_path)["."].scalars["train/size"]) == 16


class Above(keras.metrics.Mean):
    """A mean of what is above the mean so far, so that what it adds depends on what was there."""

    def update_state(self, values, sample_weight=None):
        above = keras.ops.cast(values >= keras.metrics.Mean.result(self), "float32")
        super().update_state(values, above if sample_weight is None else above * sample_weight)


class Doubled(keras.metrics.Sum):
    def result(self):
        return 2 * super().result()


@pytest.mark.parametrize(("metric", "expected"), [(Above, np.mean), (Doubled, lambda values: 2 * np.sum(values))])
def test_a_mean_or_sum_of_the_users_own_counts_per_batch(fit, vectors, metric, expected):
    def sizes(y):
        return keras.ops.mean(keras.ops.abs(y), axis=-1)

    # The second update of a batch is above the first one.
    model = Own(metric(name="own"), lambda y: sizes(y)[:4], lambda y: keras.ops.max(sizes(y)) + sizes(y)[4:])
    model.compile(keras.optimizers.SGD(0.1), loss="mse", metrics=["mae"])
    data = fit(model, callback={"update_freq": "batch"})
    wanted = []
    for start in range(0, 56, BATCH):
        found = np.abs(vectors[1][start : start + BATCH].astype(np.float64)).mean(axis=1)
        wanted.append(expected(np.concatenate([found[:4], found.max() + found[4:]])))
    np.testing.assert_allclose(data.scalars["train/own"].value, wanted, rtol=1e-5)


class Counting(keras.metrics.Metric):
    """A whole number that float32 does not hold, of a sort that is logged apart."""

    def __init__(self):
        super().__init__(name="counting", dtype="int32")
        self.total = self.add_variable((), "zeros", dtype="int32", name="total")

    def update_state(self, y_true, y_pred, **_):  # noqa: ARG002
        self.total.assign_add(2**24 + 1)

    def result(self):
        return self.total + 0


def test_a_metric_of_whole_numbers_is_beside_the_others(fit, frozen, vectors):
    data = fit(model := frozen(metrics=[Counting(), "mae"]), callback={"update_freq": "batch", "every": 2})
    assert data.scalars["train/counting"].value.tolist() == [float(np.float32(2**24 + 1))] * 4
    assert data.scalars["train/mae"].step.tolist() == data.scalars["train/counting"].step.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(data.scalars["train/loss"].value, squared_errors(model, *vectors), rtol=1e-6)


class InPython(keras.metrics.Metric):
    """Keeps the sizes of its batches in a list, and with `total` a number of batches in a variable and in an attribute, too."""

    def __init__(self, *, total):
        super().__init__(name="mixed" if total else "listed")
        self.sizes, self.batches = [], 0
        self.total = self.add_variable((), "zeros", name="total") if total else None

    def reset_state(self):
        self.sizes.clear()
        self.batches = 0
        super().reset_state()

    def update_state(self, y_true, y_pred, **_):  # noqa: ARG002
        self.sizes.append(len(y_pred) if keras.backend.backend() == "torch" else 1)
        self.batches += 1
        if self.total is not None:
            self.total.assign_add(1.0)

    def result(self):
        number = float(sum(self.sizes) + 1000 * self.batches)
        return number if self.total is None else number + keras.ops.convert_to_tensor(self.total)


def test_what_a_metric_keeps_outside_of_variables_is_left_as_it_was(dense, vectors, tmp_path):
    histories = []
    for callbacks in ([], [mbk.TensorBoard(tmp_path, update_freq="batch")]):
        model = dense(metrics=[InPython(total=False), InPython(total=True), "mae"])
        options = {"batch_size": 14, "epochs": 2, "verbose": 0, "shuffle": False, "callbacks": callbacks}
        if callbacks:
            with pytest.warns(mb.MultiboardWarning) as said:
                history = model.fit(*vectors, **options)
            assert "['listed'] are Keras' own logs" in str(said[0].message)
            assert "outside of variables" in str(said[0].message)
        else:
            history = model.fit(*vectors, **options)
        histories.append(history.history)
    assert histories[0] == histories[1]
    scalars = mb.read(tmp_path)["."].scalars
    assert scalars["train/mae"].step.tolist() == scalars["train/mixed"].step.tolist() == list(range(8))
    assert scalars["train/listed"].step.tolist() == list(range(8))


def test_a_metric_that_fails_leaves_the_others_alone(fit, vectors):
    class Failing(keras.metrics.Mean):
        def stateless_result(self, metric_variables):  # noqa: ARG002
            raise RuntimeError("no result")

    model = Own(Failing(name="failing"), keras.ops.max)
    model.compile(keras.optimizers.SGD(0.0), loss="mse", metrics=["mae"])
    with pytest.warns(mb.MultiboardWarning) as said:
        scalars = fit(model, callback={"update_freq": "batch"}).scalars
    assert "['failing'] are Keras' own logs" in str(said[0].message)
    assert "no result" in str(said[0].message)
    sizes = np.abs(np.asarray(model.predict(vectors[0], verbose=0), np.float64) - vectors[1]).mean(axis=1)
    expected = [sizes[start : start + BATCH].mean() for start in range(0, 56, BATCH)]
    np.testing.assert_allclose(scalars["train/mae"].value, expected, rtol=1e-5)


@pytest.mark.parametrize("update_freq", ["batch", "epoch"])
def test_a_metric_with_the_name_of_a_number_of_ours_is_left_out_by_name(dense, vectors, tmp_path, update_freq):
    def named(name):
        return keras.metrics.MeanMetricWrapper(lambda _y, prediction: keras.ops.mean(keras.ops.abs(prediction)), name=name)

    model = dense(keras.optimizers.SGD(0.25), metrics=[named("epoch"), named("learning_rate"), named("size")])
    callback = mbk.TensorBoard(tmp_path / "run", update_freq=update_freq)
    with pytest.warns(mb.MultiboardWarning) as warned:
        model.fit(*vectors, batch_size=BATCH, epochs=2, shuffle=False, verbose=0, callbacks=[callback])
    scalars = mb.read(tmp_path / "run")["."].scalars
    assert scalars["train/epoch"].value.tolist() == [0, 1]
    assert set(scalars["train/learning_rate"].value.tolist()) == {0.25}
    assert len(scalars["train/size"]) == len(scalars["train/loss"]) > 0
    told = [str(warning.message) for warning in warned]
    assert any("the metric 'epoch' is left out: the tag 'train/epoch'" in message for message in told)
    assert any("'learning_rate' is left out" in message for message in told) == (update_freq == "batch")


class Largest(keras.metrics.Metric):
    """The largest value that it has seen since it was reset, which is no mean."""

    def __init__(self, name):
        super().__init__(name=name)
        self.largest = self.add_variable((), "zeros", name="largest")

    def update_state(self, value, **_):
        self.largest.assign(keras.ops.maximum(self.largest, keras.ops.max(value)))

    def result(self):
        return self.largest + 0


class Twice(Own):
    """A model with a mean, and behind it another metric of the same name."""

    def __init__(self):
        super().__init__(keras.metrics.Mean(name="score"))
        self.second = Largest("score")

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        self.metric.update_state(keras.ops.min(y))
        self.second.update_state(keras.ops.ones(()) * 7.0)
        return super().compute_metrics(x, y, y_pred, sample_weight)


def test_of_two_metrics_of_one_name_the_last_one_counts_as_with_keras(fit):
    model = Twice()
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    data = fit(model, callback={"update_freq": "batch"})
    assert data.scalars["train/score"].value.tolist() == [7.0] * 4


class Shared(keras.Model):
    """A model whose metric is also that of its layer: Keras lists it twice."""

    class Counting(keras.layers.Layer):
        """Hands its input on.

        Args:
            tracker: notes the mean of it.
        """

        def __init__(self, tracker):
            super().__init__()
            self.tracker = tracker

        def call(self, x):
            self.tracker.update_state(x)
            return x

    def __init__(self):
        super().__init__()
        self.tracker = keras.metrics.Mean(name="size")
        self.counting, self.dense = self.Counting(self.tracker), keras.layers.Dense(3)

    def call(self, x):
        return self.dense(self.counting(x))


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="Keras fails on JAX with a metric that the model has twice")
def test_a_metric_that_the_model_has_twice_is_watched_once(fit, vectors):
    model = Shared()
    model.compile("sgd", "mse")
    fit(model, callback={"update_freq": "batch", "every": 2}, epochs=2)
    assert "assign_add" not in vars(model.tracker.total)
    model.evaluate(*vectors, verbose=0)


class Late(keras.Model):
    """A model that calls one of its layers, which makes a metric when it is built, from some time on."""

    class Counting(keras.layers.Layer):
        """Hands its input on."""

        def build(self, _shape):
            self.tracker = keras.metrics.Mean(name="size")

        def call(self, x):
            self.tracker.update_state(x)
            return x

    def __init__(self):
        super().__init__()
        self.counting, self.dense = self.Counting(), keras.layers.Dense(3)
        self.counts = False

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(self.counting(x) if self.counts else x)


class Begin(keras.callbacks.Callback):
    """Lets a `Late` model count from its second epoch on."""

    def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002
        self.model.counts = epoch > 0


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="elsewhere a train step that was compiled has the metrics that it had"
)
def test_a_metric_that_comes_in_the_middle_of_a_fit_counts_per_batch(vectors, tmp_path):
    model = Late()
    model.compile("sgd", "mse")
    callbacks = [Begin(), mbk.TensorBoard(tmp_path, update_freq="batch")]
    model.fit(*vectors, batch_size=14, epochs=4, verbose=0, shuffle=False, callbacks=callbacks)
    size = mb.read(tmp_path)["."].scalars["train/size"]
    means = vectors[0].reshape(4, 14, 4).mean(axis=(1, 2))
    assert size.value[-8:].tolist() == pytest.approx([*means, *means], abs=1e-6)
