"""What a profiled window catches of JAX on an accelerator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gpu_jax_loops
import jax
from gpu_profile import check_window

import multiboard as mb
import multiboard.jax as mbj

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpu_jax_loops import Setting
    from gpu_rows import Row


def check_profile(setting: Setting) -> Iterator[Row]:
    """Yield what a window caught of a training step."""

    def train(run: mb.Run, profiler: mb.Profiler, steps: int) -> None:
        training = gpu_jax_loops.Training(setting)
        step = mbj.wrap_train_step(training.step, run, every=1000, donate_argnums=(0, 1), profiler=profiler)
        params, state = training.start()
        for _ in range(steps):
            params, state, *_ = step(params, state, training.words)
        jax.block_until_ready(params)

    yield from check_window("JAX, profile", train, on_host=setting.on_host)
