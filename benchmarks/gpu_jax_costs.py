"""Time, traffic and memory of measured steps in JAX on an accelerator."""

from __future__ import annotations

import gzip
import json
import re
import statistics
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from clocks import bytes_in
from gpu_jax import same_losses
from gpu_jax_loops import EVERYTHING, USUAL, Setting, Training, Wrapped, losses_of, step_ms, wrapping
from gpu_rows import BYTES_PER_TENSOR, Row

import multiboard as mb

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    State = tuple[Any, Any]

WARM_UP = 4


class Warm(NamedTuple):
    """A training after a few steps.

    Attributes:
        losses: of these steps.
        peak: bytes of device memory that they took, 0 if the device does not tell.
    """

    training: Training
    losses: list[float]
    peak: int


def check_costs(setting: Setting) -> Iterator[Row]:
    """Measure the bare step, and what parameters and gradients cost: memory, time on the device and the caller, traffic."""
    training = _largest(setting).training
    plain, state = step_ms(training.step, training.start(), training.words, _steps(setting))
    size, batch = sum(leaf.size for leaf in jax.tree.leaves(state[0])), len(training.words)
    yield Row("JAX, bare step", f"{plain:.2f} ms (GPT-2, {size / 1e6:.1f} million values in bfloat16, AdamW, batch {batch})")
    del state  # memory is measured below
    yield from _costs(setting, "params, grads", USUAL)


def check_everything(setting: Setting) -> Iterator[Row]:
    """Measure what everything costs that can be logged."""
    yield from _costs(setting, "everything", EVERYTHING)


def _steps(setting: Setting) -> int:
    return 3 if setting.small else 10


@cache
def _largest(setting: Setting) -> Warm:
    """Return a training whose batch fits."""
    batch = 2 if setting.small else 16
    while True:
        try:
            training = Training(setting, batch, dtype=jnp.bfloat16)
            losses = losses_of(training, training.step, WARM_UP)
            return Warm(training, losses, _memory(setting, "peak_bytes_in_use"))
        except jax.errors.JaxRuntimeError as error:
            if batch == 1 or "RESOURCE_EXHAUSTED" not in str(error):
                raise
        batch //= 2


def _costs(setting: Setting, name: str, options: dict[str, Any]) -> Iterator[Row]:
    training, losses, peak = _largest(setting)
    held = _memory(setting, "bytes_in_use")
    with wrapping(training, options) as wrapped:
        begin = time.perf_counter()
        jax.block_until_ready(wrapped.measured(*training.start(), training.words))
        first = time.perf_counter() - begin
        logged = losses_of(training, wrapped.measured, WARM_UP)
        wrapped.run.flush()
        yield Row(f"JAX, first measured step with its compilation, {name}", f"{first:.1f} s")
        yield Row(f"JAX, losses of {WARM_UP} measured steps, {name}", *same_losses(losses, logged))
        yield _memory_row(setting, peak, held, name)
        state = training.start()
        state = yield from _times(setting, training, wrapped, state, name)
        state = yield from _caller(setting, training, wrapped, state, name)
        yield from _traffic(setting, training, wrapped, state, name)
        yield Row(f"JAX, reports of the run, {name}", "; ".join(wrapped.errors[:3]) or "none", not wrapped.errors)


def _memory(setting: Setting, key: str) -> int:
    return int((setting.device.memory_stats() or {}).get(key, 0))


def _memory_row(setting: Setting, peak: int, held: int, name: str) -> Row:
    """Return what the peak grew by: it cannot be set back, so that an earlier, higher one would hide it."""
    if not peak:
        return Row(f"JAX, extra device memory, {name}", "left out: this device does not tell it")
    extra, stays = _memory(setting, "peak_bytes_in_use") - peak, _memory(setting, "bytes_in_use") - held
    return Row(f"JAX, extra device memory, {name}", f"{extra / 2**20:+.1f} MiB at the peak, {stays / 2**20:+.1f} MiB stay")


def _times(setting: Setting, training: Training, wrapped: Wrapped, state: State, name: str) -> Generator[Row, None, State]:
    steps, found = _steps(setting), []
    for _ in range(2 if setting.small else 3):
        row = []
        for step in (training.step, wrapped.step, wrapped.measured):
            taken, state = step_ms(step, state, training.words, steps)
            row.append(taken)
        found.append(row)
    bare = statistics.median(row[0] for row in found)
    idle, added = (statistics.median(row[which] - row[0] for row in found) for which in (1, 2))
    yield Row(f"JAX, plain step of the wrapper, {name}", f"{idle * 1e3:+.0f} us")
    share = f"{added / bare:.1%} of the step, {added / bare / 100:.3%} at every 100th"
    yield Row(f"JAX, measured step, {name}", f"{added:+.2f} ms ({share})")
    return state


def _caller(setting: Setting, training: Training, wrapped: Wrapped, state: State, name: str) -> Generator[Row, None, State]:
    """Time the calls while the device is idle, and those of measured steps while it is busy with the step before."""
    rounds = 3 if setting.small else 10
    idle: dict[str, list[float]] = {"bare": [], "plain": [], "measured": []}
    busy = []
    for _ in range(rounds):
        for kind, step in (("bare", training.step), ("plain", wrapped.step), ("measured", wrapped.measured)):
            jax.block_until_ready(state)
            taken, state = _call(step, state, training.words)
            idle[kind].append(taken)
        jax.block_until_ready(state)
        _, state = _call(training.step, state, training.words)
        taken, state = _call(wrapped.measured, state, training.words)
        busy.append(taken)
    bare, plain, measured = (statistics.median(taken) for taken in idle.values())
    yield Row(f"JAX, caller in a plain step, {name}", f"{(plain - bare) * 1e3:+.1f} us over {bare * 1e3:.0f} us of the bare one")
    yield Row(
        f"JAX, caller in a measured step, {name}",
        f"{measured:.2f} ms, {measured - bare:+.2f} ms; {statistics.median(busy):.2f} ms while the device is busy",
    )
    return state


def _call(step: Callable[..., Any], state: State, words: jax.Array) -> tuple[float, State]:
    begin = time.perf_counter()
    params, opt_state, _ = step(*state, words)
    return (time.perf_counter() - begin) * 1e3, (params, opt_state)


def _traffic(setting: Setting, training: Training, wrapped: Wrapped, state: State, name: str) -> Iterator[Row]:
    """Tell what a measured step fetches, copies and adds to the file."""
    wrapped.run.flush()
    fetched, written = wrapped.run.fetched, bytes_in(str(wrapped.directory))
    _, state = step_ms(wrapped.measured, state, training.words, 1)
    wrapped.run.flush()
    histograms = len(mb.read(wrapped.directory)["."].histograms)
    grown = bytes_in(str(wrapped.directory)) - written
    yield Row(f"JAX, bytes to the file per capture, {name}", f"{grown:,} for {histograms} histograms")
    fetched = wrapped.run.fetched - fetched
    per = fetched / max(histograms, 1)
    result = f"{fetched:,}: {per:,.0f} per histogram of at least {BYTES_PER_TENSOR:,}"
    yield Row(f"JAX, bytes fetched per capture, {name}", result, 0 < per <= 1.25 * BYTES_PER_TENSOR)
    if not setting.on_host:
        plain, state = _copied(wrapped, wrapped.step, training, state)
        measured, state = _copied(wrapped, wrapped.measured, training, state)
        result = f"{measured:,}, of a plain step {plain:,}" if measured else "none: JAX's profiler has not seen the device"
        yield Row(f"JAX, bytes to the host in the profile, {name}", result, measured > 0)


def _copied(wrapped: Wrapped, step: Callable[..., Any], training: Training, state: State) -> tuple[int, State]:
    """Return the bytes that one step copies to the host, from the profile."""
    with tempfile.TemporaryDirectory() as directory:
        with jax.profiler.trace(directory, create_perfetto_trace=False):
            _, state = step_ms(step, state, training.words, 1)
            wrapped.run.flush()
        events = [
            event
            for path in Path(directory).rglob("*.trace.json.gz")
            for event in json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
        ]
    details = [str(event.get("args", {})) for event in events if "D2H" in event.get("name", "")]
    return sum(int(size) for text in details for size in re.findall(r"size:(\d+)", text)), state
