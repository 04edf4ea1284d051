"""Fixtures of the JAX tests: the same small training in three styles, and bucket cases as arrays."""

from __future__ import annotations

import json
import os
import pkgutil
import socket
import subprocess
import sys
import tomllib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx
from flax.training.train_state import TrainState

import multiboard as mb

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
LAYERS = ["dense1/bias", "dense1/kernel", "norm/bias", "norm/scale"]


@pytest.fixture(scope="session")
def two_processes():
    """A function that runs a program in two processes of one job, two devices each, and returns what each printed."""

    def run(program, *arguments):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
        commands = [[sys.executable, str(HERE / "programs" / program), address, str(number), *arguments] for number in range(2)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes = [subprocess.Popen(command, env=environment, **pipes) for command in commands]
        try:
            outputs = [process.communicate(timeout=200) for process in processes]
        finally:
            for process in processes:
                process.kill()
        assert [process.returncode for process in processes] == [0, 0], outputs
        return [json.loads(output.splitlines()[-1]) for output, _ in outputs]

    return run


def is_missing(name):
    try:
        pkgutil.resolve_name(name)
    except AttributeError:
        return True
    return False


def pytest_collection_modifyitems(items):
    """Expect the tests to fail that stand for gaps of the installed versions."""
    gaps = tomllib.loads((HERE / "gaps.toml").read_text())["gap"]
    reasons = {test: gap["reason"] for gap in gaps if is_missing(gap["missing"]) for test in gap["tests"]}
    for item in items:
        reason = reasons.get(f"{item.path.name}::{item.name}") if item.path.parent == HERE else None
        if reason:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@dataclass(frozen=True)
class Style:
    """One way to write a training step.

    Attributes:
        step: the training step, not jitted.
        start: makes the arguments in front of the batch, given the optimizer.
        follow: the arguments of the next step, given the present ones and the result.
        params: the parameters in the arguments, as a dict of dicts.
        jit: how a person compiles the step without multiboard.
        donated: positions of the arguments that a step replaces.
    """

    step: Callable[..., Any]
    start: Callable[..., tuple[Any, ...]]
    follow: Callable[..., tuple[Any, ...]]
    params: Callable[..., Any]
    jit: Callable[..., Any]
    donated: tuple[int, ...]


def loss_of(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


class LinenNetwork(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.LayerNorm(name="norm")(linen.Dense(7, name="dense1")(x))


class NnxNetwork(nnx.Module):
    def __init__(self, rngs):
        self.dense1 = nnx.Linear(5, 7, rngs=rngs)
        self.norm = nnx.LayerNorm(7, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.dense1(x))


def linen_params():
    return LinenNetwork().init(jax.random.key(0), jnp.zeros((1, 5)))["params"]


def plain_style(tx) -> Style:
    def step(params, opt_state, x, y):
        loss, grads = jax.value_and_grad(lambda p: loss_of(LinenNetwork().apply({"params": p}, x), y))(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, {"loss": loss}

    def start():
        params = linen_params()
        return params, tx.init(params)

    return Style(step, start, lambda _, result: result[:2], lambda args: args[0], jax.jit, (0, 1))


def linen_style(tx) -> Style:
    def step(state, x, y):
        loss, grads = jax.value_and_grad(lambda p: loss_of(LinenNetwork().apply({"params": p}, x), y))(state.params)
        return state.apply_gradients(grads=grads), loss

    def start():
        return (TrainState.create(apply_fn=None, params=linen_params(), tx=tx),)

    return Style(step, start, lambda _, result: result[:1], lambda args: args[0].params, jax.jit, (0,))


def update_by(optimizer, model, grads):
    if hasattr(nnx, "ModelAndOptimizer"):
        optimizer.update(model, grads)
    else:  # before Flax 0.11 an optimizer knows its model
        optimizer.update(grads)


def nnx_style(tx) -> Style:
    def step(model, optimizer, x, y):
        loss, grads = nnx.value_and_grad(lambda m: loss_of(m(x), y))(model)
        update_by(optimizer, model, grads)
        return {"loss": loss}

    def start():
        model = NnxNetwork(nnx.Rngs(0))
        return model, nnx.Optimizer(model, tx, wrt=nnx.Param)

    def params(args):
        return nnx.to_pure_dict(nnx.state(args[0], nnx.Param))

    return Style(step, start, lambda args, _: args, params, nnx.jit, (0, 1))


STYLES = {"plain": plain_style, "linen": linen_style, "nnx": nnx_style}


@pytest.fixture(autouse=True)
def compilation(request):
    """Compile lightly, for time; exact counts and unchanged weights are tested as a person compiles."""
    exact = ("test_counts_", "test_unchanged")
    jax.config.update("jax_disable_most_optimizations", not request.path.name.startswith(exact))
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(params=list(STYLES))
def style(request):
    """A function that makes a training of one style, given the optimizer; the test runs once per style."""
    return STYLES[request.param]


@pytest.fixture
def plain():
    """A function that makes a training on plain pytrees, given the optimizer."""
    return plain_style


@pytest.fixture
def nnx_training():
    """A function that makes a training of an NNX model, given the optimizer."""
    return nnx_style


@pytest.fixture
def linen_training():
    """A function that makes a training with a TrainState, given the optimizer."""
    return linen_style


@pytest.fixture
def update_nnx():
    """A function that updates a model, given its `nnx.Optimizer`, the model and the gradients."""
    return update_by


@pytest.fixture
def layers():
    """The layers and roles of the network, in the order of its tree."""
    return LAYERS


@pytest.fixture
def batch_at():
    """A function that makes the batch of a step: x float32 `[6, 5]`, y int32 `[6]`."""

    def make(step):
        rng = np.random.default_rng(step)
        return rng.normal(size=(6, 5)).astype(np.float32), rng.integers(0, 3, 6).astype(np.int32)

    return make


@pytest.fixture
def train(batch_at):
    """A function `train(style, step, steps)` that returns the losses and the parameters before each step and at the end."""

    def run_loop(style, step, steps):
        args, losses, params = style.start(), [], []
        for i in range(steps):
            params.append(jax.tree.map(np.array, style.params(args)))
            result = step(*args, *batch_at(i))
            args = style.follow(args, result)
            metrics = result[-1] if isinstance(result, tuple) else result
            losses.append(float(metrics["loss"] if isinstance(metrics, dict) else metrics))
        params.append(jax.tree.map(np.array, style.params(args)))
        return losses, params

    return run_loop


@pytest.fixture
def log_dir(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def written(log_dir):
    """A function that reads what the run in `log_dir` has written."""
    return lambda: mb.read(log_dir)["."]


@pytest.fixture
def causes():
    """An empty list for `on_error`: what the run has reported."""
    return []


@pytest.fixture
def run(log_dir, causes):
    """An open run that notes its reports in `causes`; the test closes it."""
    return mb.Run(log_dir, on_error=lambda cause, message: causes.append((cause, message)))


@pytest.fixture
def warned():
    """A list that fills with the warnings of the test, from all threads."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


@pytest.fixture
def with_64_bits():
    """A function that makes a context in which arrays of 64 bits exist, or do not."""
    return jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64


@pytest.fixture
def as_array():
    """A function that makes a JAX array of a bucket case."""
    return lambda case: jnp.asarray(case.array.view(jnp.bfloat16) if case.dtype == "bfloat16" else case.array)


@pytest.fixture
def assert_measured():
    """A function that compares row `row` of a measurement with the expected statistics of some values."""

    def compare(measured, row, expected, values):
        np.testing.assert_array_equal(np.asarray(measured.counts)[row], expected.counts)
        np.testing.assert_array_equal(np.asarray(measured.specials)[row], expected.specials)
        total, squares, smallest, largest = np.asarray(measured.moments, np.float64)[row]
        # JAX may flush what is below 2**-126 to zero; the scheme calls it zero anyway.
        np.testing.assert_allclose([smallest, largest], expected.moments[2:], rtol=0, atol=2.0**-126)
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.float32(values[np.isfinite(np.float32(values))]).astype(np.float64)
            magnitude = np.abs(finite).sum()
            if np.float32(magnitude) < np.inf:
                np.testing.assert_allclose(total, finite.sum(), atol=1e-5 * magnitude, rtol=0)
            np.testing.assert_allclose(squares, np.float32(np.square(np.float32(finite)).sum(dtype=np.float64)), rtol=1e-4)

    return compare
