"""What a profiled window catches of PyTorch on an accelerator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gpu_loops
from gpu_profile import check_window

import multiboard as mb
import multiboard.torch as mbt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpu_loops import Setting
    from gpu_rows import Row


def check_profile(setting: Setting) -> Iterator[Row]:
    """Yield what a window caught: eager, compiled, and with mixed precision."""
    for title, options in {"eager": {}, "compiled": {"compiled": True}}.items():
        if title == "compiled" and setting.device.type != "cuda":
            continue  # compiling for a CPU needs a compiler, and shows no kernels

        def train(run: mb.Run, profiler: mb.Profiler, steps: int, options: dict[str, bool] = options) -> None:
            training = gpu_loops.Training(setting, **options)
            with mbt.watch(training.model, training.optimizer, run, every=1000, profiler=profiler):
                for _ in range(steps):
                    training.backward()
                    training.update()

        yield from check_window(f"{title}, profile", train, on_host=setting.device.type != "cuda")
