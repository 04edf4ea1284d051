"""Time, traffic and memory of captures in PyTorch on an accelerator."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from clocks import bytes_in
from gpu_loops import EVERYTHING, USUAL, Setting, Training, wait, watching
from gpu_rows import BYTES_PER_TENSOR, Row, guarded

import multiboard as mb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def check_time(setting: Setting) -> Iterator[Row]:
    """Measure steps without a watch, between captures, and captured."""
    training, batch = _largest(setting)
    tensors = len(list(training.model.parameters()))
    plain = _step_ms(setting, training, 3 if setting.small else 10)
    size = sum(parameter.numel() for parameter in training.model.parameters())
    yield Row("plain step", f"{plain:.2f} ms (GPT-2, {size / 1e6:.1f} million values in bfloat16, AdamW, batch {batch})")
    for name, options in (("params, grads", USUAL), ("everything", EVERYTHING)):
        yield from guarded(f"time, {name}", partial(_times, setting, training, plain, tensors, name, options))


def _largest(setting: Setting) -> tuple[Training, int]:
    """Return a training whose batch fits, after a few steps."""
    batch = 2 if setting.small else 16
    while True:
        try:
            return _warm(setting, batch), batch
        except torch.cuda.OutOfMemoryError:
            if batch == 1:
                raise
        batch //= 2
        torch.cuda.empty_cache()


def _warm(setting: Setting, batch: int) -> Training:
    training = Training(setting, batch, dtype=torch.bfloat16, fused=setting.device.type == "cuda")
    _step_ms(setting, training, 3)
    return training


def _step_ms(setting: Setting, training: Training, steps: int) -> float:
    wait(setting)
    begin = time.perf_counter()
    for _ in range(steps):
        training.backward()
        training.update()
    wait(setting)
    return (time.perf_counter() - begin) / steps * 1e3


def _times(setting: Setting, training: Training, plain: float, tensors: int, name: str, options: dict[str, Any]) -> Iterator[Row]:
    steps, rounds = (3, 2) if setting.small else (10, 3)
    idle, captured, differences = [], [], []
    for _ in range(rounds):
        before = _step_ms(setting, training, steps)
        with watching(training, 10**9, options) as (_, _, errors):
            training.backward()
            training.update()  # step 0 is captured
            idle.append(_step_ms(setting, training, steps) - before)
        with watching(training, 1, options) as (run, _, errors):
            captured.append(_step_ms(setting, training, steps) - before)
            run.flush()
            with_hooks = _caller_ms(setting, training, steps, run.flush)
        differences.append(with_hooks - _caller_ms(setting, training, steps))
    added, caller = statistics.median(captured), statistics.median(differences)
    yield Row(f"idle step, {name}", f"{statistics.median(idle) * 1e3:+.0f} us")
    share = f"{added / plain:.1%} of the step, {added / plain / 100:.3%} at every 100th"
    yield Row(f"captured step, {name}", f"{added:+.2f} ms ({share})" + "".join(f"; {text}" for text in errors[:3]), not errors)
    yield Row(f"caller in the update, {name}", f"{caller:+.2f} ms, {caller / tensors * 1e3:.1f} us per parameter tensor")


def _caller_ms(setting: Setting, training: Training, steps: int, finish: Callable[[], object] = lambda: None) -> float:
    """Return the median time inside the update while the device and the writer thread are idle: no queue is full before."""
    found = []
    for _ in range(steps):
        training.backward()
        wait(setting)
        finish()
        begin = time.perf_counter()
        training.update()
        found.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(found)


def check_traffic(setting: Setting) -> Iterator[Row]:
    """Measure what a captured step copies to the host, and what it adds to the file."""
    training = Training(setting, dtype=torch.bfloat16)
    _step_ms(setting, training, 2)
    plain, _ = _bytes_to_host(setting, training, lambda: None)
    for name, options in (("params, grads", USUAL), ("everything", EVERYTHING)):
        with watching(training, 1, options) as (run, directory, _):
            _step_ms(setting, training, 1)
            run.flush()
            before = bytes_in(str(directory))
            copied, pageable = _bytes_to_host(setting, training, run.flush)
            histograms = len(mb.read(directory)["."].histograms)
            yield Row(
                f"bytes to the file per capture, {name}", f"{bytes_in(str(directory)) - before:,} for {histograms} histograms"
            )
        if setting.device.type == "cuda":
            per = (copied - plain) / histograms
            result = f"{copied - plain:,}: {per:,.0f} per histogram of at least {BYTES_PER_TENSOR:,}; {pageable} pageable copies"
            yield Row(f"bytes to the host per capture, {name}", result, per <= 1.25 * BYTES_PER_TENSOR and not pageable)


def _bytes_to_host(setting: Setting, training: Training, finish: Callable[[], object]) -> tuple[int, int]:
    """Return the bytes that one step copies from the device, and the number of such copies into pageable memory."""
    if setting.device.type != "cuda":
        _step_ms(setting, training, 1)
        finish()
        return 0, 0
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        _step_ms(setting, training, 1)
        finish()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "trace.json")
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    copies = [event for event in events if "DtoH" in event.get("name", "")]
    return sum(event["args"]["bytes"] for event in copies), sum("Pageable" in event["name"] for event in copies)


def check_memory(setting: Setting) -> Iterator[Row]:
    """Measure the peak of device memory in a captured step beyond that of a plain one, and what stays afterwards."""
    if setting.device.type != "cuda":
        yield Row("device memory", "left out: only CUDA tells it")
        return
    training, _ = _largest(setting)
    plain, held = _peak(setting, training)
    for name, options in (("params, grads", USUAL), ("everything", EVERYTHING)):
        with watching(training, 1, options) as (run, _, _):
            peak, _ = _peak(setting, training)
            run.flush()
        stays = torch.cuda.memory_allocated(setting.device) - held
        yield Row(f"extra device memory, {name}", f"{(peak - plain) / 2**20:+.1f} MiB at the peak, {stays / 2**20:+.1f} MiB stay")


def _peak(setting: Setting, training: Training) -> tuple[int, int]:
    wait(setting)
    torch.cuda.reset_peak_memory_stats(setting.device)
    _step_ms(setting, training, 2)
    return torch.cuda.max_memory_allocated(setting.device), torch.cuda.memory_allocated(setting.device)
