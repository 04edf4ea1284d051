"""Every optimizer that a model's own train step applies is seen, and what cannot be seen is said once."""

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk
from multiboard.buckets import measure

ops, optimizers, backend = keras.ops, keras.optimizers, keras.backend.backend()


class Pair(keras.Model):
    """Two layers with an optimizer each. On JAX their states are weights of the model, the only ones that Keras hands on.

    Args:
        times: how often each optimizer is applied in one step.
    """

    def __init__(self, times=1):
        super().__init__()
        self.left, self.right = keras.layers.Dense(3, name="left"), keras.layers.Dense(3, name="right")
        self.left_optimizer, self.right_optimizer = optimizers.Adam(0.1), optimizers.SGD(0.5)
        self.times = times

    def build(self, shape):
        self.left.build(shape)
        self.right.build(shape)
        self.parts = {"left": (self.left, self.left_optimizer), "right": (self.right, self.right_optimizer)}
        for layer, optimizer in self.parts.values():
            optimizer.build(layer.trainable_variables)
        self.states = [*self.left_optimizer.variables, *self.right_optimizer.variables] if backend == "jax" else []

    def call(self, x):
        return self.left(x) + self.right(x)

    def train_step(self, *arguments):
        return self._on_jax(*arguments) if backend == "jax" else self._in_place(*arguments)

    def _in_place(self, data):
        x, y = data
        for layer, optimizer in self.parts.values():
            for _ in range(self.times):
                variables = layer.trainable_variables
                optimizer.apply_gradients(zip(self._gradients(layer, x, y), variables, strict=True))
        return {"distance": ops.mean(ops.square(y - self(x)))}

    def _gradients(self, layer, x, y):
        if backend == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                loss = ops.mean(ops.square(y - layer(x)))
            return tape.gradient(loss, layer.trainable_variables)
        self.zero_grad()
        ops.mean(ops.square(y - layer(x))).backward()
        return [variable.value.grad for variable in layer.trainable_variables]

    def _on_jax(self, state, data):
        import jax

        x, y = data
        trained, other = ({v.path: value for v, value in zip(own, part, strict=True)} for own, part in self._owned(state))
        for layer, optimizer in self.parts.values():
            paths, own = [v.path for v in layer.trainable_variables], [v.path for v in optimizer.variables]
            for _ in range(self.times):
                gradients = jax.grad(lambda w, layer=layer: ops.mean(ops.square(y - layer.stateless_call(w, [], x)[0])))(
                    [trained[path] for path in paths]
                )
                new, kept = optimizer.stateless_apply([other[path] for path in own], gradients, [trained[path] for path in paths])
                trained |= zip(paths, new, strict=True)
                other |= zip(own, kept, strict=True)
        return {"distance": ops.sum(y)}, (list(trained.values()), list(other.values()), *state[2:])

    def _owned(self, state):
        return (self.trainable_variables, state[0]), (self.non_trainable_variables, state[1])


@pytest.fixture
def pair():
    """The function that makes a compiled model with two optimizers of its own."""

    def make(**options):
        keras.utils.set_random_seed(0)
        model = Pair(**options)
        model.build((None, 4))
        model.compile(loss="mse")
        return model

    return make


def test_each_optimizer_has_its_gradients_updates_state_and_rate(follow, pair):
    model = pair()
    data, values = follow(model)
    groups = ("params", "grads", "updates")
    expected = {f"{group}/{layer}/{role}" for group in groups for layer in ("left", "right") for role in ("kernel", "bias")}
    state = {f"optimizer_state/left/{role}/{moment}_moment" for role in ("kernel", "bias") for moment in ("first", "second")}
    assert set(data.histograms) == expected | state
    rates = {tag: column.value.tolist() for tag, column in data.scalars.items() if "learning_rate" in tag}
    assert rates == {
        "train/learning_rate/left_optimizer": pytest.approx([0.1] * 4),
        "train/learning_rate/right_optimizer": pytest.approx([0.5] * 4),
    }
    for layer in (model.left, model.right):
        path, rows = layer.kernel.path, data.histograms[f"updates/{layer.name}/kernel"].value
        for logged, before, after in zip(rows, values[:-1], values[1:], strict=True):
            np.testing.assert_array_equal(logged, measure(after[path] - before[path]).rows())


def test_the_first_of_several_updates_in_a_step_counts_and_this_is_said_once(pair, vectors, tmp_path):
    model = pair(times=2)
    with pytest.warns(mb.MultiboardWarning) as said:
        model.fit(*vectors, batch_size=28, verbose=0, shuffle=False, callbacks=[mbk.TensorBoard(tmp_path, every=1)])
    messages = [str(one.message) for one in said if "applied several times" in str(one.message)]
    assert len(messages) == 2
    assert "the optimizer 'left_optimizer' is applied several times in one train step: only the first update" in messages[0]
    assert mb.read(tmp_path)["."].histograms["updates/left/kernel"].step.tolist() == [0, 1]


def test_a_model_with_several_optimizers_is_trained_as_without_the_callback(pair, vectors, tmp_path):
    def train(callbacks):
        model = pair(times=2)
        model.fit(*vectors, batch_size=14, verbose=0, shuffle=False, callbacks=callbacks)
        return model.get_weights()

    plain = train([])
    with pytest.warns(mb.MultiboardWarning):
        logged = train([mbk.TensorBoard(tmp_path, every=1)])
    for left, right in zip(plain, logged, strict=True):
        np.testing.assert_array_equal(left, right)


class Exchange(keras.callbacks.Callback):
    """Gives a pair another optimizer before its third batch.

    Args:
        attribute: as an attribute of its own; otherwise in a dict.
    """

    def __init__(self, *, attribute):
        super().__init__()
        self.attribute = attribute

    def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002
        if batch == 2:
            new = optimizers.SGD(0.25)
            new.build(self.model.left.trainable_variables)
            self.model.parts["left"] = self.model.left, new
            self.model.left_optimizer = new if self.attribute else None
            self.model.others["left"] = new


@pytest.mark.skipif(backend != "torch", reason="elsewhere a train step that was compiled goes on with the optimizer that it had")
@pytest.mark.parametrize(("attribute", "name"), [(True, "left_optimizer"), (False, "others/left")])
def test_an_optimizer_that_comes_in_the_middle_of_a_fit_is_seen(pair, vectors, tmp_path, attribute, name):
    callbacks = [Exchange(attribute=attribute), mbk.TensorBoard(tmp_path, every=1, update_freq="batch")]
    model = pair()
    model.others = {"left": model.left_optimizer}
    model.fit(*vectors, batch_size=14, verbose=0, shuffle=False, callbacks=callbacks)
    data = mb.read(tmp_path)["."]
    assert data.scalars[f"train/learning_rate/{name}"].value[-2:].tolist() == pytest.approx([0.25, 0.25])
    assert data.histograms["grads/left/kernel"].step.tolist() == [0, 1, 2, 3]


@pytest.mark.skipif(backend == "jax", reason="Keras on JAX hands no variable to the train step that the model does not have")
def test_a_subset_of_the_variables_and_one_that_the_model_does_not_have_are_captured(follow):
    outside = keras.Variable(np.ones(3, "float32"), name="temperature")

    class Part(Pair):
        def _in_place(self, data):
            x, y = data
            gradients = self._gradients(self.left, x, y)
            self.left_optimizer.apply([gradients[0], ops.ones(3)], [self.left.kernel, outside])
            return {"distance": ops.mean(y)}

        def build(self, shape):
            super().build(shape)
            self.left_optimizer = optimizers.SGD(0.1)

    keras.utils.set_random_seed(0)
    model = Part()
    model.build((None, 4))
    model.compile(loss="mse")
    data, _ = follow(model)
    assert {tag for tag in data.histograms if tag.startswith("grads/")} == {"grads/left/kernel", "grads/temperature"}
    np.testing.assert_allclose(data.scalars["norm/updates/temperature"].value, [0.1 * 3**0.5] * 4, rtol=1e-5)


@pytest.mark.skipif(backend != "tensorflow", reason="a condition in the graph exists only there")
def test_an_optimizer_inside_of_a_condition_is_named_once(vectors, tmp_path):
    import tensorflow as tf

    class Hidden(Pair):
        def _in_place(self, data):
            x, y = data
            gradients = self._gradients(self.left, x, y)

            def update():
                self.left_optimizer.apply(gradients, self.left.trainable_variables)
                return 1.0

            return {"done": tf.cond(ops.mean(y) < 1e3, update, lambda: 0.0)}

    model = Hidden()
    model.build((None, 4))
    model.compile(loss="mse")
    with pytest.warns(mb.MultiboardWarning) as said:
        model.fit(*vectors, batch_size=28, verbose=0, callbacks=[mbk.TensorBoard(tmp_path, every=1)])
    messages = [
        str(one.message) for one in said if "'left_optimizer' is applied inside of a gradient, a cond" in str(one.message)
    ]
    assert len(messages) == 1
    assert not mb.read(tmp_path)["."].histograms
