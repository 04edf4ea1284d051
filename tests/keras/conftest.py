"""Fixtures of the Keras tests: run the folder once per backend, with KERAS_BACKEND=jax, torch or tensorflow."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import pytest

import multiboard as mb
import multiboard.keras as mbk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH = 16
SIZE = 56  # three batches and a half


collect_ignore_glob = [f"test_*_{other}.py" for other in ("jax", "tensorflow", "torch") if other != keras.backend.backend()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let Keras' own `Variable.numpy` pass: it lacks the `copy` keyword that NumPy 2 asks for."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"))


@pytest.fixture(scope="session", autouse=True)
def compile_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let JAX compile equal programs of different tests once."""
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@dataclass(frozen=True)
class Fit:
    """A finished fit.

    Attributes:
        data: what was logged, None without the callback.
        weights: before each update and after the last one.
    """

    model: keras.Model
    history: dict[str, list[float]]
    data: mb.RunData | None
    weights: list[list[np.ndarray]]


class Weights(keras.callbacks.Callback):
    """Keeps the weights before each update."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[list[np.ndarray]] = []

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self._keep()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._keep()

    def _keep(self) -> None:
        self.values.append([v.numpy().copy() for v in self.model.trainable_variables])


def make_cnn(**compile_options: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, name="conv1"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.Conv2D(4, 3, use_bias=False, name="conv2"),
            layers.Flatten(),
            layers.Dense(8, activation="relu", name="hidden"),
            layers.Dense(10, name="logits"),
        ]
    )
    options = {"optimizer": keras.optimizers.Adam(0.01), "metrics": ["accuracy"], **compile_options}
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
    return model


def make_dense(optimizer: Any = None, **compile_options: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="fc")])
    model.compile(optimizer or keras.optimizers.SGD(0.5), **{"loss": "mse", **compile_options})
    return model


@pytest.fixture(scope="session")
def cnn() -> Callable[..., keras.Model]:
    """The function that makes a compiled CNN with nine trainable tensors, always with the same weights."""
    return make_cnn


@pytest.fixture
def dense() -> Callable[..., keras.Model]:
    """The function that makes a compiled model of one layer, always with the same weights; SGD with learning rate 0.5."""
    return make_dense


@pytest.fixture(scope="session")
def images() -> tuple[np.ndarray, np.ndarray]:
    """Pictures float32 `[56, 8, 8, 1]` and labels `[56]`."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(SIZE, 8, 8, 1)).astype("float32"), rng.integers(0, 10, SIZE)


@pytest.fixture(scope="session")
def vectors() -> tuple[np.ndarray, np.ndarray]:
    """Inputs float32 `[56, 4]` and targets float32 `[56, 3]`."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(SIZE, 4)).astype("float32"), rng.normal(size=(SIZE, 3)).astype("float32")


@pytest.fixture
def fit(tmp_path: Path, vectors: tuple[np.ndarray, np.ndarray]) -> Callable[..., mb.RunData]:
    """Train a model of `dense`, or another one on given data, with the callback, and return what was logged."""

    def run(model: keras.Model, *data: Any, callback: dict[str, Any], **options: Any) -> mb.RunData:
        options = {"batch_size": BATCH, "verbose": 0, "shuffle": False, **options}
        model.fit(*(data or vectors), callbacks=[mbk.TensorBoard(tmp_path, **callback)], **options)
        return mb.read(tmp_path)["."]

    return run


def fit_cnn(images: tuple[np.ndarray, np.ndarray], callbacks: list[Any]) -> Fit:
    model, weights = make_cnn(), Weights()
    x, y = images
    data = {"validation_data": (x[:20], y[:20]), "shuffle": False}
    history = model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, callbacks=[weights, *callbacks], **data)
    return Fit(model, history.history, None, weights.values)


@pytest.fixture(scope="session")
def plain_fit(images: tuple[np.ndarray, np.ndarray]) -> Fit:
    """Two epochs of the CNN without the callback: eight updates."""
    return fit_cnn(images, [])


@pytest.fixture(scope="session")
def logged_fit(images: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """The same fit with metrics of every batch and a capture at every third step."""
    log_dir = tmp_path_factory.mktemp("logged")
    fit = fit_cnn(images, [mbk.TensorBoard(log_dir, every=3, update_freq="batch", hparams={"rate": 0.01})])
    return Fit(fit.model, fit.history, mb.read(log_dir)["."], fit.weights)


@pytest.fixture
def to_tensor() -> Callable[[Any], Any]:
    """The function that brings a bucket case to the device, in the backend's own type."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        def convert(case: Any) -> Any:
            tensor = torch.from_numpy(case.array.view(np.int16) if case.dtype == "bfloat16" else case.array)
            return tensor.view(torch.bfloat16) if case.dtype == "bfloat16" else tensor

        return convert
    import ml_dtypes

    def convert_array(case: Any) -> Any:
        array = case.array.view(ml_dtypes.bfloat16) if case.dtype == "bfloat16" else case.array
        if backend == "jax":
            import jax.numpy as jnp

            return jnp.asarray(array)
        import tensorflow as tf

        return tf.constant(array)

    return convert_array


@pytest.fixture
def all_dtypes() -> Callable[[], contextlib.AbstractContextManager[Any]]:
    """The function that makes a context in which the backend has float64."""
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext
    import jax

    return lambda: jax.enable_x64(True)


@pytest.fixture
def keras_schedule() -> keras.optimizers.Optimizer:
    """SGD whose learning rate at update n is 0.5 * 0.9**n."""
    return keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.9))


class Traced(NamedTuple):
    """An event of a profile, in seconds from its beginning."""

    name: str
    begin: float
    end: float
    stats: dict[str, Any]


@dataclass(frozen=True)
class Profiled:
    """The sessions below a directory.

    Attributes:
        events: of all of them.
        steps: that are marked, with when they begin and end.
        operations: number of calls by name in tables.
    """

    events: list[Traced]
    steps: list[int]
    begins: list[float]
    ends: list[float]
    operations: Counter[str]


@pytest.fixture(scope="session")
def profiled() -> Callable[[Path], Profiled]:
    """The function that reads the sessions below a directory."""
    from multiboard.profile.xspace import read_space

    def read(log_dir: Path) -> Profiled:
        paths = sorted(log_dir.rglob("*.xplane.pb"))
        events = [event for path in paths if "plugins" in path.parts for event in _events(read_space(path))]
        marks = [event for event in events if event.name == "train" and "_r" in event.stats]
        called = [event for event in events if event.name not in {"MemoryAllocation", "MemoryDeallocation"}]
        operations = Counter(name for event in called if (name := event.stats.get("tf_op") or _node(event.name)))
        columns = zip(*sorted((mark.stats["step_num"], mark.begin, mark.end) for mark in marks), strict=True)
        steps, begins, ends = map(list, columns) if marks else ([], [], [])
        return Profiled(events, steps, begins, ends, operations)

    return read


def _events(space: Any) -> Iterator[Traced]:
    for plane in space.planes:
        names = {number: metadata.name for number, metadata in plane.stat_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                stats = {names[stat.metadata_id]: _value(stat, names) for stat in event.stats}
                begin = line.timestamp_ns / 1e9 + event.offset_ps / 1e12
                yield Traced(plane.event_metadata[event.metadata_id].name, begin, begin + event.duration_ps / 1e12, stats)


def _node(name: str) -> str:
    """Return the name of an operation of TensorFlow, which is that of its event; empty for other events."""
    return name if re.fullmatch(r"[^\s:]+:[A-Z_]\w*", name) else ""


def _value(stat: Any, names: dict[int, str]) -> Any:
    kind = stat.WhichOneof("value")
    return names.get(stat.ref_value, "") if kind == "ref_value" else getattr(stat, kind)


class Variables(keras.callbacks.Callback):
    """Keeps every variable of the model and of its optimizers, by path, before each batch and after the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[dict[str, np.ndarray]] = []
        self._last: dict[str, np.ndarray] = {}

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.values.append(self._read())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._last = self._read()

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        self.values.append(self._last)

    def _read(self) -> dict[str, np.ndarray]:
        variables = {v.path: v for v in self.model.variables}
        for optimizer in (self.model.optimizer, *vars(self.model).values()):
            if isinstance(optimizer, keras.optimizers.Optimizer):
                variables |= {v.path: v for v in optimizer.variables}
        return {path: keras.ops.convert_to_numpy(v.value).copy() for path, v in variables.items()}


@pytest.fixture
def follow(tmp_path: Path, vectors: tuple[np.ndarray, np.ndarray]) -> Callable[..., Any]:
    """Train with a capture of every group at every step; return what was logged and all variables around each batch."""

    def run(
        model: keras.Model, *data: Any, logged: dict[str, Any] | None = None, **options: Any
    ) -> tuple[mb.RunData, list[dict[str, np.ndarray]]]:
        variables, log = Variables(), ("params", "grads", "updates", "optimizer_state", "buffers")
        options = {"batch_size": 14, "verbose": 0, "shuffle": False, **options}  # four whole batches: one shape to compile for
        callback = mbk.TensorBoard(tmp_path, **({"every": 1, "log": log} if logged is None else logged))
        model.fit(*(data or vectors), callbacks=[callback, variables], **options)
        return mb.read(tmp_path)["."], variables.values

    return run
