"""The training loop in JAX of the checks on an accelerator."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax_models import GPT2

import multiboard as mb
import multiboard.jax as mbj

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from multiboard.values import Capture, MeasuredBatch

EVERYTHING: dict[str, Any] = {"log": ("params", "grads", "updates", "optimizer_state"), "activations": ["*"]}
USUAL: dict[str, Any] = {"log": ("params", "grads")}
"""Arguments of `mbj.wrap_train_step`."""
EVERY = 1000
"""Between captures of a wrapped step: steps in between are plain unless `Wrapped.measured` is called."""


class Setting(NamedTuple):
    """Where and how large."""

    device: Any
    small: bool

    @property
    def name(self) -> str:
        """The device and the framework."""
        return f"{self.device.device_kind} with jax {jax.__version__}"

    @property
    def on_host(self) -> bool:
        """Whether there is no accelerator."""
        return bool(self.device.platform == "cpu")


def open_setting(device: str, small: bool) -> Setting | None:
    """Return where to check, or None if there is no such device."""
    platform, _, number = device.partition(":")
    try:
        found = jax.local_devices(backend=platform)[int(number or 0)]
    except RuntimeError:
        return None
    jax.config.update("jax_default_device", found)
    return Setting(found, small)


class Training:
    """A training of GPT-2 on random words, with AdamW; its step is jitted and donates its state.

    Args:
        setting: where.
        batch: rows of words.
        dtype: of the parameters.
        tapped: whether the optimizer is `mbj.tap(...)`.
    """

    def __init__(self, setting: Setting, batch: int = 2, *, dtype: Any = jnp.float32, tapped: bool = True) -> None:
        self.model = GPT2(2, 128, 500, 32, dtype) if setting.small else GPT2(dtype=dtype)
        optimizer = optax.adamw(1e-4)
        self.tx = mbj.tap(optimizer) if tapped else optimizer
        self.step = jax.jit(self._step, donate_argnums=(0, 1))
        self._init, self._init_state = jax.jit(self.model.init), jax.jit(self.tx.init)
        # No word comes twice: gradients of an embedding would be added in any order.
        words = np.random.default_rng(0).permutation(self.model.words)[: batch * self.model.positions]
        self.words = jnp.asarray(words.reshape(batch, -1).astype(np.int32))

    def start(self) -> tuple[Any, Any]:
        """Return new parameters and a new state of the optimizer, always the same."""
        params = self._init(jax.random.key(0), self.words[:1])["params"]
        return params, self._init_state(params)

    def _step(self, params: Any, opt_state: Any, words: jax.Array) -> tuple[Any, Any, dict[str, jax.Array]]:
        def loss_of(params: Any) -> jax.Array:
            logits = self.model.apply({"params": params}, words)
            return optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), words).mean()

        loss, grads = jax.value_and_grad(loss_of)(params)
        updates, opt_state = self.tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, {"loss": loss}


class CountingRun(mb.Run):
    """A run that adds up the bytes that its captures fetch from the device."""

    fetched = 0

    def capture(self, capture: Capture) -> None:
        """Log a measurement and count its bytes."""
        super().capture(capture._replace(batch=_Counted(self, capture.batch)))


class _Counted:
    """A measured batch that tells how large it was."""

    def __init__(self, run: CountingRun, batch: Any) -> None:
        self._run, self._batch = run, batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def fetch(self) -> MeasuredBatch:
        """Fetch the batch."""
        batch: MeasuredBatch = self._batch.fetch()
        self._run.fetched += sum(array.nbytes for array in batch)
        return batch


class Wrapped(NamedTuple):
    """A wrapped step and where it logs.

    Attributes:
        step: of `mbj.wrap_train_step`.
        run: open.
        directory: of the run.
        errors: what the run has reported.
    """

    step: Any
    run: CountingRun
    directory: Path
    errors: list[str]

    def measured(self, *args: Any) -> Any:
        """Make one update that is measured."""
        self.step.step = EVERY * (1 + self.step.step // EVERY)
        return self.step(*args)


@contextlib.contextmanager
def wrapping(training: Training, options: dict[str, Any], every: int = EVERY) -> Iterator[Wrapped]:
    """Wrap the step of a training; its first step is plain if nothing else is said."""
    errors: list[str] = []
    with (
        tempfile.TemporaryDirectory() as directory,
        CountingRun(directory, facts=False, on_error=lambda cause, message: errors.append(f"{cause}: {message}")) as run,
    ):
        step = mbj.wrap_train_step(training.step, run, every=every, start_step=1, donate_argnums=(0, 1), **options)
        yield Wrapped(step, run, Path(directory), errors)


def step_ms(step: Callable[..., Any], state: tuple[Any, Any], words: jax.Array, steps: int) -> tuple[float, tuple[Any, Any]]:
    """Return the time per step of some steps that start and end with an idle device, and the new state."""
    jax.block_until_ready(state)
    begin = time.perf_counter()
    for _ in range(steps):
        *state, _metrics = step(*state, words)
    jax.block_until_ready(state)
    return (time.perf_counter() - begin) / steps * 1e3, (state[0], state[1])


def losses_of(training: Training, step: Callable[..., Any], steps: int) -> list[float]:
    """Return the losses of the first steps of a new training."""
    state, losses = training.start(), []
    for _ in range(steps):
        *state, metrics = step(*state, training.words)
        losses.append(metrics["loss"])
    return [float(loss) for loss in losses]
