"""What a profiled window costs a training in JAX: its steps and its two ends; profile_window.py has what is outside of it.

python benchmarks/profile_jax.py [--windows 12] [--out results.jsonl]

A perceptron of five layers (some 60 operations, a millisecond or less on a CPU), jitted, its state donated; each step is waited
for. Windows and steps outside of them take turns in one process. 'times' are medians in windows over medians outside; the first
and the last step of a window, which wait for its ends, count as its ends. Conversion is in another process and left for later.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import jax
import jax_models
import numpy as np
import optax

import multiboard as mb
import multiboard.jax as mbj

WIDTHS = (256, 128, 128, 128, 128, 10)
STEPS, EVERY = 10, 30
WAYS: dict[str, dict[str, Any]] = {
    "light": {"level": "light", "memory": False},
    "default": {},
    "default without memory": {"memory": False},
    "deep": {"level": "deep"},
}


class Training:
    """A training: its state, step and the data of one batch."""

    def __init__(self) -> None:
        self.tx = optax.adam(1e-4)
        params = jax_models.trained(jax_models.perceptron_shapes(*WIDTHS))
        self.state: tuple[Any, Any] = (params, self.tx.init(params))
        rng = np.random.default_rng(0)
        self.x = jax.device_put(rng.standard_normal((64, WIDTHS[0]), np.float32))
        self.y = jax.device_put(rng.integers(0, WIDTHS[-1], 64))

    def update(self, params: Any, opt_state: Any, x: Any, y: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Do one step: new parameters, new state of the optimizer, metrics."""

        def loss_of(params: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(jax_models.perceptron(params, x), y).mean()

        loss, grads = jax.value_and_grad(loss_of)(params)
        updates, opt_state = self.tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, {"loss": loss}

    def seconds(self, step: Any) -> float:
        """Return how long a step takes until the device has done it."""
        began = perf_counter()
        *state, _ = step(*self.state, self.x, self.y)
        self.state = (state[0], state[1])
        jax.block_until_ready(self.state)
        return perf_counter() - began


def measure(log_dir: str, windows: int, options: dict[str, Any]) -> dict[str, float]:
    """Return what windows cost.

    Args:
        log_dir: of the run.
        windows: how many.
        options: of the profiler.
    """
    training, by_place = Training(), {place: list[float]() for place in ("outside", "inside", "begin", "end")}
    with mb.Run(log_dir) as run:
        profiler = mb.Profiler(run, start=EVERY, steps=STEPS, every=EVERY, repeat=windows, convert="lazy", keep=1, **options)
        step = mbj.wrap_train_step(
            training.update, run, every=10**6, log=["params"], metrics=False, donate_argnums=(0, 1), profiler=profiler
        )
        for n in range((windows + 1) * EVERY):
            by_place[_place(n)].append(training.seconds(step))
        # The call of the step before a window begins it, and that of its last step ends it.
        median = {place: statistics.median(times[EVERY:] if place == "outside" else times) for place, times in by_place.items()}
    usual = median["outside"]
    return {
        "step_ms": 1e3 * usual,
        "times": median["inside"] / usual,
        "begin_ms": 1e3 * (median["begin"] - usual),
        "end_ms": 1e3 * (median["end"] - usual),
    }


def _place(n: int) -> str:
    after = n - EVERY
    if n % EVERY == EVERY - 1:
        return "begin"
    if after >= 0 and after % EVERY == STEPS - 1:
        return "end"
    return "inside" if after >= 0 and after % EVERY < STEPS else "outside"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=12)
    parser.add_argument("--out", type=Path, help="append the figures as a line of JSON")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for way, options in WAYS.items():
            figures[way] = measure(f"{folder}/{way}", arguments.windows, options)
            print(f"{way:24}", *(f"{name} {value:6.2f}" for name, value in figures[way].items()), sep="  ")
    if arguments.out is not None:
        with arguments.out.open("a") as file:
            file.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
