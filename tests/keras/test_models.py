"""Every kind of model is logged completely and trained as without the callback."""

from __future__ import annotations

import warnings
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import pytest
from keras import layers

import multiboard as mb
import multiboard.keras as mbk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BATCH, SIZE, STEPS = 8, 32, 4  # an epoch is four batches


class Case(NamedTuple):
    """A model, its data and what must be there.

    Attributes:
        model: makes it; layers have names.
        x, y: shapes of arrays by name, without the batch; integer inputs have a dtype.
        variables: of each group of tensors, after the group.
        metrics: after 'train/', besides the loss.
        options: of compile.
    """

    model: Callable[[], keras.Model]
    x: Any
    y: Any
    variables: set[str]
    metrics: frozenset[str] = frozenset()
    options: Mapping[str, Any] = MappingProxyType({})


def dense(*names: str) -> set[str]:
    return {f"{name}/{role}" for name in names for role in ("kernel", "bias")}


def sequential() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), layers.Dense(5, "relu", name="first"), layers.Dense(3, name="last")])


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first = layers.Dense(5, "relu", name="first")
        self.last = layers.Dense(3, name="last")

    def call(self, x: Any) -> Any:
        return self.last(self.first(x))


def two_by_two() -> keras.Model:
    inputs = {name: keras.Input((4,), name=name) for name in ("near", "far")}
    both = layers.Concatenate()(list(inputs.values()))
    return keras.Model(inputs, {name: layers.Dense(3, name=name)(both) for name in ("left", "right")})


def nested() -> keras.Model:
    encoder = keras.Sequential([keras.Input((4,)), layers.Dense(4, "relu", name="fc")], name="encoder")
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(3, name="head")(encoder(encoder(inputs))))


def words() -> keras.Model:
    parts = [layers.Embedding(7, 4, name="embed"), layers.LSTM(5, name="lstm"), layers.Dense(3, name="head")]
    return keras.Sequential([keras.Input((6,), dtype="int32"), *parts])


def attention() -> keras.Model:
    inputs = keras.Input((6, 4))
    mixed = layers.MultiHeadAttention(2, 3, name="mix")(inputs, inputs)
    mixed = layers.LayerNormalization(name="norm")(mixed + inputs)
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.Flatten()(layers.Dropout(0.5)(mixed))))


def half_precision() -> keras.Model:
    inputs = keras.Input((4,))
    hidden = layers.Dense(5, "relu", name="first", dtype="mixed_float16")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="last", dtype="float32")(hidden))


TWO_LAYERS = dense("first", "last")
WORDS = {"embed/embedding", "lstm/lstm_cell/kernel", "lstm/lstm_cell/recurrent_kernel", "lstm/lstm_cell/bias", *dense("head")}
MIXED = {*dense("mix/query", "mix/key", "mix/value", "mix/attention_output", "head"), "norm/scale", "norm/bias"}
BOTH = dict.fromkeys(("near", "far"), (4,))
SIDES = dict.fromkeys(("left", "right"), (3,))
SIDES_METRICS = frozenset({"left_loss", "right_loss", "left_mae"})

NONE: frozenset[str] = frozenset()
CASES = {
    "Sequential": Case(sequential, (4,), (3,), TWO_LAYERS),
    "subclassed": Case(Subclassed, (4,), (3,), TWO_LAYERS, frozenset({"mae"}), {"metrics": ["mae"]}),
    "two inputs and outputs": Case(
        two_by_two, BOTH, SIDES, dense("left", "right"), SIDES_METRICS, {"metrics": {"left": ["mae"], "right": []}}
    ),
    "nested": Case(nested, (4,), (3,), dense("encoder/fc", "head")),
    "Embedding and LSTM": Case(words, (6, "int32"), (3,), WORDS),
    "attention and dropout": Case(attention, (6, 4), (3,), MIXED),
    "mixed_float16": Case(half_precision, (4,), (3,), TWO_LAYERS),
    "run_eagerly": Case(sequential, (4,), (3,), TWO_LAYERS, NONE, {"run_eagerly": True}),
}
if keras.backend.backend() == "tensorflow":  # the other choice than 'auto' on JAX is eager, on PyTorch it hides the steps
    for choice in (True, False):
        CASES[f"jit_compile={choice}"] = Case(sequential, (4,), (3,), TWO_LAYERS, NONE, {"jit_compile": choice})


def arrays(shapes: Any) -> Any:
    rng = np.random.default_rng(0)
    if isinstance(shapes, dict):
        return {name: rng.normal(size=(SIZE, *shape)).astype("float32") for name, shape in shapes.items()}
    if shapes[-1] == "int32":
        return rng.integers(0, 7, (SIZE, *shapes[:-1])).astype("int32")
    return rng.normal(size=(SIZE, *shapes)).astype("float32")


def train(case: Case, callbacks: list[Any]) -> tuple[list[np.ndarray], dict[str, list[float]]]:
    """Return all weights, those of the optimizer too, and the history of two epochs."""
    keras.utils.set_random_seed(0)
    model = case.model()
    model.compile(keras.optimizers.Adam(0.01), loss="mse", **case.options)
    data = {"batch_size": BATCH, "epochs": 2, "shuffle": False, "verbose": 0, "callbacks": callbacks}
    history = model.fit(arrays(case.x), arrays(case.y), **data).history
    return [*model.get_weights(), *(keras.ops.convert_to_numpy(variable) for variable in model.optimizer.variables)], history


@pytest.fixture(scope="module", params=CASES, ids=str)
def logged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A case, its training without and with the callback, what was logged, and what was reported."""
    case, log_dir, said = CASES[request.param], tmp_path_factory.mktemp("logged"), []
    plain = train(case, [])
    with mb.Run(log_dir, on_error=lambda cause, message: said.append((cause, message))) as run, warnings.catch_warnings():
        warnings.simplefilter("ignore", mb.MultiboardWarning)  # `said` has them
        trained = train(case, [mbk.TensorBoard(run=run, every=3, histogram_freq=1, update_freq="batch")])
    return case, plain, trained, mb.read(log_dir)["."], said


def test_nothing_is_reported(logged):
    *_, data, said = logged
    assert said == []
    assert not data.damage


def test_weights_optimizer_and_history_are_those_of_a_training_without(logged):
    _, plain, trained, *_ = logged
    for one, other in zip(plain[0], trained[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert plain[1] == trained[1]


def test_every_batch_has_all_metrics(logged):
    case, *_, data, _ = logged
    metrics = {tag: column for tag, column in data.scalars.items() if tag.startswith("train/")}
    once = {"train/epoch", "train/learning_rate"}
    assert metrics.keys() - once == {f"train/{name}" for name in ("loss", *case.metrics)}
    for tag in metrics.keys() - once:
        assert metrics[tag].step.tolist() == list(range(2 * STEPS)), tag
        assert np.isfinite(metrics[tag].value).all(), tag


def test_every_tensor_is_captured_at_each_third_step_and_at_the_beginning_of_each_epoch(logged):
    case, *_, data, _ = logged
    found = {group: {} for group in ("params", "grads", "updates")}
    for tag, column in data.histograms.items():
        group, _, path = tag.partition("/")
        found[group][path] = tuple(column.step.tolist())
    expected = dict.fromkeys(case.variables, (0, 3, 4, 6))
    assert found == dict.fromkeys(found, expected)
